"""A run on recordings of two lengths; a test module takes it with `pytest_plugins = ["tests.support.recorded"]`."""

from __future__ import annotations

import pytest

from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.data_files import write_tone
from tests.support.tiny import tiny


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run on recordings of one and of three clips."""
    root = tmp_path_factory.mktemp("recordings")
    for name, hertz in (("low", 300), ("high", 900)):
        for take in range(12):
            write_tone(root / "data" / name / f"{take}.wav", hertz + 7 * take, seconds=(0.5, 1.4)[take % 2])
    config = tiny(data__dataset="audio_folder", data__path=str(root / "data"), data__train_items=0, data__test_items=0)
    folder = RunFolder.create(root / "runs", config)
    assert execute(folder, Control()).status == "finished"
    return folder
