"""Odd items, many items, many threads, and runs that cannot place any."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest

import cpc_engine
from cpc_engine.errors import DataError, RunError
from cpc_engine.media import Picture, Sound
from cpc_engine.placing import Placement, Placer
from cpc_engine.storage.folder import RunFolder
from tests.support.placed import TYPICAL, assert_alike, noise_picture, tone, wav
from tests.support.tiny import tiny


def test_odd_sounds_are_told_in_words(tones: Placer) -> None:
    def notes(samples: np.ndarray, rate: int = 8000) -> str:
        return "; ".join(tones.place(Sound(samples.astype(np.float32), rate)).notes)

    assert notes(tone(0.5).samples) == ""
    assert "silence: every sample is zero" in notes(np.zeros(4000))
    assert notes(np.zeros(16_000)) == "this is silence: every sample is zero", "it has no loudest part"
    assert "nearly silent: its loudest moment is 80 dB below full scale" in notes(tone(0.5, level=1e-4).samples)
    assert "clipped" in notes((2 * tone(0.5, level=1.0).samples).clip(-1, 1))
    assert "clipped" not in notes(tone(0.5, 440, level=1.0).samples)
    assert "very short: 0.10 s in a window of 0.5 s" in notes(tone(0.1).samples)


def test_odd_pictures_are_told_in_words(bars: Placer) -> None:
    assert bars.place(noise_picture()).notes == ()
    assert "single flat color" in " ".join(bars.place(Picture(np.full((40, 40, 3), 9, np.uint8))).notes)
    assert "very small: 8×9 pixels" in " ".join(bars.place(noise_picture(9, 8)).notes)
    assert "only its center square" in " ".join(bars.place(noise_picture(40, 80)).notes)
    decoded = Picture(noise_picture().pixels, ("only the first of its frames was used",))
    assert bars.place(decoded).notes == decoded.notes


@pytest.mark.parametrize(("kind", "other"), [("tones", "pictures"), ("bars", "sounds")])
def test_the_wrong_kind_of_item_is_told(kind: str, other: str, request: pytest.FixtureRequest) -> None:
    item = tone(0.5) if other == "sounds" else noise_picture()
    with pytest.raises(DataError, match=rf"^this run learned from \w+, it cannot place {other}$"):
        request.getfixturevalue(kind).place(item)


def test_one_bad_item_does_not_spoil_the_others(tones: Placer, tmp_path: Path) -> None:
    (tmp_path / "good.wav").write_bytes(wav(tone(0.5)))
    items = [tmp_path / "good.wav", str(tmp_path / "none.wav"), ("bytes.wav", wav(tone(0.5))), ("bad", b"RIFF0000WAVE")]
    found = cpc_engine.place(tones.folder.path, [*items, tone(0.5), noise_picture()])
    names = [str(items[0]), items[1], "bytes.wav", "bad", "sound 5", "picture 6"]
    assert [placed.name for placed in found] == names
    assert [placed.error is None for placed in found] == [True, False, True, False, True, False]
    assert [placed.placement is None for placed in found] == [False, True, False, True, False, True]
    assert found[1].error == "none.wav: no such file"
    assert found[5].error == "this run learned from sounds, it cannot place pictures"
    first = found[0].placement
    assert first is not None
    for placed in (found[2], found[4]):
        assert placed.placement is not None
        assert_alike(first, placed.placement)


def test_a_single_item_of_any_kind_needs_no_list(tones: Placer, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(tone(0.5)))
    path = tmp_path / "a.wav"
    for item in (path, str(path), ("a.wav", wav(tone(0.5))), tone(0.5)):
        [placed] = cpc_engine.place(tones.folder.path, item)
        assert placed.error is None
    assert len(cpc_engine.place(tones.folder.path, (path, path))) == 2, "any sequence of them"


def test_what_the_command_line_prints_is_plain_json(pairs: Placer) -> None:
    (placed,) = pairs.place_all([tone(1.2)])
    document = placed.to_dict()
    again = json.loads(json.dumps(document, allow_nan=False))
    assert again["verdict"] in TYPICAL
    assert set(again) >= {"file", "status", "x", "y", "neighbors", "cross_modal", "probabilities", "typicality"}
    assert [again["x"], again["y"]] == again["positions"]["pca"]
    assert again["windows"][1]["start"] == 0.25
    assert set(again["neighbors"][0]) == {"source", "label", "modality", "cosine", "row"}
    assert set(again["stability"]) == {"cosine", "agreement", "copies"}


def test_many_threads_place_at_once(pairs: Placer) -> None:
    items: list[Sound | Picture] = [tone(0.5, 200 + 90 * i) for i in range(6)]
    items += [Picture(np.roll(noise_picture().pixels, i, 0)) for i in range(6)]
    expected = [pairs.place(item) for item in items]
    found: dict[int, Placement] = {}

    def work(i: int) -> None:
        found[i] = pairs.place(items[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(items))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, one in enumerate(expected):
        assert_alike(one, found[i])


def test_a_run_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run 'nothing'"):
        cpc_engine.place("nothing", [])
    with pytest.raises(RunError, match="never began"):
        cpc_engine.place(RunFolder.create(tmp_path, tiny()), [])
