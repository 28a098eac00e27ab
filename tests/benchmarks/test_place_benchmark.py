"""The benchmark of how soon an item lights up."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.place import TRAINS, command_line, engine, pictures, sounds, text
from cpc_engine.media import Picture, Sound, decode
from cpc_engine.presets import PRESETS
from cpc_engine.storage.folder import RunFolder
from tests.support.tiny import CHANGES

pytest_plugins = ["tests.support.explored"]


def test_its_files_are_what_a_browser_sends() -> None:
    heard, seen = [decode(data, "x") for data in sounds(12)], [decode(data, "x") for data in pictures(3)]
    assert all(isinstance(one, Sound) and (one.rate, one.seconds) == (48_000, 2.0) for one in heard)
    assert all(isinstance(one, Picture) and one.pixels.shape == (585, 1040, 3) for one in seen)
    assert len(set(sounds(12))) == 10
    assert len(set(pictures(3))) == 3


@pytest.mark.slow
def test_every_phase_is_measured(keypad: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {path: value for path, value in CHANGES.items() if path != "data.dataset"}
    monkeypatch.setitem(PRESETS, TRAINS, replace(PRESETS[TRAINS], changes=PRESETS[TRAINS].changes | small))
    found = engine(RunFolder(keypad), 2)
    assert found["open_s"] > 0
    for modality in ("audio", "image"):
        for kind in ("idle", "training"):
            one = found[modality][kind]
            assert 0 < one["p50_ms"] <= one["p90_ms"] < math.inf
            assert one["decode"]["p50_ms"] + one["place"]["p50_ms"] <= 2 * one["p90_ms"]
    costs = command_line(RunFolder(keypad), rounds=1)
    assert costs["embed"]["cpu_s"] > costs["import_torch"]["cpu_s"] > 0
    assert costs["embed"]["peak_mib"] > costs["import_torch"]["peak_mib"] > 50
    said = text({"run": "a run", "items": 2, "engine": found, "command_line": costs})
    assert "import torch" in said
    assert "audio, training" in said
    assert "image, idle" in said
