"""Recordings of spoken digits, and their archive."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from cpc_engine.data import fsdd as fsdd_module
from cpc_engine.errors import ConfigError, DataError
from tests.support.data_files import check_format, load


@pytest.mark.parametrize("folder", ["data/fsdd", "data/fsdd/recordings"])
def test_fsdd_official_split(shared: Path, folder: str) -> None:
    data = load("fsdd", path=str(shared / folder), train_items=0, test_items=0, classes=["3", "7"])
    check_format(data)
    assert len(data.test) == 60
    assert len(data.train) + len(data.validation) == 540
    assert {int(name.removesuffix(".wav").split("_")[2]) for name in data.test.names} == set(range(5))
    assert set(data.validation.groups) == set(data.train.groups)


def test_fsdd_speaker_split(shared: Path) -> None:
    path = str(shared / "data" / "fsdd")
    changes = {"split": "speaker", "held_out": "theo", "train_items": 0, "test_items": 0, "classes": ["0", "1"]}
    data = load("fsdd", path=path, **changes)
    assert set(data.test.groups) == {"theo"}
    assert len(data.test) == 100
    assert len(set(data.validation.groups)) == 1
    assert len(set(data.train.groups)) == 4
    assert not set(data.validation.groups) & set(data.train.groups)
    others = (load("fsdd", path=path, **changes, seed=seed).validation.groups[0] for seed in range(1, 5))
    assert any(speaker != data.validation.groups[0] for speaker in others)
    with pytest.raises(ConfigError, match="unknown speaker 'teo'"):
        load("fsdd", path=path, split="speaker", held_out="teo")


def test_fsdd_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--set data\.download=true"):
        load("fsdd", path=str(tmp_path))


def archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def test_fsdd_archive_is_checked(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recordings = {path.name: path.read_bytes() for path in (shared / "data" / "fsdd" / "recordings").iterdir()}
    assert len(recordings) == fsdd_module.COUNT
    assert fsdd_module.digest(recordings) == fsdd_module.DIGEST
    expected = {f"top/recordings/{name}": data for name, data in recordings.items()}
    unexpected = {"../../evil.wav": b"x", "top/recordings/../../evil.wav": b"x", "top/README.md": b"x"}
    packed = archive({**expected, **unexpected})
    assert fsdd_module.unpack(packed) == recordings
    changed = {**expected, "top/recordings/0_theo_0.wav": b"other"}
    for bad in (archive(changed), archive({"top/recordings/0_theo_0.wav": b"x"}), packed[:1000], b"no archive"):
        with pytest.raises(DataError, match="archive"):
            fsdd_module.unpack(bad)

    monkeypatch.setattr(fsdd_module, "_download", lambda progress: packed)
    data = load("fsdd", path=str(tmp_path / "new"), download=True, classes=["3", "7"], train_items=40, test_items=20)
    assert len(data.test) == 20
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["recordings"]
    assert not list(tmp_path.rglob("evil*"))


def test_processes_that_fetch_at_once_leave_all_recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recordings = {f"{digit}_ann_{take}.wav": bytes([digit, take]) for digit in range(10) for take in range(5)}
    fetch = fsdd_module._fetch

    class Meanwhile(dict[str, bytes]):
        """Another process fetches and ends while this one writes."""

        def items(self) -> Any:
            for number, item in enumerate(super().items()):
                if number == 20:
                    answers.append(recordings)
                    assert fetch(tmp_path / "new", None) == tmp_path / "new" / "recordings"
                yield item

    answers: list[dict[str, bytes]] = [Meanwhile(recordings)]
    monkeypatch.setattr(fsdd_module, "_download", lambda progress: b"")
    monkeypatch.setattr(fsdd_module, "unpack", lambda archive: answers.pop())
    found = fetch(tmp_path / "new", None)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["recordings"]
    assert {path.name: path.read_bytes() for path in found.iterdir()} == recordings
