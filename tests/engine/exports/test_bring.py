"""Runs from someone else: what is brought in is what was packed, and what was made to do harm is refused."""

from __future__ import annotations

import errno
import io
import json
import os
import random
import shutil
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest

from cpc_engine.cli import main
from cpc_engine.errors import RunError, StorageError
from cpc_engine.exports import bring
from cpc_engine.exports.bring import bring_run
from cpc_engine.exports.bundle import pack_run
from cpc_engine.maps.stored import load_map
from cpc_engine.storage.artifacts import load_model
from cpc_engine.storage.files import MAX_JSON
from cpc_engine.storage.folder import RunFolder, check_resumable
from cpc_engine.storage.info import RunInfo
from cpc_engine.storage.listing import scan_runs
from tests.support.exported import trained
from tests.support.paths import REPOSITORY


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(tmp_path_factory.mktemp("theirs"), run__name="theirs", optimizer__steps=2)


def packed(folder: RunFolder, to: Path, *more: tuple[str | zipfile.ZipInfo, bytes], **instead: bytes | None) -> Path:
    """A zip file of the run, with members added, replaced, or (None) left out."""
    stream = io.BytesIO()
    pack_run(folder, stream)
    with zipfile.ZipFile(stream) as read, zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as out:
        for info in read.infolist():
            part = Path(info.filename).stem + "_" + Path(info.filename).suffix[1:]
            content = instead.get(part, read.read(info))
            if content is not None:
                out.writestr(info.filename, content)
        for name, content in more:
            out.writestr(name, content)
    return to


def refused(path: Path, root: Path, says: str) -> None:
    with pytest.raises(RunError, match=says):
        bring_run(path, root)
    assert not list(root.iterdir()) if root.exists() else True


def test_a_packed_run_comes_back_whole(folder: RunFolder, tmp_path: Path) -> None:
    here, skipped = bring_run(packed(folder, tmp_path / "a.zip"), tmp_path / "runs")
    assert (here.id, skipped) == (folder.id, [])
    assert here.records() == folder.records()
    assert here.config() == folder.config()
    assert load_map(here).features.tolist() == load_map(folder).features.tolist()
    for name in ("weights.safetensors", "checkpoint.safetensors", "map.safetensors"):
        assert (here.path / name).read_bytes() == (folder.path / name).read_bytes()
    again, _ = bring_run(folder.path, tmp_path / "runs")
    assert again.id == f"{folder.id}-2"
    assert {info.id for info in scan_runs(tmp_path / "runs")[0]} == {here.id, again.id}


