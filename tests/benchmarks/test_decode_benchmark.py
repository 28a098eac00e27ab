"""The benchmark of files that are too large: what it calls right, and that the document has every file."""

from __future__ import annotations

from benchmarks.decode import FILES, Decoded, measure, wav
from tests.support.paths import REPOSITORY


def test_a_file_within_the_limits_and_one_beyond_them_are_told_apart() -> None:
    taken, refused = measure("a.wav", wav(8000, 1)), measure("b.wav", wav(8000, 64))
    assert taken.words.startswith("sound")
    assert refused.words == "b.wav: 64 channels; at most 16 are taken"
    for found in (taken, refused):
        assert found.right
        assert found.megabytes > 5  # an interpreter at least


def test_what_is_slow_large_or_a_crash_is_wrong() -> None:
    assert Decoded("sound", 1.0, 100.0).right
    assert not Decoded("sound", 11.0, 100.0).right
    assert not Decoded("sound", 1.0, 1200.0).right
    assert not Decoded("x: its decoder crashed; the file is damaged or hostile", 1.0, 100.0).right
    assert not Decoded("x: two\nlines", 1.0, 100.0).right


def test_the_document_has_every_file() -> None:
    text = (REPOSITORY / "docs" / "reliability.md").read_text(encoding="utf-8")
    part = text[text.index("<!-- decode -->") : text.index("<!-- /decode -->")]
    assert [title for title in FILES if f"| {title} |" not in part] == []
