"""Fixtures of the command line's tests: the command line in an empty folder, and two finished runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from cpc_engine.cli import main
from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.command_line import Answer, Cli
from tests.support.tiny import tiny


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line in this process, in an empty folder; runs are in its checkpoints/."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))

    def call(*arguments: object) -> Answer:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Answer(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two finished runs, of audio and of pairs."""
    folder = tmp_path_factory.mktemp("runs")
    for config in (tiny(run__name="first"), tiny(data__dataset="tones_bars", run__seed=1)):
        assert execute(RunFolder.create(folder, config), Control()).status == "finished"
    return folder


@pytest.fixture(scope="module")
def tones(root: Path) -> str:
    return next(path.name for path in root.iterdir() if not path.name.startswith("tones-bars"))


@pytest.fixture(scope="module")
def pairs(root: Path) -> str:
    return next(path.name for path in root.iterdir() if path.name.startswith("tones-bars"))
