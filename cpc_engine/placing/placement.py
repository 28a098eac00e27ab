"""What placing an item says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..evaluation.ood import BORDERLINE, UNLIKE, Verdict, validation_items_needed
from ..terms import Modality

Positions = dict[str, tuple[float, float]]  # (x, y) by map


@dataclass(frozen=True)
class Neighbor:
    """A held-out item near a placed one in the original space (not on the map); `row` is its row in the run's map."""

    source: str
    label: str
    modality: Modality
    cosine: float
    row: int


@dataclass(frozen=True)
class Stability:
    """How little a slight perturbation moves an item.

    Attributes:
        cosine: mean cosine between the contexts of perturbed copies and of the item. copies: how many.
        agreement: share of copies with the item's predicted class; None before the run was evaluated.
    """

    cosine: float
    agreement: float | None
    copies: int


@dataclass(frozen=True)
class Window:
    """One window of a long clip; `start` in seconds, the rest as in `Placement`.

    `typicality` is None, too, where the run's recordings are longer than a window: it ranks whole ones only.
    """

    start: float
    positions: Positions
    predicted: str | None
    typicality: float | None

    @property
    def is_unlike(self) -> bool:
        """Whether the window is so unlike the training data that its place and class mean nothing."""
        return self.typicality is not None and self.typicality <= UNLIKE


@dataclass(frozen=True, eq=False, repr=False)
class Placement:
    """Where one item lands, and whether that means anything.

    Attributes:
        positions: (x, y) by map.
        neighbors: of the item's own modality, nearest first, by cosine of mean contexts.
        cross_modal: of the other modality, where the run has both.
        probabilities: of each class, by the run's calibrated probe; None before the run was evaluated.
        predicted: the likeliest class.
        overlap: by map, share of its dots nearest to the item that are among as many nearest in the original space.
        typicality: the out-of-distribution score, a conformal p-value in percent, up to 100 (typical), against the
            run's n validation items; at least 100 / (n + 1). None where the run never measured it.
        validation_items: n; None where the run never measured typicality.
        windows: the path of a clip longer than one window; empty otherwise.
        nothing: why there is nothing to hear or see in it, as in silence; empty where there is something.
        notes: what was done to the input on the way in, and what is odd about it, `nothing` among it.
        embedding: (h,) float32 mean context.
    """

    modality: Modality
    positions: Positions
    neighbors: list[Neighbor]
    cross_modal: list[Neighbor]
    probabilities: dict[str, float] | None
    predicted: str | None
    overlap: dict[str, float]
    typicality: float | None
    validation_items: int | None
    verdict: Verdict | None
    stability: Stability
    windows: list[Window]
    nothing: str
    notes: tuple[str, ...]
    embedding: np.ndarray

    def __repr__(self) -> str:
        """One line for a notebook, without the embedding."""
        parts = [f"{name} ({x:.2f}, {y:.2f})" for name, (x, y) in self.positions.items()]
        if self.predicted is not None and self.probabilities is not None:
            parts.append(f"class {self.predicted!r} {self.probabilities[self.predicted]:.2f}")
        if self.verdict is not None:
            parts.append(repr(self.verdict))
        return f"Placement({self.modality}, {', '.join(parts)})"

    @property
    def is_unlike(self) -> bool:
        """Whether the item is so unlike the training data that its place means nothing."""
        return self.verdict == "unlike anything trained on: position not meaningful"

    @property
    def typicality_words(self) -> str:
        """Typicality, what it says, and what the validation items are too few to say; empty if never measured."""
        typicality, count = self.typicality, self.validation_items
        if typicality is None or count is None:
            return ""
        words = f"Typicality {typicality:.3g} of 100."
        at_least = round(typicality * (count + 1) / 100) - 1
        if typicality >= 50:
            return f"{words} At least as usual as half of {count} validation items."
        if at_least:
            return f"{words} Of {count} validation items, {at_least} are as unusual as this or more."
        words += f" None of {count} validation items is as unusual as this."
        for percentile, call in ((BORDERLINE, "borderline"), (UNLIKE, "unlike")):
            if count < (needed := validation_items_needed(percentile)):
                return f"{words} To call it {call} would take at least {needed} of them."
        return words


@dataclass(frozen=True, eq=False)
class Placed:
    """One item of several: where it lands, or one line that says why it could not be placed."""

    name: str
    placement: Placement | None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As `embed --json` reports it: {"file", "status": "ok", …} or {"file", "status": "error", "error"}."""
        if self.placement is None:
            return {"file": self.name, "status": "error", "error": self.error}
        placement = self.placement
        x, y = next(iter(placement.positions.values()))
        return {
            "file": self.name,
            "status": "ok",
            "modality": placement.modality,
            "x": x,
            "y": y,
            "positions": placement.positions,
            "neighbors": [vars(near) for near in placement.neighbors],
            "cross_modal": [vars(near) for near in placement.cross_modal],
            "probabilities": placement.probabilities,
            "predicted": placement.predicted,
            "overlap": placement.overlap,
            "typicality": placement.typicality,
            "validation_items": placement.validation_items,
            "verdict": placement.verdict,
            "stability": vars(placement.stability),
            "windows": [vars(window) for window in placement.windows],
            "notes": list(placement.notes),
            "embedding": [float(f"{v:.6g}") for v in placement.embedding.tolist()],
        }
