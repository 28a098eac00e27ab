"""A finished run, and a copy of it for a test to damage."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cpc_engine.storage.folder import RunFolder
from tests.support.stored import train
from tests.support.tiny import tiny


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return train(tmp_path_factory.mktemp("finished"), tiny(run__name="first"))


@pytest.fixture
def copied(finished: RunFolder, tmp_path: Path) -> RunFolder:
    return RunFolder(shutil.copytree(finished.path, tmp_path / finished.id))
