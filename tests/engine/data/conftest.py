"""Folders of pictures and sounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.data_files import write_image, write_tone


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for label, name in enumerate(("cat", "dog")):
        for i in range(10):
            write_image(tmp_path / "pictures" / name / f"sub{i % 2}" / f"{i:02d}.png", 100 * label + i)
    return tmp_path / "pictures"


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    for label, name in enumerate(("cat", "dog")):
        for i in range(8):
            write_tone(tmp_path / "sounds" / name / f"{i}.wav", 300 + 200 * label + i)
    return tmp_path / "sounds"
