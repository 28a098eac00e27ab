"""Names of sweeps and of folders of runs: the list lies in a file of that name, and is found again."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from cpc_engine.cli.parser import parse
from cpc_engine.errors import ConfigError
from cpc_engine.sweeps import background
from cpc_engine.sweeps.space import Space
from cpc_engine.sweeps.study import FOLDER, Spec, open_study, storage_url
from tests.support.tiny import tiny

pytest.importorskip("optuna")
SPEC = Spec(tiny(), Space.of_grid(["loss.temperature=0.1"]), 1, 1, "spread")
NAMES = [
    *("a?b", "a%20b", "a%2Fb", "a#b", "a b", "a+b", "a&b=c", "a:b@c", "{SCHEMA_VERSION}", "{x", "[ab]*", "%", "a.db"),
    *("-tau", "--help", "τ Ω", "名" * 78, "नमस्ते", "🎵" * 58, "é" * 100, "x" * 100),
]


@pytest.mark.parametrize("folder", ["runs", "a?b=c#d%20e%2Ff {x} [y]+ß:@"])
def test_every_name_has_a_list_of_its_own_that_is_found(tmp_path: Path, folder: str) -> None:
    root = tmp_path / folder
    for name in NAMES:
        study, _ = open_study(storage_url(root, name, None), name, SPEC)
        assert study.study_name == name
    assert sorted(path.name for path in (root / FOLDER).iterdir()) == sorted(f"{name}.db" for name in NAMES)
    assert sorted(background.list_sweeps(root)) == sorted(NAMES)
    for name in background.list_sweeps(root):
        assert open_study(storage_url(root, name, None), name)[1] == SPEC
    assert [path.name for path in tmp_path.iterdir()] == [folder], "nothing lies elsewhere"


@pytest.mark.parametrize(
    "name", ["", ".x", "..", "a/b", "/a", "a/", "a\\b", "a\nb", "x" * 101, "名" * 79, "🎵" * 59, "caf\udce9"]
)
def test_what_cannot_be_the_name_of_a_file_is_told_first(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be the name of a sweep"):
        storage_url(tmp_path, name, None)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_whose_name_is_no_utf_8_is_told(tmp_path: Path) -> None:
    root = tmp_path / os.fsdecode(b"caf\xe9")
    with pytest.raises(ConfigError, match="no UTF-8"):
        storage_url(root, "s", None)


@pytest.mark.parametrize("name", NAMES)
def test_the_command_that_the_app_starts_names_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    commands: list[list[str]] = []

    class Process:
        pid = os.getpid()

        def __init__(self, command: list[str], **_: Any) -> None:
            commands.append(command)

        def wait(self) -> int:
            return 0

    monkeypatch.setattr("subprocess.Popen", Process)
    background.begin(tmp_path, name, SPEC, 3)
    [command] = commands
    assert command[:3] == [sys.executable, "-m", "cpc_engine"]
    options = parse(command[3:])
    assert (options.command, options.study, options.workers, options.runs) == ("sweep", name, 3, tmp_path.resolve())
