"""Data sets that are known by name: read from disk, and fetched once the download is allowed."""

from __future__ import annotations

from .spec import USUAL, DatasetSpec

SPECS = (
    DatasetSpec(
        name="cifar10",
        title="CIFAR-10",
        summary="Photographs of 32 × 32 pixels; airplane and automobile unless other classes are named.",
        modalities=("image",),
        origin="download",
        load="cpc_engine.data.cifar10:cifar10",
        within_reach="cpc_engine.data.cifar10:is_within_reach",
        megabytes=170,
        own_settings=("data.download",),
        native={**USUAL, "image.size": 32},
    ),
    DatasetSpec(
        name="fsdd",
        title="Spoken digits",
        summary="3000 recordings of the digits zero to nine by six speakers (Free Spoken Digit Dataset).",
        modalities=("audio",),
        origin="download",
        load="cpc_engine.data.fsdd:fsdd",
        within_reach="cpc_engine.data.fsdd:is_within_reach",
        megabytes=16,
        own_settings=("data.download", "data.split", "data.held_out"),
        native={**USUAL, "audio.sample_rate": 8000, "audio.clip_seconds": 0.8},
    ),
)
