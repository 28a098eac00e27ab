"""The benchmark of what breaks training: tiny runs to their end, rows that are kept, and the stored result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import break_it, break_it_table
from cpc_engine.break_it.measured import RESULTS, arms, measured, runs_of
from cpc_engine.break_it.recipes import RECIPES
from cpc_engine.config import RunConfig
from cpc_engine.experiments.recipe import differing, incomplete
from tests.support.tiny import CHANGES

SMALL = {path: value for path, value in CHANGES.items() if path != "data.dataset"}


def small() -> dict[str, tuple[str, RunConfig]]:
    return {name: (preset, config.replace(SMALL)) for name, (preset, config) in arms().items()}


def test_runs_are_measured_kept_and_gone_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(break_it, "arms", small)
    out = tmp_path / "break_it.json"
    arguments = ["--seeds", "2", "--recipes", "plain_queue,temperature", "--out", str(out)]
    break_it.main(arguments)
    document = json.loads(out.read_text())
    assert [(row["arm"], row["seed"]) for row in document["rows"]] == [
        (arm, seed) for arm in ("sounds", "plain_queue", "temperature") for seed in (0, 1)
    ]
    assert {"spread", "alignment", "accuracy", "probe"} <= document["rows"][0]["metrics"].keys()
    assert incomplete(document["recipe"]) == []
    assert "Queue without momentum: Cannot be told: no verdict below 5 seeds, n = 2." in capsys.readouterr().out

    kept: list[dict[str, Any]] = document["rows"][:4]
    out.write_text(json.dumps({**document, "rows": kept}))
    again: list[str] = []

    def measure(arm: str, config: RunConfig) -> dict[str, Any]:
        again.append(f"{arm} {config.run.seed}")
        return {"arm": arm, "seed": config.run.seed, "metrics": {"alignment": 1.0}, "seconds": 0.1}

    monkeypatch.setattr(break_it, "measure", measure)
    break_it.main(arguments)
    assert again == ["temperature 0", "temperature 1"]
    assert json.loads(out.read_text())["rows"][:4] == kept


def test_rows_of_other_settings_are_measured_again(tmp_path: Path) -> None:
    out = tmp_path / "break_it.json"
    made = {"command": "c", "configs": {"sounds": 1}, "data": {}}
    out.write_text(json.dumps({"rows": [{"arm": "sounds"}], "recipe": made}))
    assert break_it.stored(out, made) == [{"arm": "sounds"}]
    assert break_it.stored(out, {**made, "configs": {"sounds": 2}}) == []
    assert break_it.stored(None, made) == []


def test_what_is_stored_was_measured_with_the_recipes_of_today() -> None:
    document = json.loads(RESULTS.read_text())
    today = {name: config for name, (_, config) in arms().items()}
    assert document["recipe"]["configs"].keys() == today.keys()
    assert differing(document["recipe"], today) == []
    assert not document["recipe"]["dirty"]
    found, command = measured()
    assert command == "python -m benchmarks.break_it --seeds 5"
    assert all(min(found[name].verdict.counts) >= 5 for name in RECIPES)
    assert all(found[name].verdict.method == "paired t" for name in RECIPES)


def test_the_document_says_what_was_measured() -> None:
    assert break_it_table.main(["--check"]) == 0, "run python -m benchmarks.break_it_table"
    text = break_it_table.DOCUMENT.read_text(encoding="utf-8")
    for name, found in measured()[0].items():
        assert f"| {RECIPES[name].title} |" in text
        assert f"**{found.kind}**" in text


def test_without_a_result_nothing_was_measured(tmp_path: Path) -> None:
    assert measured(tmp_path / "missing.json") == ({}, "")
    assert runs_of([{"arm": "of another version", "seed": 0, "metrics": {}}]) == []
