"""Data sets as tensors: `load_dataset(config)` returns training, validation, and test items on one device."""

from __future__ import annotations

import json

import torch

from ..config import RunConfig
from ..datasets import DATASETS
from ..datasets.spec import DatasetSpec
from .dataset import Dataset, Split
from .follow import follow_data, reading, require_paths
from .loading import Progress
from .preview import item_media, preview_png, preview_wav
from .sharing import made_once, shared_data
from .splits import check_enough

__all__ = [
    "Dataset",
    "Progress",
    "Split",
    "follow_data",
    "item_media",
    "load_dataset",
    "preview_png",
    "preview_wav",
]


def load_dataset(config: RunConfig, device: torch.device | str = "cpu", progress: Progress | None = None) -> Dataset:
    """Load the data set named by `config.data.dataset` as three splits on `device`.

    Validation items are taken from the training items. Where items of one group must stay together (copies of a keypad
    image, speakers of fsdd, files of one recording), whole groups are held out; otherwise items are drawn at random
    within each class. Tensors that are loaded elsewhere in this process are the same ones (see `sharing`).

    Args:
        config: only the sections `data`, `audio`, and `image` are read. Settings that follow from the data are those of
            `follow_data`.
        device: device of the returned tensors. Audio clips are resampled there too.
        progress: called with (description, fraction done) while files are downloaded or decoded.

    Raises:
        ConfigError: a class, speaker, or path does not exist or is not set, or the sample rate is too low for a pitch.
        DataError: the data are missing or empty, or there are fewer than two classes or too few items of a class.

    Example:
        >>> config = RunConfig().replace({"data.dataset": "bars", "data.train_items": 40, "data.test_items": 16})
        >>> data = load_dataset(config)
        >>> data.test.image.shape
        torch.Size([16, 3, 64, 64])
        >>> len(data.train) + len(data.validation)
        40
    """
    spec = DATASETS[config.data.dataset]
    require_paths(config)
    if spec.origin != "generated":
        return _load(spec, config, device, progress)
    # Two runs that begin together, or a run and the page that has shown its data, need not make them twice.
    sections = config.to_dict()
    decisive = [sections["data"], sections["audio"], sections["image"], str(device)]
    return made_once(json.dumps(decisive), lambda: _load(spec, config, device, progress))


def _load(spec: DatasetSpec, config: RunConfig, device: torch.device | str, progress: Progress | None) -> Dataset:
    config = follow_data(config)
    with reading(spec.name):
        data: Dataset = spec.loader(config, device, progress)
    check_enough(spec.name, data.classes, dict(data.splits()), data.skipped, data.remarks)
    return shared_data(data.to(device))
