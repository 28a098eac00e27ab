"""Find files that are copies of one another, so that no split is judged on items that it has learned from.

A copy is exact where the decoded values are equal, and near where it was encoded again, resized, made louder, or has
slight noise. Near copies are searched in two stages: fingerprints of all items are compared with each other, and the
items with the most similar fingerprints are then compared closely. See docs/method.md#copies-and-groups for how the
limits were chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ...terms import Modality
from ..dataset import Split, linked

NEAREST = 3  # items with the most similar fingerprints that each item is compared with closely
_CHUNK = 512  # rows compared at once
_IN_CACHE = 64  # sounds whose spectra are computed at once; those of many more wait for memory
# Sounds
_BANDS, _FRAMES, _FLOOR_DB = 32, 32, 40.0
_SOUND_PRINT = 0.93  # least correlation of two fingerprints
_SOUND = 0.95  # least correlation of two waves, at the best delay
_PERIODIC = 0.9  # of sounds that repeat themselves so well, no two can be told to be copies
# Pictures
_THUMBNAIL, _EDGES = 8, 32  # px
_PICTURE_PRINT = 0.97
_PICTURE = 0.9  # least correlation of the edges in two pictures
_STANDS_OUT = 0.07  # a copy is so much closer than items of these data usually are


def copies(values: Tensor, contents: Tensor, modality: Modality) -> Tensor:
    """Number the sets of copies among items of one modality.

    Args:
        values: (N, L) int16 clips, or (N, 3, H, W) uint8 images.
        contents: (N,) int64 numbers of equal contents (`Split.contents`).

    Returns:
        (N,) int64, the first row of the set that each row is in; a row without copies has its own number.

    Example:
        >>> clip = (1000 * torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))).short()
        >>> copies(torch.cat([clip, clip.roll(900, 1), clip // 2]), torch.arange(3), "audio").tolist()
        [0, 1, 0]
    """
    if len(values) < 2:
        return torch.arange(len(values))
    rows = contents.unique()
    distinct = values[rows]
    near = _near_sounds(distinct) if modality == "audio" else _near_pictures(distinct)
    exact = torch.stack([torch.arange(len(contents), device=contents.device), contents])
    return linked(len(values), torch.cat([exact, rows[near]], 1))


def keep_together(split: Split, modality: Modality) -> tuple[Split, tuple[str, ...]]:
    """Put copies into one group, for a split that is yet to be divided.

    Returns:
        The split with its groups joined, and what is to be told.
    """
    contents = split.contents[modality]
    found = copies(_values(split, modality), contents, modality)
    told = (*_told_copies(split.names, found, contents), *_told_classes(split.names, found, split.labels))
    return replace(split, groups=joined(split.groups, found)), told


def leave_out(train: Split, test: Split, modality: Modality) -> tuple[Split, tuple[str, ...]]:
    """Leave out the training items that are copies of test items, and put copies among the others into one group.

    Returns:
        The training items that are left, and what is to be told.
    """
    parts = [_values(train, modality), _values(test, modality)]
    if modality == "audio":  # each part is as wide as its own longest recording
        width = max(part.shape[1] for part in parts)
        parts = [F.pad(part, (0, width - part.shape[1])) for part in parts]
    values = torch.cat(parts)
    names = (*train.names, *test.names)
    labels = torch.cat([train.labels, test.labels])
    both = Split(values if modality == "audio" else None, values if modality == "image" else None, labels, names, names)
    contents = both.contents[modality]
    found, count = copies(values, contents, modality), len(train)
    leaked = torch.isin(found[:count], found[count:])
    left = (~leaked).nonzero()[:, 0]
    rest, sets = train.take(left), found[left]
    told: tuple[str, ...] = ()
    if leaked.any():
        row = int(leaked.nonzero()[0])
        original = names[count + int((found[count:] == found[row]).nonzero()[0])]
        what = _are(int(leaked.sum()), "training item")
        told = (f"{what} left out as copies of test items, for example {names[row]} of {original}",)
    told += _told_copies(rest.names, sets, contents[left.to(contents.device)])
    told += _told_classes(names, found, labels)
    return replace(rest, groups=joined(rest.groups, sets)), told


def joined(groups: Sequence[str], sets: Tensor) -> tuple[str, ...]:
    """Join the groups that copies stand in.

    Args:
        groups: group of each row.
        sets: (N,) int64 number of the set of copies of each row.

    Example:
        >>> joined(["a", "b", "c", "b"], torch.tensor([0, 1, 2, 0]))
        ('a', 'a', 'c', 'a')
    """
    first: dict[object, int] = {}
    by_group = [first.setdefault(group, row) for row, group in enumerate(groups)]
    by_set = [first.setdefault(number, row) for row, number in enumerate(sets.tolist())]
    links = torch.tensor([list(range(len(groups))) * 2, by_group + by_set])
    return tuple(groups[row] for row in linked(len(groups), links).tolist())


def _values(split: Split, modality: Modality) -> Tensor:
    values = split.values(modality)
    assert values is not None
    return values


def _are(count: int, noun: str) -> str:
    return f"{count} {noun} is" if count == 1 else f"{count} {noun}s are"


def _first_rows(sets: Tensor) -> list[int]:
    """The first row with the number of each row."""
    first: dict[int, int] = {}
    return [first.setdefault(number, row) for row, number in enumerate(sets.tolist())]


def _told_copies(names: Sequence[str], found: Tensor, contents: Tensor) -> tuple[str, ...]:
    """How many rows are copies of earlier ones; `contents` tells the exact ones."""
    first, numbers = _first_rows(found), contents.tolist()
    later = [row for row, original in enumerate(first) if row != original]
    if not later:
        return ()
    near = sum(numbers[row] != numbers[first[row]] for row in later)
    kind, kinds = ("a near copy", "near copies") if near == len(later) else ("a copy", "copies")
    how = f" ({near} of them near copies: encoded or changed in another way)" if 0 < near < len(later) else ""
    what = f"{_are(len(later), 'file')} {f'{kind} of another' if len(later) == 1 else f'{kinds} of others'}{how}"
    return (f"{what}, for example {names[later[0]]} of {names[first[later[0]]]}; copies stay in one split",)


def _told_classes(names: Sequence[str], found: Tensor, labels: Tensor) -> tuple[str, ...]:
    """How many rows have another class than the first of their copies."""
    first, classes = _first_rows(found), labels.tolist()
    other = [row for row, original in enumerate(first) if classes[row] != classes[original]]
    if not other:
        return ()
    example = f"for example {names[other[0]]} and {names[first[other[0]]]}"
    return (f"{_are(len(other), 'file')} of another class than a copy, {example}",)


def _near_sounds(clips: Tensor) -> Tensor:
    """(2, n) rows of clips that are near copies."""
    from scipy.fft import next_fast_len

    links, ends = _nearest(_sound_prints(clips), _SOUND_PRINT), _ends(clips)
    links = links[:, ends[links].amax(0).argsort()]  # most sounds are far shorter than the longest, and soon compared

    def alike(first: Tensor, second: Tensor) -> Tensor:
        width = int(torch.maximum(ends[first], ends[second]).max())
        length = next_fast_len(2 * width, real=True)  # so that no delay wraps around
        a, b = clips[first, :width].float(), clips[second, :width].float()
        spectra = torch.fft.rfft(a, length), torch.fft.rfft(b, length)
        products = torch.fft.irfft(spectra[0] * spectra[1].conj(), length)
        close: Tensor = products.amax(1) >= _SOUND * a.norm(dim=1) * b.norm(dim=1)
        if close.any():
            close[close.clone()] = _periodicity(spectra[0][close], length) < _PERIODIC
        return close

    return _kept(links, alike)


def _ends(clips: Tensor) -> Tensor:
    """(N,) samples of each clip without the zeros after its last one; all samples where there is nothing else."""
    after = [part.ne(0).flip(1).byte().argmax(1) for part in clips.split(_CHUNK)]
    return clips.shape[1] - torch.cat(after)


def _periodicity(spectra: Tensor, length: int) -> Tensor:
    """How well sounds match themselves at their best delay, from 0 to 1; a steady tone matches as well as a copy of it.

    Args:
        spectra: (n, length // 2 + 1) complex, of sounds padded with zeros to `length` samples.
    """
    own = torch.fft.irfft(spectra.abs().square(), length)[:, : length // 2]
    own = own / own[:, :1].clamp(min=1e-9)
    beyond = (own < 0).cummax(1).values  # past the peak around delay 0
    best: Tensor = (own * beyond).amax(1)
    return best


def _sound_prints(clips: Tensor) -> Tensor:
    """(N, F) fingerprints of unit length: log-spectrograms down to 40 dB below the loudest place."""
    size = 512
    hop, window = max(1, clips.shape[1] // (4 * _FRAMES)), torch.hann_window(size, device=clips.device)
    prints = []
    for part in clips.split(_IN_CACHE):
        padded = F.pad(part.float(), (size // 2, size // 2))
        spectra = torch.stft(padded, size, hop, window=window, center=False, return_complex=True)[:, 1:]
        power = torch.view_as_real(spectra).square().sum(-1)
        small = F.adaptive_avg_pool2d(power[:, None], (_BANDS, _FRAMES)).flatten(1)
        decibels = 10 * small.clamp(min=1e-6).log10()
        prints.append(_unit(decibels.clamp(min=decibels.amax(1, keepdim=True) - _FLOOR_DB)))
    return torch.cat(prints)


def _near_pictures(images: Tensor) -> Tensor:
    """(2, n) rows of images that are near copies.

    Line drawings and scans of digits are all alike, so that a fixed limit would take different ones for copies. A copy
    must therefore also be closer to its original than items of these data usually are to one another.
    """
    prints = torch.cat([_unit(_shrunk(part, _THUMBNAIL).flatten(1)) for part in images.split(_CHUNK)])
    edges = torch.cat([_edges(part) for part in images.split(_CHUNK)])
    links = _nearest(prints, _PICTURE_PRINT)
    sample = edges[:: max(1, len(edges) // 256)]
    # An item's twentieth part of the data, not its nearest item, which may be a copy
    rank = min(len(edges), 1 + max(10, len(edges) // 20))
    usual = 1 - float((sample @ edges.T).topk(rank, 1).values[:, -1].median())
    least = max(_PICTURE, 1 - _STANDS_OUT * usual)
    return _kept(links, lambda first, second: (edges[first] * edges[second]).sum(1) >= least)


def _kept(links: Tensor, alike: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Those of the pairs (2, n) of rows that are alike, compared in parts."""
    parts = [part for part in links.split(_CHUNK // 4, 1) if part.shape[1]]
    return torch.cat([part[:, alike(*part)] for part in parts], 1) if parts else links


def _edges(images: Tensor) -> Tensor:
    """(N, F) differences between neighboring pixels of the gray image, scaled to unit length."""
    gray = _shrunk(images, _EDGES).mean(1)
    across, down = gray[:, 1:, 1:] - gray[:, 1:, :-1], gray[:, 1:, 1:] - gray[:, :-1, 1:]
    return F.normalize(torch.cat([across.flatten(1), down.flatten(1)], 1), dim=1)


def _shrunk(images: Tensor, side: int) -> Tensor:
    """Images (N, 3, H, W) as float32, with at most `side` px."""
    return F.adaptive_avg_pool2d(images.float(), side) if images.shape[-1] > side else images.float()


def _unit(rows: Tensor) -> Tensor:
    """Rows with mean 0 and length 1, so that their inner product is their correlation; even rows are 0."""
    return F.normalize(rows - rows.mean(1, keepdim=True), dim=1)


def _nearest(prints: Tensor, least: float) -> Tensor:
    """(2, n) rows whose fingerprints correlate by at least `least`; of each row its `NEAREST` most similar ones."""
    links, count = [torch.zeros(2, 0, dtype=torch.int64, device=prints.device)], min(NEAREST, len(prints) - 1)
    for start in range(0, len(prints) if count > 0 else 0, _CHUNK):
        similar = prints[start : start + _CHUNK] @ prints.T
        own = torch.arange(len(similar), device=prints.device)
        similar[own, own + start] = -1
        values, columns = similar.topk(count, 1)
        rows = (own + start)[:, None].expand_as(columns)
        links.append(torch.stack([rows, columns])[:, values >= least])
    found = torch.cat(links, 1)
    each_once: Tensor = torch.stack([found.amin(0), found.amax(0)]).unique(dim=1)
    return each_once
