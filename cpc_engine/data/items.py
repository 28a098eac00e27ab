"""What a data set is to the rest of the engine: tensors that stay on the training device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

Modality = Literal["audio", "image"]
MODALITIES: tuple[Modality, ...] = ("audio", "image")


@dataclass(frozen=True)
class Split:
    """Items of one split; row i of every field is the same item.

    Attributes:
        audio: (N, L) int16, mono, at the data set's sample rate, cut or padded to the clip length; None without sound.
        image: (N, 3, H, W) uint8 RGB at the data set's native size; None without pictures.
        labels: (N,) int64, index into the data set's classes.
        sources: N ids that say where each item came from (a file's relative path, or "tones/train/17").
        groups: N ids that must not be divided over a split (a speaker, a source recording).
    """

    audio: Tensor | None
    image: Tensor | None
    labels: Tensor
    sources: tuple[str, ...]
    groups: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def modalities(self) -> tuple[Modality, ...]:
        return tuple(m for m in MODALITIES if self.values(m) is not None)

    def values(self, modality: Modality) -> Tensor | None:
        return self.audio if modality == "audio" else self.image

    def take(self, rows: Tensor) -> Split:
        """The items at `rows` ((n,) int64), in that order."""
        picked = rows.tolist()
        rows = rows.to(self.labels.device)
        return Split(
            audio=None if self.audio is None else self.audio[rows],
            image=None if self.image is None else self.image[rows],
            labels=self.labels[rows],
            sources=tuple(self.sources[i] for i in picked),
            groups=tuple(self.groups[i] for i in picked),
        )

    def to(self, device: torch.device | str) -> Split:
        return replace(
            self,
            audio=None if self.audio is None else self.audio.to(device),
            image=None if self.image is None else self.image.to(device),
            labels=self.labels.to(device),
        )


@dataclass(frozen=True)
class Dataset:
    """Three splits and the facts that a new item needs to be treated alike.

    Attributes:
        sample_rate: of `audio`, in Hz (0 without sound).
        image_side: native height and width of `image` in px (0 without pictures).
        skipped: one line per file that could not be used: "relative/path: reason".
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
        return self.train.modalities

    def splits(self) -> Iterator[tuple[str, Split]]:
        yield "train", self.train
        yield "validation", self.validation
        yield "test", self.test

    def to(self, device: torch.device | str) -> Dataset:
        return replace(
            self, train=self.train.to(device), validation=self.validation.to(device), test=self.test.to(device)
        )
