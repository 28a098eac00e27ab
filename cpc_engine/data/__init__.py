"""Data sets: `load_dataset(config)` gives train, validation and test items as tensors on one device."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..config import DatasetName, RunConfig
from ..errors import DataError
from . import cifar10, folders, fsdd, synthetic
from .files import Progress, clip_length
from .items import MODALITIES, Dataset, Modality, Split
from .preview import preview_png, preview_wav
from .splits import check_enough

Source = Callable[[RunConfig, torch.device | str, Progress | None], Dataset]

SYNTHETIC: dict[DatasetName, Callable[[RunConfig], Dataset]] = {
    "tones": synthetic.tones,
    "chirps": synthetic.chirps,
    "bars": synthetic.bars,
    "tones_bars": synthetic.tones_bars,
    "keypad": synthetic.keypad,
}
ON_DISK: dict[DatasetName, Source] = {
    "cifar10": cifar10.cifar10,
    "fsdd": fsdd.fsdd,
    "image_folder": folders.image_folder,
    "audio_folder": folders.audio_folder,
    "paired_folders": folders.paired_folders,
}

__all__ = [
    "MODALITIES",
    "ON_DISK",
    "SYNTHETIC",
    "Dataset",
    "Modality",
    "Progress",
    "Split",
    "clip_length",
    "load_dataset",
    "preview_png",
    "preview_wav",
]


def load_dataset(config: RunConfig, device: torch.device | str = "cpu", progress: Progress | None = None) -> Dataset:
    """The data set that `config.data` names, in three splits on `device`.

    Validation items are taken from the training items: whole groups where items of one group must stay together (keypad
    pictures, fsdd's speakers, files of one recording), at random within each class otherwise.

    Args:
        config: data, audio and image sections are read.
        device: where the tensors end up; clips are resampled there too.
        progress: called with (what is being done, share done) while files are fetched or decoded.

    Raises:
        ConfigError: a class, speaker or path that does not exist or is not set, or a sample rate too low for a pitch.
        DataError: missing or empty, fewer than two classes, or too few items of a class.
    """
    name = config.data.dataset
    try:
        data = SYNTHETIC[name](config) if name in SYNTHETIC else ON_DISK[name](config, device, progress)
    except OSError as error:  # a folder that may not be listed, a drive that went away
        raise DataError(f"{name}: cannot read {error.filename or 'the data'}: {error.strerror or error}") from None
    check_enough(name, data.classes, dict(data.splits()), data.skipped)
    return data.to(device)
