"""Split items into training, validation, and test sets, limit their number, and select classes."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..config import DataConfig
from ..errors import ConfigError, DataError
from ..settings import unknown
from .dataset import Split

FEWEST_TEST = 5  # held-out items that a map needs, whose modalities count each


def holdout(labels: Sequence[int], groups: Sequence[str], share: float, seed: int) -> tuple[list[int], list[int]]:
    """Hold out about `share` of every class, in whole groups and at random.

    No class is held out completely. If every row is its own group, this is a stratified random split. A group with more
    than twice the share of a class that has smaller ones too would swallow it: it is kept, unless nothing else of a
    class can be held out, and about half of the smaller ones are held out at most.

    Args:
        labels: class of each row.
        groups: group of each row; rows of one group stay on the same side.
        share: share of each class to hold out, rounded up to whole groups.
        seed: random seed for the order of the groups.

    Returns:
        Rows kept and rows held out, both ascending.

    Example:
        >>> kept, held = holdout([0] * 4 + [1] * 4, ["a", "a", "b", "b", "c", "c", "d", "d"], share=0.5, seed=0)
        >>> len(kept), len(held)
        (4, 4)
    """
    members: dict[str, list[int]] = defaultdict(list)
    for row, group in enumerate(groups):
        members[group].append(row)
    order = sorted(members)
    np.random.default_rng([seed, 0x5011]).shuffle(order)
    sizes = Counter(labels)
    counts = {group: Counter(labels[row] for row in members[group]) for group in order}
    large = {(group, label) for group in order for label, n in counts[group].items() if n > 2 * share * sizes[label]}
    smaller = Counter(sizes)  # items of each class in its other groups
    for group, label in large:
        smaller[label] -= counts[group][label]
    goal = {label: share * size for label, size in sizes.items()}
    goal |= {label: min(goal[label], smaller[label] / 2) for _, label in large if smaller[label]}
    last = {group: len(members[group]) for group, label in sorted(large) if smaller[label]}
    taken: Counter[int] = Counter()
    held: list[int] = []

    def take(group: str) -> None:
        if all(taken[label] + count < sizes[label] for label, count in counts[group].items()):
            taken.update(counts[group])
            held.extend(members[group])

    for group in (group for group in order if group not in last):
        if any(taken[label] < goal[label] for label in counts[group]):
            take(group)
    for group in sorted(last, key=last.__getitem__):
        if any(not taken[label] for label in counts[group]):
            take(group)
    out = set(held)
    return [row for row in range(len(labels)) if row not in out], sorted(held)


def told_shares(kept: Split, held: Split, share: float, classes: Sequence[str], held_out_as: str) -> tuple[str, ...]:
    """What is to be told where whole groups let much more or less than `share` of a class be held out.

    Of a class whose files each stand alone nothing is told: there, few files are the reason.

    Args:
        kept, held: both sides of a split by `holdout`. classes: class names. held_out_as: "test" or "validation".
    """
    told = []
    counts = [torch.bincount(split.labels.cpu(), minlength=len(classes)).tolist() for split in (kept, held)]
    sizes = Counter((*kept.groups, *held.groups))
    rows = [
        (label, group)
        for split in (kept, held)
        for label, group in zip(split.labels.tolist(), split.groups, strict=True)
    ]
    together = {label for label, group in rows if sizes[group] > 1}
    for label, (title, left, out) in enumerate(zip(classes, *counts, strict=True)):
        goal = share * (left + out)
        if label in together and (out < goal / 2 or out > max(2 * goal, math.ceil(goal))):
            told.append(
                f"{out} of {left + out} items of {title!r} are {held_out_as} items, where {100 * share:.0f} % were to "
                "be, because files that stay together are not divided"
            )
    return (*told[:3], f"and so in {len(told) - 3} other classes") if len(told) > 3 else tuple(told)


def take_validation(train: Split, config: DataConfig, groups: Sequence[str] | None = None) -> tuple[Split, Split]:
    """Split the training items into (train, validation) by `config.validation_share` and `config.seed`.

    Args:
        groups: group of each item, whose items stay together; those of the split by default.
    """
    groups = train.groups if groups is None else groups
    kept, held = holdout(train.labels.tolist(), groups, config.validation_share, config.seed)
    return train.take(torch.tensor(kept, dtype=torch.int64)), train.take(torch.tensor(held, dtype=torch.int64))


def balanced(labels: Sequence[int], groups: Sequence[str], limit: int, seed: int) -> list[int]:
    """Select at most `limit` rows at random, spread as evenly as possible over the classes, and within a class over its
    groups. The order of the rows decides nothing but which random number each row gets.

    Args:
        labels: class of each row.
        groups: group of each row, for example a speaker.
        limit: number of rows; 0 selects all.
        seed: random seed.

    Returns:
        The selected rows, ascending.

    Example:
        >>> labels, groups = [0, 0, 0, 0, 1], ["a", "a", "a", "b", "c"]
        >>> [groups[row] for row in balanced(labels, groups, limit=3, seed=0)][1:]
        ['b', 'c']
    """
    if not limit or limit >= len(labels):
        return list(range(len(labels)))
    order = np.random.default_rng([seed, 0xCA9]).permutation(len(labels))
    # Sort by rank twice: in a class the first row of every group comes before the second row of any group, and of the
    # rows so ordered the first of every class comes before the second of any class.
    rounds: Counter[tuple[int, str]] = Counter()
    of_class: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for place, row in enumerate(order.tolist()):
        key = (labels[row], groups[row])
        of_class[labels[row]].append((rounds[key], place, row))
        rounds[key] += 1
    ranked = [
        (rank, place, row) for members in of_class.values() for rank, (_, place, row) in enumerate(sorted(members))
    ]
    return sorted(row for _, _, row in sorted(ranked)[:limit])


def sample_rows(split: Split, limit: int, seed: int) -> Tensor:
    """Select at most `limit` items (0: all) of a split at random, balanced over classes and groups (see `balanced`).

    Wherever a part of a split stands for all of it, for example in probes, metrics, and maps, this is the part.

    Returns:
        (n,) int64 rows, ascending, on the CPU.
    """
    return torch.tensor(balanced(split.labels.tolist(), split.groups, limit, seed), dtype=torch.int64)


def capped(split: Split, limit: int, seed: int) -> Split:
    """Select at most `limit` items of `split` (0: all), see `sample_rows`."""
    if not limit or limit >= len(split):
        return split
    return split.take(sample_rows(split, limit, seed))


def chosen_classes(config: DataConfig, valid: Sequence[str]) -> tuple[str, ...]:
    """Return the classes that `data.classes` selects, or all of `valid` if it is not set.

    Raises:
        ConfigError: the selection is empty, has a class that is not in `valid`, or lists a class twice.

    Example:
        >>> chosen_classes(DataConfig(classes=("dog",)), ["cat", "dog"])
        ('dog',)
    """
    if config.classes is None:
        return tuple(valid)
    for name in config.classes:
        if name not in valid:
            raise unknown("class", name, valid)
    if not config.classes:
        raise ConfigError("data.classes is empty; leave it out to use all classes")
    if len(set(config.classes)) != len(config.classes):
        raise ConfigError("data.classes names a class twice")
    return config.classes


def labels_tensor(labels: Sequence[int] | np.ndarray) -> Tensor:
    """Convert labels to an int64 tensor (N,)."""
    return torch.as_tensor(np.asarray(labels, dtype=np.int64))


def check_enough(
    name: str, classes: Sequence[str], parts: dict[str, Split], skipped: Sequence[str], remarks: Sequence[str] = ()
) -> None:
    """Check that there are enough items to train and evaluate.

    Every class needs 2 training items, 1 validation item, and 1 test item, and at least 8 training items are needed in
    total.

    Args:
        name: of the data set, for messages.
        classes: class names.
        parts: the splits "train", "validation", and "test".
        skipped: one line per unusable file; the first one is quoted in the message.
        remarks: what else is known about the files, such as copies that were left out; quoted too.

    Raises:
        DataError: there are fewer than two classes or too few items. The message names the class.
    """
    hint = f"; {len(skipped)} files were skipped, first {skipped[0]}" if skipped else ""
    hint += "".join(f"; {remark}" for remark in remarks)
    if len(classes) < 2:
        raise DataError(f"{name}: at least two classes are needed, found {', '.join(classes) or 'none'}{hint}")
    counts = {
        part: torch.bincount(split.labels.cpu(), minlength=len(classes)).tolist() for part, split in parts.items()
    }
    minimum = {"train": 2, "validation": 1, "test": 1}
    short = [
        label for label in range(len(classes)) if any(counts[part][label] < least for part, least in minimum.items())
    ]
    if short:
        available = ", ".join(f"{counts[part][short[0]]} {part}" for part in minimum)
        advice = ""
        if len(classes) - len(short) >= 2:
            more = f" and {len(short) - 1} more with too few items" if len(short) > 1 else ""
            advice = f"; to leave it{more} out, name the other classes in data.classes"
        raise DataError(
            f"{name}: too few items of class {classes[short[0]]!r} "
            f"({available}; 2 train, 1 validation, 1 test needed){advice}{hint}"
        )
    if len(parts["train"]) < 8:
        raise DataError(f"{name}: too few items, {len(parts['train'])} to train on where 8 are needed; add files{hint}")
