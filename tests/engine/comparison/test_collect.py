"""Tests of loading runs for a comparison."""

from __future__ import annotations

from pathlib import Path

import pytest

from cpc_engine.comparison.collect import changes_of
from cpc_engine.storage.folder import RunFolder
from tests.support.tiny import tiny


@pytest.mark.parametrize("setting", ["x\nrm -rf ~", "optimizer.steps", "no.such", "", None, 7, ["loss.temperature"]])
def test_only_live_settings_count_as_changes(tmp_path: Path, setting: object) -> None:
    """A folder from someone else may name anything, and the names are written into a shell script."""
    folder = RunFolder.create(tmp_path, tiny())
    folder.append_event({"step": 1, "kind": "change", "setting": "loss.temperature", "value": 0.3})
    folder.append_event({"step": 2, "kind": "change", "setting": setting, "value": "\n$(reboot)"})
    assert changes_of(folder) == ((1, "loss.temperature", "0.3"),)
