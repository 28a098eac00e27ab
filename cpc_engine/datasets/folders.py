"""The user's own folders: one sub-folder per class."""

from __future__ import annotations

from .spec import USUAL, DatasetSpec

_LOADERS = "cpc_engine.data.folders"
_NATIVE = {**USUAL, "audio.clip_seconds": 2.0, "image.size": 48}

SPECS = (
    DatasetSpec(
        name="image_folder",
        title="My pictures",
        summary="A folder with one sub-folder of pictures per class.",
        modalities=("image",),
        origin="folder",
        native=_NATIVE,
        load=f"{_LOADERS}:image_folder",
        needs=(("data.path", "a folder with one sub-folder of pictures per class"),),
        own_settings=("data.groups", "data.split", "data.held_out"),
    ),
    DatasetSpec(
        name="audio_folder",
        title="My sounds",
        summary="A folder with one sub-folder of sounds per class.",
        modalities=("audio",),
        origin="folder",
        native=_NATIVE,
        load=f"{_LOADERS}:audio_folder",
        needs=(("data.path", "a folder with one sub-folder of sounds per class"),),
        own_settings=("data.groups", "data.split", "data.held_out"),
    ),
    DatasetSpec(
        name="paired_folders",
        title="My pairs",
        summary="Sounds and pictures in two folders with the same class names, paired at random within a class: the "
        "pairing is a label.",
        modalities=("audio", "image"),
        origin="folder",
        native=_NATIVE,
        load=f"{_LOADERS}:paired_folders",
        needs=(
            ("data.path", "the folder of sounds, one sub-folder per class"),
            ("data.image_path", "the folder of pictures, one sub-folder per class"),
        ),
        own_settings=("data.image_path", "data.groups", "data.split", "data.held_out"),
    ),
)
