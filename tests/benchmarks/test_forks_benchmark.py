"""The benchmark of forks without a change: rows as they end, going on from them, and noise that is really another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import forks
from cpc_engine.execution.fork import fork
from cpc_engine.experiments.recipe import incomplete
from cpc_engine.storage.folder import RunFolder


def test_rows_are_kept_and_gone_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(forks, "MIN_SEEDS", 2)
    out = tmp_path / "forks.json"
    arguments = ["--comparisons", "1", "--out", str(out)]
    forks.main(arguments)
    document = json.loads(out.read_text())
    assert [row["comparison"] for row in document["rows"]] == [0]
    assert 0 < document["rows"][0]["smallest_p"] <= 1
    assert document["rows"][0]["verdicts"] == {}, "two seeds give no verdict"
    assert document["forks"] == 4
    assert incomplete(document["recipe"]) == []
    assert "1 comparisons of forks without a change, 2 seeds each: 0 with a verdict" in capsys.readouterr().out

    def again(*_: object) -> None:
        raise AssertionError("it was measured already")

    monkeypatch.setattr(forks, "comparison", again)
    forks.main(arguments)
    assert json.loads(out.read_text())["rows"] == document["rows"]


def test_forks_with_noise_of_their_own_differ_and_with_the_same_do_not(tmp_path: Path) -> None:
    parent = forks.finish(RunFolder.create(tmp_path, forks.CONFIG))
    runs = [fork(parent, {}, tmp_path, steps=2).child for _ in range(3)]
    weights = [forks.with_noise(run, seed).tensors("weights") for run, seed in zip(runs, (1, 1, 2), strict=True)]
    same, other = (all(torch.equal(weights[0][n], w[n]) for n in w) for w in weights[1:])
    assert same
    assert not other
