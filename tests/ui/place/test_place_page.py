"""The Place page without a browser: every way in, the card of an item, and what cannot be placed."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import soundfile
from PIL import Image
from streamlit.testing.v1 import AppTest

from cpc_engine.data.signals import synthesize
from cpc_engine.evaluation.ood import Verdict
from cpc_engine.media import PICTURES, SOUNDS, Picture, Sound
from cpc_engine.placing import Placement, Placer
from cpc_engine.storage.folder import RunFolder
from tests.engine.media.test_odd_files import ACCEPTED, REFUSED
from ui.shell.errors import BROKE

pytest_plugins = ["tests.support.explored"]

PLACE = "pages/place.py"
Page = Callable[..., AppTest]


@pytest.fixture
def run(runs: Path, keypad: Path) -> Path:
    return Path(shutil.copytree(keypad, runs / keypad.name))


def tone_wav(rate: int = 16000, seconds: float = 0.5) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, synthesize("dtmf", key="5", rate=rate, seconds=seconds), rate, format="WAV")
    return buffer.getvalue()


def photo(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2 : 2] = 255  # only the left half is striped
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def choose(test: AppTest, way: str) -> AppTest:
    test.pills(key="way").set_value(way).run()
    return test


def sound(test: AppTest) -> None:
    assert not test.exception
    assert not test.error
    assert not test.warning


def captions(test: AppTest) -> str:
    return " ".join(one.value for one in test.caption)


def placed(test: AppTest) -> list[str]:
    """Names on the cards, newest first."""
    return [one.value for one in test.markdown if " · " in one.value and one.value.startswith("**")]


def unescaped(markdown: str) -> str:
    return re.sub(r"\\(.)", r"\1", markdown)


def test_without_runs_one_click_leads_on(page: Page, runs: Path) -> None:
    test = page(PLACE)
    sound(test)
    assert test.button(key="go")


def test_a_recording_lands_with_everything_said_about_it(page: Page, run: Path) -> None:
    test = page(PLACE)
    sound(test)
    assert "lights up on the map" in test.info[0].value
    test.audio_input(key="mic").set_value(("recording.wav", tone_wav(), "audio/wav")).run()
    sound(test)
    assert "1 placed" in [one.value for one in test.header]
    words = captions(test)
    for part in ("What it hears: 0.5 s", "peak", "perturbed copies", "nearest dots", "cosine"):
        assert part in words
    assert any("Typicality" in one.value for one in test.markdown)
    [verdict] = [one.value for one in test.markdown if one.value.startswith(("★ **1** ", "☆ **1** "))]
    assert re.search(r"  \n:(green|orange|red|gray)\[", verdict), "beside the map, not only on the card below it"
    assert any("Nearest pictures" in one.value for one in test.markdown), "from sound to pictures"
    chances = test.dataframe[0].value
    assert chances["Probability"].is_monotonic_decreasing
    assert 0 < chances["Probability"].sum() <= 1.0001
    test.run()
    assert "1 placed" in [one.value for one in test.header], "the same recording is placed once"
    test.button(key="remove-1").click().run()
    sound(test)
    assert not test.header


def test_files_are_placed_together_and_a_bad_one_spoils_none(page: Page, run: Path) -> None:
    test = choose(page(PLACE), "files")
    files = [
        ("five.wav", tone_wav(48000, 2.0), "audio/wav"),
        ("wide.png", photo(90, 30), "image/png"),
        ("broken.wav", b"RIFF\x00\x00\x00\x00WAVEjunk", "audio/wav"),
        ("empty.png", b"", "image/png"),
    ]
    test.file_uploader(key="files").set_value(files).run()
    assert not test.exception
    assert "4 placed" in [one.value for one in test.header]
    assert len(test.error) == 2
    assert not any(BROKE in error.value for error in test.error)
    table = test.dataframe[0].value
    assert list(table["Item"]) == ["five.wav", "wide.png", "broken.wav", "empty.png"]
    assert table["Class"].notna().tolist() == [True, True, False, False]
    assert any("Window by window" in one.label for one in test.expander), "2 s are a path of windows"
    test.button(key="clear").click().run()
    assert not test.header


@pytest.mark.parametrize("count", [12, 15])
def test_files_beyond_those_that_are_kept_are_told(page: Page, run: Path, count: int) -> None:
    test = choose(page(PLACE), "files")
    files = [(f"{number}.png", photo(40 + number, 40), "image/png") for number in range(1, count + 1)]
    test.file_uploader(key="files").set_value(files).run()
    for _ in range(2):
        sound(test)
        assert "12 placed" in [one.value for one in test.header]
        assert list(test.dataframe[0].value["Item"]) == [name for name, *_ in files[-12:]]
        told = [one.value for one in test.info]
        assert any(f"Of {count} files the 12 newest are kept" in one for one in told) == (count > 12), told
        test.run()


def test_what_is_unlike_the_training_data_has_no_class(page: Page, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Placer.place

    def far(placer: Placer, item: Sound | Picture) -> Placement:
        placement = place(placer, item)
        windows = [replace(window, typicality=0.5) for window in placement.windows]
        unlike = get_args(Verdict)[2]
        return replace(placement, typicality=0.5, validation_items=199, verdict=unlike, windows=windows)

    monkeypatch.setattr(Placer, "place", far)
    test = choose(page(PLACE), "files")
    files = [("five.wav", tone_wav(48000, 2.0), "audio/wav"), ("wide.png", photo(90, 30), "image/png")]
    test.file_uploader(key="files").set_value(files).run()
    sound(test)
    assert "Out of distribution" in captions(test)
    everything, windows = (one.value for one in test.dataframe)
    assert everything[["Class", "Probability"]].isna().all(axis=None)
    assert everything["Verdict"].str.startswith("unlike").all(), "why there is none"
    assert len(windows) > 1
    assert windows["Class by the probe"].isna().all()


def test_windows_without_typicality_keep_their_classes(page: Page, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Placer.place

    def untold(placer: Placer, item: Sound | Picture) -> Placement:
        placement = place(placer, item)
        return replace(placement, windows=[replace(window, typicality=None) for window in placement.windows])

    monkeypatch.setattr(Placer, "place", untold)
    test = choose(page(PLACE), "files")
    test.file_uploader(key="files").set_value([("five.wav", tone_wav(48000, 2.0), "audio/wav")]).run()
    sound(test)
    windows = test.dataframe[-1].value
    assert windows["Class by the probe"].notna().all()
    assert "Typicality" not in windows
    assert "not told by window" in captions(test)


# The uploader itself refuses names that end otherwise. The page keeps 12 items, so the files come in groups.
TAKEN = sorted(name for name in ACCEPTED.keys() | REFUSED.keys() if Path(name).suffix in (*SOUNDS, *PICTURES))
ODD = [TAKEN[start::4] for start in range(4)]


@pytest.mark.parametrize("names", ODD, ids=lambda names: names[0])
def test_odd_files_get_a_card_or_one_clear_line(page: Page, run: Path, shared: Path, names: list[str]) -> None:
    folder = shared / "data" / "odd_inputs"
    test = choose(page(PLACE), "files")
    test.file_uploader(key="files").set_value([(name, (folder / name).read_bytes(), "") for name in names]).run()
    assert not test.exception
    assert f"{len(names)} placed" in [one.value for one in test.header]
    shown = " ".join(unescaped(one) for one in placed(test))
    assert all(f" · {name}**" in shown for name in names)
    said = [unescaped(one.value) for one in test.error]
    refused = REFUSED.keys() & set(names)
    assert len(said) == len(refused)
    for name in refused:
        assert any(one.startswith(f"{name}: ") and REFUSED[name] in one and "\n" not in one for one in said), said


def test_the_part_of_a_wide_picture_is_the_readers_choice(page: Page, run: Path) -> None:
    test = choose(page(PLACE), "files")
    test.file_uploader(key="files").set_value([("wide.png", photo(90, 30), "image/png")]).run()
    before = test.dataframe[0].value
    chances = []
    for part in (0.0, 1.0):
        test.segmented_control(key="crop-1").set_value(part).run()
        sound(test)
        chances.append(test.dataframe[0].value["Probability"].tolist())
    assert chances[0] != chances[1], "stripes on the left, nothing on the right"
    assert len(before) == 5


def test_the_camera_asks_only_when_it_is_switched_on(page: Page, run: Path) -> None:
    test = choose(page(PLACE), "camera")
    assert not test.get("camera_input")
    test.toggle(key="camera-on").set_value(True).run()
    test.camera_input(key="camera").set_value(("photo.jpg", photo(64, 64), "image/jpeg")).run()
    sound(test)
    assert "1 placed" in [one.value for one in test.header]
    assert any("Nearest sounds" in one.value for one in test.markdown)


def test_samples_of_the_run_are_at_hand(page: Page, run: Path) -> None:
    test = choose(page(PLACE), "samples")
    for kind in ("audio", "image"):
        test.segmented_control(key="sample-kind").set_value(kind).run()
        test.button(key="sample").click().run()
        sound(test)
    assert "2 placed" in [one.value for one in test.header]
    near = [one for one in test.caption if "cosine 1.00" in one.value]
    assert len(near) >= 2, "each is on the map already, so it is its own neighbor"


@pytest.mark.parametrize("kind", ["tone", "dtmf", "chirp", "noise"])
def test_a_sound_can_be_made(page: Page, run: Path, kind: str) -> None:
    test = choose(page(PLACE), "synthesizer")
    test.segmented_control(key="synth").set_value(kind).run()
    test.button(key="synth-place").click().run()
    sound(test)
    assert "1 placed" in [one.value for one in test.header]


def test_only_ways_in_that_the_run_knows_are_offered(page: Page, run: Path) -> None:
    assert len(page(PLACE).pills(key="way").options) == 6
    folder = RunFolder(run)
    folder.save_json("config", folder.config().replace({"data.test_items": 50}).to_dict())
    test = page(PLACE)
    assert len(test.pills(key="way").options) == 5, "no samples without the data"
    test.audio_input(key="mic").set_value(("recording.wav", tone_wav(), "audio/wav")).run()
    assert not test.exception
    assert not test.error
    assert "no previews" in captions(test)


@pytest.mark.parametrize(
    "broken", ["run.json", "map.json", "map.safetensors", "probe.safetensors", "weights.safetensors"]
)
@pytest.mark.parametrize("how", ["half", "gone"])
def test_a_broken_folder_is_one_sentence(page: Page, run: Path, broken: str, how: str) -> None:
    content = (run / broken).read_bytes()
    (run / broken).write_bytes(content[: len(content) // 2])
    if how == "gone":
        (run / broken).unlink()
    test = page(PLACE, run=run.name)
    assert not test.exception
    assert not any(BROKE in error.value for error in test.error)


def test_an_address_with_nonsense_shows_the_usual_page(page: Page, run: Path) -> None:
    test = page(PLACE, run="../x", way="telepathy", method="som")
    assert not test.exception
    assert not test.error
