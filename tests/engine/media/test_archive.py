"""Zip files from strangers: what is unpacked, what is left out, and what is refused without a trace."""

from __future__ import annotations

import io
import os
import random
import stat
import zipfile
from pathlib import Path

import pytest

from cpc_engine.errors import MediaError
from cpc_engine.media import archive
from cpc_engine.media.archive import unpack


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes], compress: int = zipfile.ZIP_DEFLATED) -> io.BytesIO:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compress) as opened:
        for name, content in members:
            opened.writestr(name, content)
    stream.seek(0)
    return stream


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_sounds_and_pictures_are_unpacked_and_the_rest_is_named(tmp_path: Path) -> None:
    stream = zipped(
        ("dog/1.wav", b"a"),
        ("cat/x/2.PNG", b"b"),
        ("notes.txt", b"c"),
        ("__MACOSX/dog/1.wav", b"d"),
        (".hidden.wav", b""),
    )
    skipped = unpack(stream, tmp_path / "to")
    assert files(tmp_path / "to") == {"dog/1.wav", "cat/x/2.PNG"}
    assert skipped == ["notes.txt: neither a sound nor a picture"]


@pytest.mark.parametrize(
    "name", ["../out.wav", "a/../../out.wav", "/out.wav", "a\\..\\out.wav", "C:/out.wav", "z:/out.wav", "."]
)
def test_a_path_that_leads_out_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(MediaError, match="leads out of it"):
        unpack(zipped(("dog/1.wav", b"a"), (name, b"b")), tmp_path / "to")
    assert files(tmp_path) == set()


@pytest.mark.parametrize("name", ["..\\out.wav", "\\out.wav", "\\\\host\\share\\out.wav", "C:\\out.wav"])
def test_a_path_of_windows_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(MediaError, match="leads out of it"):
        unpack(zipped(("dog/1.wav", b"a"), (name, b"b")), tmp_path / "to")
    assert files(tmp_path) == set()


def test_paths_with_the_separators_of_windows_are_read(tmp_path: Path) -> None:
    stream = zipped(
        ("mine\\", b""),
        ("mine\\dog\\1.wav", b"a"),
        ("mine/cat\\2.png", b"b"),
        ("mine\\dog/1.wav", b"c"),
        (".x\\3.wav", b""),
    )
    assert unpack(stream, tmp_path / "to") == ["mine\\dog/1.wav: there twice"]
    assert files(tmp_path / "to") == {"mine/dog/1.wav", "mine/cat/2.png"}
    assert (tmp_path / "to" / "mine" / "dog" / "1.wav").read_bytes() == b"a"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
@pytest.mark.parametrize("title", ["1:2", "12:30", "a:b", ":"])
def test_a_class_whose_name_has_a_colon_is_no_drive(tmp_path: Path, title: str) -> None:
    unpack(zipped((f"{title}/1.wav", b"a")), tmp_path / "to")
    assert files(tmp_path / "to") == {f"{title}/1.wav"}


def test_a_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("dog/1.wav")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(MediaError, match="a link"):
        unpack(zipped((link, b"/etc/passwd")), tmp_path / "to")
    assert files(tmp_path) == set()


def test_a_bomb_is_left_out_without_being_unpacked(tmp_path: Path) -> None:
    """Its header says 10 GB; the file itself is small."""
    stream = zipped(("dog/zeros.wav", bytes(1000)), ("dog/1.wav", b"a"))
    content = bytearray(stream.getvalue())
    entry = content.index(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = (2**32 - 2).to_bytes(4, "little")  # the unpacked size of the first member
    skipped = unpack(io.BytesIO(bytes(content)), tmp_path / "to")
    assert files(tmp_path / "to") == {"dog/1.wav"}
    assert "4,096 MiB" in skipped[0]


def test_a_header_that_lies_gives_no_more_than_it_says(tmp_path: Path) -> None:
    stream = zipped(("dog/zeros.wav", bytes(1_000_000)))
    content = bytearray(stream.getvalue())
    entry = content.index(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = (10).to_bytes(4, "little")
    with pytest.raises(MediaError, match="damaged"):
        unpack(io.BytesIO(bytes(content)), tmp_path / "to")


def test_too_many_files_and_too_much_in_all_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = zipped(*((f"dog/{number}.wav", bytes(100)) for number in range(12)))
    monkeypatch.setattr(archive, "MAX_BYTES", 1000)
    with pytest.raises(MediaError, match="GiB are the most"):
        unpack(stream, tmp_path / "to")
    monkeypatch.setattr(archive, "MAX_FILES", 10)
    with pytest.raises(MediaError, match="12 files; 10 are the most"):
        unpack(stream, tmp_path / "to")
    assert files(tmp_path) == set()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a zip file"),
        (b"PK\x03\x04 and then something else", "not a zip file"),
        (zipped().getvalue(), "no sounds and no pictures"),
        (zipped(("notes.txt", b"a")).getvalue(), "left out: notes.txt"),
    ],
)
def test_what_is_no_use_is_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(MediaError, match=words):
        unpack(io.BytesIO(content), tmp_path / "to")


def test_half_a_zip_file_is_refused(tmp_path: Path) -> None:
    whole = zipped(("dog/1.wav", bytes(range(256)) * 40), compress=zipfile.ZIP_STORED).getvalue()
    broken = bytearray(whole)
    broken[200] ^= 0xFF  # within the member: its checksum tells
    for content in (whole[: len(whole) // 2], bytes(broken)):
        with pytest.raises(MediaError, match=r"not a zip file|damaged"):
            unpack(io.BytesIO(content), tmp_path / "to")


@pytest.mark.parametrize("seed", range(40))
def test_damage_in_compressed_bytes_is_one_line(tmp_path: Path, seed: int) -> None:
    damaged = bytearray(zipped(("dog/1.wav", bytes(range(256)) * 400)).getvalue())
    rng = random.Random(seed)
    for _ in range(3):
        damaged[rng.randrange(40, len(damaged) - 80)] ^= rng.randrange(1, 256)
    with pytest.raises(MediaError, match="damaged"):
        unpack(io.BytesIO(bytes(damaged)), tmp_path / "to")