@pytest.mark.parametrize(
    ("letter", "count"),
    [
        ("a", 255),
        ("é", 127),
        ("e\N{COMBINING ACUTE ACCENT}", 85),
        ("名", 85),
        ("🎵", 63),
        ("🏳️\N{ZERO WIDTH JOINER}🌈", 18),
        ("नि", 42),
        ("กี", 42),
        ("مَ", 63),
        ("한", 85),
    ],
)
def test_a_name_as_long_as_can_be_is_brought_in_again_in_whole_letters(
    folder: RunFolder, tmp_path: Path, letter: str, count: int
) -> None:
    theirs = tmp_path / (letter * count)
    shutil.copytree(folder.path, theirs)
    found = [bring_run(theirs, tmp_path / "runs")[0].id for _ in range(12)]
    assert found[0] == letter * count
    for number, name in enumerate(found[1:], 2):
        kept = name.removesuffix(f"-{number}")
        assert kept == letter * (len(kept) // len(letter))
        assert 150 < len(kept.encode()) <= 200
    assert {info.id for info in scan_runs(tmp_path / "runs")[0]} == set(found)


def test_the_command_tells_what_it_brought(
    folder: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = packed(folder, tmp_path / "a.zip", (f"{folder.id}/evil.py", b"print()"), ("__MACOSX/config.json", b"{}"))
    assert main(["import", str(path), "--runs", str(tmp_path / "runs"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["run"], told["name"], told["status"]) == (folder.id, "theirs", "finished")
    assert [line.rpartition(": ")[0] for line in told["skipped"]] == [f"{folder.id}/evil.py", "__MACOSX/config.json"]
    assert not list((tmp_path / "runs").rglob("*.py"))
    assert main(["import", str(tmp_path / "nowhere.zip"), "--runs", str(tmp_path)]) == 2


def test_a_run_that_had_not_ended_can_be_resumed_here(folder: RunFolder, tmp_path: Path) -> None:
    """Its process number may be that of another program on this machine."""
    info = json.loads((folder.path / "run.json").read_text())
    running = json.dumps({**info, "status": "running", "pid": 1, "pid_started": 0}).encode()
    here, _ = bring_run(packed(folder, tmp_path / "a.zip", run_json=running), tmp_path / "runs")
    assert here.info().status == "interrupted"
    check_resumable(here)


def test_an_example_becomes_ones_own(tmp_path: Path) -> None:
    here, _ = bring_run(REPOSITORY / "checkpoints" / "example-tones", tmp_path)
    assert not here.info().is_example
    assert isinstance(here.info(), RunInfo)
    load_model(here)


@pytest.mark.parametrize(
    "name", ["../out/config.json", "/etc/config.json", "a\\..\\config.json", "C:/config.json", "."]
)
def test_paths_that_lead_out_are_refused(folder: RunFolder, tmp_path: Path, name: str) -> None:
    refused(packed(folder, tmp_path / "a.zip", (name, b"{}")), tmp_path / "runs", "leads out of it")


def test_links_and_special_files_are_refused(folder: RunFolder, tmp_path: Path) -> None:
    link = zipfile.ZipInfo(f"{folder.id}/log.jsonl")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    refused(packed(folder, tmp_path / "a.zip", (link, b"/etc/passwd"), log_jsonl=None), tmp_path / "runs", "a link")
    copy = tmp_path / "copy"
    shutil.copytree(folder.path, copy)
    (copy / "evaluation.json").symlink_to("/etc/passwd")
    refused(copy, tmp_path / "runs", "is a link that leaves")


@pytest.mark.parametrize(
    ("part", "content", "says"),
    [
        ("config_json", b"{", "config.json cannot be read"),
        ("config_json", b'{"format": 99}', "its format is 99"),
        ("config_json", b'{"format": 2, "run": {"hook": "x"}}', "does not fit"),
        ("run_json", b"[]", "run.json is damaged"),
        ("run_json", None, "no run.json"),
        ("config_json", None, "no runs"),
        ("weights_safetensors", None, "weights.safetensors is missing"),
        ("weights_safetensors", b"\x80\x04pickle", "weights.safetensors"),
        ("map_json", b'{"maps": 3}', "map.json is damaged"),
        ("map_safetensors", b"", "map.safetensors"),
        ("checkpoint_safetensors", b"1234567890", "checkpoint.safetensors"),
        ("typicality_safetensors", b"1234567890", "typicality.safetensors"),
    ],
)
def test_damaged_files_are_refused_and_nothing_is_kept(
    folder: RunFolder, tmp_path: Path, part: str, content: bytes | None, says: str
) -> None:
    refused(packed(folder, tmp_path / "a.zip", **{part: content}), tmp_path / "runs", says)


def test_sizes_have_limits(folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    big = json.dumps({"run": "x", "note": "a" * (MAX_JSON + 1)}).encode()
    refused(packed(folder, tmp_path / "a.zip", map_json=big), tmp_path / "runs", "more than any run needs")
    monkeypatch.setattr(bring, "MAX_BYTES", 1000)
    refused(packed(folder, tmp_path / "b.zip"), tmp_path / "runs", "larger than any run needs")
    twice = packed(folder, tmp_path / "c.zip", (f"other/{'config.json'}", b"{}"))
    refused(twice, tmp_path / "runs", "holds 2 runs")
    (tmp_path / "d.zip").write_bytes(b"no zip")
    refused(tmp_path / "d.zip", tmp_path / "runs", "neither a run's folder nor a zip file")


@pytest.mark.parametrize("room", [0, 5_000, 30_000])
def test_a_full_disk_is_named_and_nothing_stays(
    folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    path, root = packed(folder, tmp_path / "a.zip"), tmp_path / "runs"
    left, opened = [room], Path.open

    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            left[0] -= len(data)
            if left[0] < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data)

    def full(self: Path, mode: str = "r", **options: Any) -> Any:
        return Full(self, mode) if mode == "wb" and root in self.parents else opened(self, mode, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(StorageError, match="no space left on the disk"):
            bring_run(path, root)
    assert not list(root.rglob("*"))
    assert bring_run(path, root)[0].records() == folder.records()


@pytest.mark.parametrize("seed", range(10))
def test_damage_in_compressed_bytes_is_one_line(folder: RunFolder, tmp_path: Path, seed: int) -> None:
    path = packed(folder, tmp_path / "a.zip")
    damaged, rng = bytearray(path.read_bytes()), random.Random(seed)
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda info: info.compress_size)
    for _ in range(3):
        place = largest.header_offset + 100 + rng.randrange(largest.compress_size - 100)
        damaged[place] ^= rng.randrange(1, 256)
    path.write_bytes(damaged)
    refused(path, tmp_path / "runs", "nor a zip file of one")


def test_an_error_of_ours_is_not_called_a_bad_file(
    folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(folder: RunFolder) -> None:
        raise RuntimeError("a mistake in the check")

    monkeypatch.setattr(bring, "check_run", fails)
    with pytest.raises(RuntimeError, match="a mistake in the check"):
        bring_run(packed(folder, tmp_path / "a.zip"), tmp_path / "runs")
    assert not list((tmp_path / "runs").iterdir())
