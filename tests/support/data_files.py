"""Small files and folders of data, and what every data set keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from PIL import Image

from cpc_engine.config import RunConfig
from cpc_engine.data import Dataset, Split, load_dataset


def load(dataset: str, **data: Any) -> Dataset:
    changes = {f"data.{key}": value for key, value in data.items()}
    return load_dataset(RunConfig().replace({"data.dataset": dataset, "image.size": 32, **changes}))


def same(a: Split, b: Split) -> bool:
    pairs = [(a.audio, b.audio), (a.image, b.image), (a.labels, b.labels)]
    return all(x is None or torch.equal(x, y) for x, y in pairs) and a.names == b.names


def disjoint(sets: list[set[str]]) -> bool:
    return len(set.union(*sets)) == sum(map(len, sets))


def check_format(data: Dataset) -> None:
    """Check the shapes, types, and splits that `data/dataset.py` documents."""
    for _, split in data.splits():
        count = len(split)
        assert count == len(split.names) == len(split.groups)
        assert split.labels.dtype == torch.int64
        assert set(split.labels.tolist()) == set(range(len(data.classes)))
        if split.audio is not None:
            lengths = split.lengths
            assert split.audio.dtype == torch.int16
            assert lengths is not None or split.audio.shape == (count, 16000)
            if lengths is not None:
                assert split.audio.shape[1] >= lengths.max()
                assert lengths.min() >= 16000
                assert all((split.audio[row, length:] == 0).all() for row, length in enumerate(lengths.tolist()))
        if split.image is not None:
            assert split.image.shape == (count, 3, data.image_side, data.image_side)
            assert split.image.dtype == torch.uint8
            assert split.image.is_contiguous()
    names = [set(split.names) for _, split in data.splits()]
    assert disjoint(names)
    assert (data.sample_rate > 0) == ("audio" in data.modalities)
    assert (data.image_side > 0) == ("image" in data.modalities)


def write_tone(path: Path, hertz: float = 440, rate: int = 8000, seconds: float = 0.3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate), rate)


def write_image(path: Path, shade: int = 100) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (50, 40), (shade, 0, 255 - shade)).save(path)


def write_npz(path: Path, **changes: Any) -> str:
    x, y = np.zeros((80, 32, 32, 3), np.uint8) + np.arange(80, dtype=np.uint8)[:, None, None, None], np.arange(40) % 10
    arrays = {"x_train": x[:40], "y_train": y, "x_test": x[40:], "y_test": y, **changes}
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return str(path)
