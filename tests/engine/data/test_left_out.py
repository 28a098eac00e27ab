"""What is left out of a folder of data is told: files beside the class folders, and the ends of long sounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.data_files import load, write_image, write_tone


def left_out(path: Path) -> list[str]:
    return [line for line in load("image_folder", path=str(path)).remarks if "beside the class folders" in line]


@pytest.mark.parametrize("parts", [("",), ("inside",), ("train", "test")])
def test_files_beside_the_class_folders_are_told(parts: tuple[str, ...], tmp_path: Path) -> None:
    shade = 0
    for part in parts:
        for title in ("cat", "dog"):
            for number in range(10):
                write_image(tmp_path / part / title / f"{number}.png", shade := shade + 5)
    (tmp_path / "read me.txt").write_text("no data")
    (tmp_path / parts[0] / ".hidden.png").write_bytes(b"")
    assert left_out(tmp_path) == []
    write_image(tmp_path / "x.png")
    assert left_out(tmp_path) == ["1 file beside the class folders is left out, for example x.png"]
    beside = tmp_path / (parts[-1] if len(parts) > 1 else "")  # a file in the only folder would make that one a class
    write_tone(beside / "y.wav")
    write_image(beside / "z.JPG")
    assert left_out(tmp_path) == ["3 files beside the class folders are left out, for example x.png"]


def test_sounds_that_are_not_read_to_their_end_are_told(tmp_path: Path) -> None:
    for title, hertz in (("high", 900), ("low", 300)):
        for number in range(12):
            write_tone(tmp_path / title / f"{number}.wav", hertz + number, seconds=1)

    def told() -> list[str]:
        return [line for line in load("audio_folder", path=str(tmp_path)).remarks if "longer" in line]

    write_tone(tmp_path / "low" / "just.wav", 350, seconds=60)
    assert told() == []
    write_tone(tmp_path / "low" / "long.wav", 360, seconds=61)
    assert told() == ["1 sound is longer than 60 s: of it the first 60 s are read, for example low/long.wav"]
    write_tone(tmp_path / "high" / "long.wav", 960, seconds=70)
    assert told() == ["2 sounds are longer than 60 s: of each the first 60 s are read, for example high/long.wav"]
