"""What the negatives of each arm did, as the report shows it: from records alone, arms side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cpc_engine import RunConfig
from cpc_engine.comparison.arms import group
from cpc_engine.comparison.collect import load_compared
from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.listing import list_runs
from cpc_engine.training.control import Control
from tests.support.tiny import tiny
from ui.compare.negatives import POINTS, Drawn, drawn_runs, negatives_charts
from ui.compare.report import report


def records(steps: int, similarity: float, item: bool = False) -> list[dict[str, Any]]:
    rows = []
    for step in range(1, steps + 1):
        source = {"similarity": similarity, "spread": 0.1 + 0.1 * (step % 3), "share": 1.0}
        source |= {"false_negatives": 0.1, "false_mass": 0.4}
        part = {"audio": {"positive_similarity": 0.9, "sources": {"in_batch": source}}}
        rows.append({"step": step, "modalities": part} | ({"items": part} if item else {}))
    return rows


def drawn(letter: str, rows: list[dict[str, Any]], **changes: Any) -> Drawn:
    config = RunConfig().replace({name.replace("__", "."): value for name, value in changes.items()})
    return Drawn(letter, f"{letter} · name, seed 0", config, rows)


def test_arms_stand_side_by_side_on_one_scale() -> None:
    charts = negatives_charts([drawn("A", records(8, 0.2)), drawn("B", records(8, -0.4))])
    kinds = ("Share of the gradient on negatives", "Similarity to the anchor, ±1 SD", "False negatives")
    titles = [figure["layout"]["title"]["text"] for figure, _ in charts]
    assert titles == [f"{letter} · {kind}" for kind in kinds for letter in "AB"]
    for pair in (charts[2:4], charts[4:6]):
        low, high = pair[0][0]["layout"]["yaxis"]["range"]
        assert [low, high] == pair[1][0]["layout"]["yaxis"]["range"]
        values = [y for figure, _ in pair for trace in figure["data"] for y in trace["y"] if y is not None]
        assert low < min(values) < max(values) < high
    words = [alt for _, alt in charts]
    assert "In-batch from -0.4 at step 1 to -0.4 at 8" in words[3]
    assert "In-batch 10% of the number, 40% of the mass" in words[4]


def test_each_loss_has_charts_and_one_that_does_not_count_has_none() -> None:
    rows = records(4, 0.2, item=True)

    def losses(**changes: Any) -> list[str]:
        charts = negatives_charts([drawn("A", rows, **changes)])
        return [
            figure["layout"]["title"]["text"].partition("on negatives")[2] for figure, _ in charts[: len(charts) // 3]
        ]

    assert losses(loss__item_weight=1.0) == [", whole items of sounds", ", prediction of sounds"]
    assert losses(loss__item_weight=1.0, loss__prediction_weight=0.0) == [""]
    assert losses() == [""]


def test_a_long_run_takes_no_more_room_than_a_short_one() -> None:
    [_, (similarity, _), (false, _)] = negatives_charts([drawn("A", records(5000, 0.2))])
    for trace in (*similarity["data"], *false["data"]):
        assert len(trace["x"]) <= POINTS * (2 if trace.get("fill") else 1)


def test_the_report_draws_one_run_of_each_arm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in (0, 1):
        for name, perturbed in (("plain", False), ("<b>", True)):
            changes = {"run__name": name, "run__seed": seed, "sampler__perturbed": perturbed, "optimizer__steps": 3}
            assert execute(RunFolder.create(tmp_path, tiny(**changes)), Control()).status == "finished"
    waiting = RunFolder.create(tmp_path, tiny(run__name="waits", optimizer__steps=4))
    monkeypatch.setenv("CPC_RUNS", str(tmp_path))
    infos = sorted(list_runs(tmp_path), key=lambda info: info.id == waiting.id)
    arms = group(load_compared(RunFolder.open(info.id, tmp_path)) for info in infos)
    runs = drawn_runs(arms)
    assert [run.letter for run in runs] == ["A", "B"], "a run without records is not drawn"
    assert {name for run in runs for name in run.records[-1]["modalities"]["audio"]["sources"]} == {
        "in_batch",
        "perturbed",
    }
    text, without = (report(arms, arms[0], "probe", [], [], negatives=some) for some in (runs, ()))
    assert "Negatives over training" in text
    assert "Negatives over training" not in without
    assert text.count("<figure>") == 6
    assert text.partition("Negatives over training")[2].partition("</p>")[0].count(", seed ") == 2
