"""Tests of evaluations in the background: one that ends well, and one whose run is damaged."""

from __future__ import annotations

from pathlib import Path

from cpc_engine.comparison.collect import is_evaluated, load_compared
from cpc_engine.execution.evaluations import Evaluations
from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.tiny import tiny, wait_until


def test_probes_are_fitted_in_the_background(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, tiny())
    assert execute(folder, Control()).status == "finished"
    run = folder.id
    evaluations = Evaluations(tmp_path)
    evaluations.start(run)
    wait_until(lambda: not evaluations.jobs()[run].going_on, "the evaluation")
    assert evaluations.jobs()[run].status == "done"
    assert is_evaluated(load_compared(RunFolder.open(run, tmp_path)))
    (tmp_path / run / "weights.safetensors").write_bytes(b"no")
    evaluations.start(run)
    wait_until(lambda: not evaluations.jobs()[run].going_on, "the failure")
    assert evaluations.jobs()[run].status == "failed"
    assert "damaged" in evaluations.jobs()[run].text
