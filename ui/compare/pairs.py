"""Two maps that show the same items: common numbers, colors and orientation. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..drawing.charts import Figure
from ..drawing.map_figure import groups_figure
from ..drawing.text import plain_name

ItemKey = tuple[str, str, str]  # what makes a point of one map the same item as a point of another


@dataclass(frozen=True, eq=False)
class Side:
    """One run's map; row i of everything is one held-out item.

    Attributes:
        name: of the run. origin: the data set that items of these names belong to, as far as it tells items apart.
        layout: (N, 2). labels: (N,) index into `classes`.
    """

    name: str
    origin: str
    layout: np.ndarray
    labels: np.ndarray
    classes: list[str]
    modalities: list[str]
    names: list[str]
    trustworthiness: float = 0.0

    def item_keys(self) -> list[ItemKey]:
        """The items' keys, N."""
        return [(self.origin, m, name) for m, name in zip(self.modalities, self.names, strict=True)]


def shared_ids(sides: Sequence[Side]) -> tuple[list[list[int]], list[ItemKey]]:
    """(a number for each point of each side, the key behind each number): equal for the same item."""
    numbers: dict[ItemKey, int] = {}
    ids = [[numbers.setdefault(key, len(numbers)) for key in side.item_keys()] for side in sides]
    return ids, list(numbers)


def aligned(sides: Sequence[Side]) -> list[Side]:
    """The sides, all but the first turned to lie like the first."""
    ids, _ = shared_ids(sides)
    first = sides[0].layout if sides else None
    return [
        replace(side, layout=turned(side.layout, numbers, first, ids[0])) if row and first is not None else side
        for row, (side, numbers) in enumerate(zip(sides, ids, strict=True))
    ]


def turned(layout: np.ndarray, ids: Sequence[int], like: np.ndarray, like_ids: Sequence[int]) -> np.ndarray:
    """`layout` turned and mirrored, never stretched, so that common items lie as near to `like`'s as they can."""
    rows = {number: row for row, number in enumerate(ids)}
    pairs = [(rows[number], row) for row, number in enumerate(like_ids) if number in rows]
    centered: np.ndarray = layout - layout.mean(0)
    if len(pairs) < 3:
        return centered
    mine, theirs = (np.array(column) for column in zip(*pairs, strict=True))
    from cpc_engine.maps.projection import rotation_onto

    rotated: np.ndarray = centered @ rotation_onto(layout[mine], like[theirs])
    return rotated


def search(sides: Sequence[Side], classes: Sequence[str], query: str) -> list[int]:
    """Numbers (see `shared_ids`) of items of any of `classes` (all, where none is named) with `query` in their name."""
    ids, _ = shared_ids(sides)
    part = query.lower().strip()
    return sorted(
        {
            number
            for side, numbers in zip(sides, ids, strict=True)
            for number, label, name in zip(numbers, side.labels.tolist(), side.names, strict=True)
            if (not classes or (0 <= label < len(side.classes) and side.classes[label] in classes))
            and part in name.lower()
        }
    )


def pair_figures(sides: Sequence[Side]) -> list[Figure]:
    """One figure a side; a class has one look on all of them, and an item one id."""
    ids, _ = shared_ids(sides)
    classes = list(dict.fromkeys(name for side in sides for name in side.classes))
    both = len({modality for side in sides for modality in side.modalities}) > 1
    figures = []
    for side, numbers in zip(sides, ids, strict=True):
        known = range(len(side.classes))
        codes = [classes.index(side.classes[label]) if label in known else -1 for label in side.labels.tolist()]
        figure = groups_figure(
            side.layout,
            codes,
            [plain_name(name) for name in classes],
            side.modalities if both else None,
            plain_name(side.name),
            names=[plain_name(name) for name in side.names],
            ids=numbers,
        )
        figures.append(figure)
    return figures
