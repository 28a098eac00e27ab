"""Which items go where: held-out groups, class-balanced caps, and the parts that every source shares."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..config import DataConfig
from ..errors import ConfigError, DataError
from ..knobs import unknown
from .items import Split


def holdout(labels: Sequence[int], groups: Sequence[str], share: float, seed: int) -> tuple[list[int], list[int]]:
    """Rows (kept, held out): about `share` of every class, whole groups at a time, and no class is used up.

    With groups that are all different this is a stratified random split.

    Args:
        labels: class of every row.
        groups: rows of one group stay on one side.
        share: of each class, rounded up to whole groups.
        seed: of the random order of the groups.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for row, group in enumerate(groups):
        members[group].append(row)
    order = sorted(members)
    np.random.default_rng([seed, 0x5011]).shuffle(order)
    sizes = Counter(labels)
    taken: Counter[int] = Counter()
    held: list[int] = []
    for group in order:
        counts = Counter(labels[row] for row in members[group])
        wanted = any(taken[label] < share * sizes[label] for label in counts)
        spared = all(taken[label] + count < sizes[label] for label, count in counts.items())
        if wanted and spared:
            taken.update(counts)
            held += members[group]
    out = set(held)
    return [row for row in range(len(labels)) if row not in out], sorted(held)


def take_validation(train: Split, config: DataConfig, *, grouped: bool = True) -> tuple[Split, Split]:
    """(train, validation) of the training items; `grouped=False` splits at random although groups repeat."""
    groups = train.groups if grouped else train.sources
    kept, held = holdout(train.labels.tolist(), groups, config.validation_share, config.seed)
    return train.take(torch.tensor(kept, dtype=torch.int64)), train.take(torch.tensor(held, dtype=torch.int64))


def balanced(labels: Sequence[int], limit: int, seed: int) -> list[int]:
    """At most `limit` rows (0: all), as evenly over the classes as they allow, at random, in their old order."""
    if not limit or limit >= len(labels):
        return list(range(len(labels)))
    order = np.random.default_rng([seed, 0xCA9]).permutation(len(labels))
    turns: Counter[int] = Counter()
    ranked: list[tuple[int, int, int]] = []
    for (
        row
    ) in order.tolist():  # a row's rank within its class decides: every class gets its first turn, then its second
        ranked.append((turns[labels[row]], len(ranked), row))
        turns[labels[row]] += 1
    return sorted(row for _, _, row in sorted(ranked)[:limit])


def capped(split: Split, limit: int, seed: int) -> Split:
    """`split` with at most `limit` items (0: all), balanced over the classes."""
    if not limit or limit >= len(split):
        return split
    return split.take(torch.tensor(balanced(split.labels.tolist(), limit, seed)))


def chosen_classes(config: DataConfig, valid: Sequence[str]) -> tuple[str, ...]:
    """`data.classes`, or all of `valid`.

    Raises:
        ConfigError: a class that does not exist, or one named twice.
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


def needed_path(config: DataConfig, what: str) -> str:
    """`data.path`; raises ConfigError where it is not set."""
    if not config.path:
        raise ConfigError(f"{config.dataset} needs data.path: {what}")
    return config.path


def labels_tensor(labels: Sequence[int] | np.ndarray) -> Tensor:
    return torch.as_tensor(np.asarray(labels, dtype=np.int64))


def check_enough(name: str, classes: Sequence[str], parts: dict[str, Split], skipped: Sequence[str]) -> None:
    """Every class needs 2 training items, 1 validation item and 1 test item, and there must be 8 to train on.

    Raises:
        DataError: fewer than two classes, or too few items; names the class and the first file that was skipped.
    """
    why = f"; {len(skipped)} files were skipped, first {skipped[0]}" if skipped else ""
    if len(classes) < 2:
        raise DataError(f"{name}: at least two classes are needed, found {', '.join(classes) or 'none'}{why}")
    counts = {
        part: torch.bincount(split.labels.cpu(), minlength=len(classes)).tolist() for part, split in parts.items()
    }
    least = {"train": 2, "validation": 1, "test": 1}
    for label, title in enumerate(classes):
        if any(counts[part][label] < few for part, few in least.items()):
            has = ", ".join(f"{counts[part][label]} {part}" for part in least)
            raise DataError(
                f"{name}: too few items of class {title!r} ({has}; 2 train, 1 validation, 1 test needed){why}"
            )
    if len(parts["train"]) < 8:
        raise DataError(f"{name}: too few items, {len(parts['train'])} to train on where 8 are needed{why}")
