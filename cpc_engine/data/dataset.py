"""The tensor form of a data set, `Dataset` and `Split`, which stays on the training device."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ..terms import MODALITIES, Modality


@dataclass(frozen=True)
class Split:
    """Items of one split. Row i of every field belongs to the same item.

    Attributes:
        audio: (N, W) int16 mono recordings at the data set's sample rate, padded with zeros at the end; None if the
            data set has no audio.
        image: (N, 3, H, W) uint8 RGB images at the data set's native size; None if the data set has no images.
        labels: (N,) int64 indices into the data set's classes.
        names: N unique ids that state the origin of each item (a relative path, or "tones/train/17").
        groups: N group ids, for example a speaker or a source recording. Items of one group stay in one split.
        lengths: (N,) int64 samples of each recording, at least those of a clip, if some have more (see
            `data.windows`). None if W is the length of a clip.

    Example:
        >>> clips, names = torch.zeros(3, 800, dtype=torch.int16), ("a", "b", "c")
        >>> split = Split(audio=clips, image=None, labels=torch.tensor([0, 1, 0]), names=names, groups=names)
        >>> split.modalities, split.take(torch.tensor([2, 0])).names
        (('audio',), ('c', 'a'))
    """

    audio: Tensor | None
    image: Tensor | None
    labels: Tensor
    names: tuple[str, ...]
    groups: tuple[str, ...]
    lengths: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities that the items have, in the order of `MODALITIES`."""
        return tuple(m for m in MODALITIES if self.values(m) is not None)

    def values(self, modality: Modality) -> Tensor | None:
        """The tensor of one modality, or None if the items lack it."""
        return self.audio if modality == "audio" else self.image

    def recording(self, row: int) -> Tensor:
        """The samples of one item, without padding."""
        assert self.audio is not None
        return self.audio[row] if self.lengths is None else self.audio[row, : int(self.lengths[row])]

    def take(self, rows: Tensor) -> Split:
        """Select the items at `rows` ((n,) int64), in that order."""
        picked = rows.tolist()
        rows = rows.to(self.labels.device)
        return Split(
            audio=None if self.audio is None else self.audio[rows],
            image=None if self.image is None else self.image[rows],
            labels=self.labels[rows],
            names=tuple(self.names[i] for i in picked),
            groups=tuple(self.groups[i] for i in picked),
            lengths=None if self.lengths is None else self.lengths[rows],
        )

    def to(self, device: torch.device | str) -> Split:
        """Copy all tensors to `device`."""
        return replace(
            self,
            audio=None if self.audio is None else self.audio.to(device),
            image=None if self.image is None else self.image.to(device),
            labels=self.labels.to(device),
            lengths=None if self.lengths is None else self.lengths.to(device),
        )


@dataclass(frozen=True)
class Dataset:
    """Three splits, and the properties needed to preprocess a new item in the same way.

    Attributes:
        name: key of the data set in `datasets.DATASETS`.
        classes: class names; labels index into them.
        train: items to train on.
        validation: items for metrics during training and for model selection.
        test: items for the final evaluation.
        sample_rate: sample rate of `audio` in Hz; 0 without audio.
        image_side: native height and width of `image` in px; 0 without images.
        skipped: one line "relative/path: reason" for each file that could not be used.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    sample_rate: int = 0
    image_side: int = 0
    skipped: tuple[str, ...] = field(default=())

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities of the items, in the order of `MODALITIES`."""
        return self.train.modalities

    def splits(self) -> Iterator[tuple[str, Split]]:
        """Yield ("train", …), ("validation", …), and ("test", …)."""
        yield "train", self.train
        yield "validation", self.validation
        yield "test", self.test

    def fingerprint(self) -> str:
        """Return 64 hexadecimal digits (SHA-256) that change with any item's content, label, or name, or its split.

        Example:
            >>> pictures, labels = torch.zeros(0, 3, 8, 8, dtype=torch.uint8), torch.zeros(0, dtype=torch.int64)
            >>> empty = Split(None, pictures, labels, (), ())
            >>> first = Dataset("bars", ("a", "b"), empty, empty, empty, image_side=8)
            >>> first.fingerprint() == replace(first, classes=("a", "c")).fingerprint(), len(first.fingerprint())
            (False, 64)
        """
        digest = hashlib.sha256(json.dumps([self.classes, self.sample_rate, self.image_side]).encode())
        for name, split in self.splits():
            digest.update(json.dumps([name, split.names]).encode())
            for tensor in (split.audio, split.image, split.labels):
                if tensor is not None:
                    digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
                    digest.update(tensor.cpu().contiguous().numpy().data)
        return digest.hexdigest()

    def to(self, device: torch.device | str) -> Dataset:
        """Copy all splits to `device`."""
        return replace(
            self, train=self.train.to(device), validation=self.validation.to(device), test=self.test.to(device)
        )
