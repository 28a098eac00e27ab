"""Data sets that are made from a seed: no files needed."""

from __future__ import annotations

from .spec import DatasetSpec

_LOADERS = "cpc_engine.data.generated"

SPECS = (
    DatasetSpec(
        name="tones",
        title="Tones",
        summary="Steady sine tones of four pitches, one octave apart.",
        modalities=("audio",),
        origin="generated",
        load=f"{_LOADERS}:tones",
        stationary=True,
    ),
    DatasetSpec(
        name="chirps",
        title="Chirps",
        summary="Moving pitches: up, down, hat, valley and warble.",
        modalities=("audio",),
        origin="generated",
        load=f"{_LOADERS}:chirps",
    ),
    DatasetSpec(
        name="bars",
        title="Bars",
        summary="Gratings: wide or narrow, horizontal or vertical, in random colors.",
        modalities=("image",),
        origin="generated",
        load=f"{_LOADERS}:bars",
    ),
    DatasetSpec(
        name="tones_bars",
        title="Tones and bars",
        summary="Pairs of a tone and a grating, drawn at random within a class: the pairing is a label.",
        modalities=("audio", "image"),
        origin="generated",
        load=f"{_LOADERS}:tones_bars",
        stationary=True,
    ),
    DatasetSpec(
        name="keypad",
        title="Telephone keypad",
        summary="Pairs of a telephone key's tones and a handwritten digit, drawn at random within a class: the pairing "
        "is a label.",
        modalities=("audio", "image"),
        origin="generated",
        load=f"{_LOADERS}:keypad",
        stationary=True,
    ),
)
