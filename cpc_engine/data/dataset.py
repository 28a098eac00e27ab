"""The tensor form of a data set, `Dataset` and `Split`, which stays on the training device."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

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

    @cached_property
    def contents(self) -> dict[Modality, Tensor]:
        """Per modality the number of each row's content, (N,) int64: the first row with equal values.

        Example:
            >>> clips, names = torch.tensor([[1, 2], [3, 4], [1, 2]], dtype=torch.int16), ("a", "b", "c")
            >>> Split(clips, None, torch.zeros(3, dtype=torch.int64), names, names).contents
            {'audio': tensor([0, 1, 0])}
        """
        found = {m: self.values(m) for m in MODALITIES}
        device = self.labels.device
        return {m: _first_equal(values).to(device) for m, values in found.items() if values is not None}

    @cached_property
    def pairs(self) -> Tensor:
        """The number of the pairs that each row belongs to, (N,) int64: the first row that it is linked with.

        Rows with the same sound or the same picture are linked, directly or through other rows. A sound that stands
        beside three pictures makes one such set of three rows.

        Example:
            >>> clips, names = torch.tensor([[1], [2], [1]], dtype=torch.int16), ("a", "b", "c")
            >>> pictures = torch.arange(3, dtype=torch.uint8).reshape(3, 1, 1, 1).expand(3, 3, 1, 1)
            >>> Split(clips, pictures, torch.zeros(3, dtype=torch.int64), names, names).pairs
            tensor([0, 1, 0])
        """
        rows = torch.arange(len(self))
        links = [torch.stack([rows, numbers.cpu()]) for numbers in self.contents.values()]
        return linked(len(self), torch.cat(links, 1)).to(self.labels.device)

    def distinct(self, modality: Modality) -> Tensor:
        """The rows (n,) int64, ascending, at which a content of one modality stands for the first time.

        Example:
            >>> clips, names = torch.tensor([[1, 2], [3, 4], [1, 2]], dtype=torch.int16), ("a", "b", "c")
            >>> Split(clips, None, torch.zeros(3, dtype=torch.int64), names, names).distinct("audio")
            tensor([0, 1])
        """
        rows: Tensor = self.contents[modality].unique()
        return rows

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

    def head(self, count: int) -> Split:
        """The first `count` items, whose tensors share the memory of these."""
        return Split(
            audio=None if self.audio is None else self.audio[:count],
            image=None if self.image is None else self.image[:count],
            labels=self.labels[:count],
            names=self.names[:count],
            groups=self.groups[:count],
            lengths=None if self.lengths is None else self.lengths[:count],
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


def _first_equal(values: Tensor) -> Tensor:
    """For each row of `values` (N, …) the first row with the same bytes, (N,) int64 on the CPU."""
    first: dict[bytes, int] = {}
    rows = values.flatten(1).cpu().contiguous().numpy()
    # 16 bytes: with a million items two different contents meet by chance once in 10²⁶ data sets
    digests = (hashlib.blake2b(row, digest_size=16).digest() for row in rows)
    return torch.tensor([first.setdefault(digest, row) for row, digest in enumerate(digests)], dtype=torch.int64)


def linked(count: int, links: Tensor) -> Tensor:
    """Number the connected components of a graph with `count` nodes by their first node.

    Args:
        count: number of nodes.
        links: (2, n) int64 nodes that are linked, column by column.

    Returns:
        (count,) int64, the first node of each node's component.

    Example:
        >>> linked(5, torch.tensor([[4, 2], [2, 1]]))
        tensor([0, 1, 1, 3, 1])
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones = torch.ones(links.shape[1], dtype=torch.bool).numpy()
    graph = coo_array((ones, tuple(links.cpu().numpy())), shape=(count, count))
    component = torch.from_numpy(connected_components(graph, directed=False)[1]).long()
    first = torch.full((count,), count)
    return first.scatter_reduce(0, component, torch.arange(count), "amin")[component]


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
        remarks: what else the user should know about the files, a line each: copies among them, and groups.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    sample_rate: int = 0
    image_side: int = 0
    skipped: tuple[str, ...] = field(default=())
    remarks: tuple[str, ...] = field(default=())

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
