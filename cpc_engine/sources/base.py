"""What a source of negatives is, and what it draws its candidates from.

Shapes: N candidates of one source, d the size of a latent, T positions of one item. Torch is imported by type checkers
only: plans and forms read the sources before anything computes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ..settings import Section

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass
class Keys:
    """Latents that predictions are scored against, one row per (item, position).

    Attributes:
        vectors: (B·T, d), in item-major order, unit length where cosine similarity is used.
        ids: (B·T,) int64 identities. labels: (B·T,) int64 classes. length: T.
        pairs: (B·T,) int64 pair numbers (`data.dataset.Split.pairs`); None where an item's number is its pair's.
    """

    vectors: Tensor
    ids: Tensor
    labels: Tensor
    length: int
    pairs: Tensor | None = None

    def futures(self, first: int) -> Keys:
        """The positions from `first` on: those that are the positive of some anchor."""

        def later(rows: Tensor) -> Tensor:
            kept: Tensor = rows.unflatten(0, (-1, self.length))[:, first:].flatten(0, 1)
            return kept

        pairs = None if self.pairs is None else later(self.pairs)
        return Keys(later(self.vectors), later(self.ids), later(self.labels), self.length - first, pairs)


@dataclass
class CandidateSet:
    """The candidates of one source in one step.

    Attributes:
        name: of the source. vectors: (N, d), N ≥ 1; gradients flow through it unless it is detached.
        ids: (N,) int64 identities. labels: (N,) int64 class of the item each came from.
        pairs: (N,) int64 pair numbers, which only masks across modalities read; None where an item's number is its
            pair's.
        second: (N,) int64 identities of the other latent that each candidate was mixed from, which masks it as much as
            the first; None where candidates are made of one latent.
        parents: (2, N) int64 classes of the items of both latents that each was mixed from; None where `second` is.
    """

    name: str
    vectors: Tensor
    ids: Tensor
    labels: Tensor
    pairs: Tensor | None = None
    second: Tensor | None = None
    parents: Tensor | None = None


class PastLatents(Protocol):
    """The queue, as a source sees it (`negatives.queue.LatentQueue`)."""

    def __len__(self) -> int: ...

    def entries(self, step: int, max_age: int = 0) -> Any: ...


@dataclass(frozen=True)
class Anchors:
    """The predictions of a step, for sources that look for what is hard for them.

    Attributes:
        vectors: (N, d) without gradient, unit length where cosine similarity is used.
        positives: (N,) int64, row of each anchor's positive in the futures.
    """

    vectors: Tensor
    positives: Tensor


@dataclass(frozen=True)
class SourceInputs:
    """What a source may draw from in one step of one modality.

    Attributes:
        settings: the sampler's settings (`config.SamplerConfig`).
        futures: keys of all positions that are some anchor's positive. step: of the run, from 0.
        queue: earlier positives. other: the other modality's keys of the same batch; None without one.
        shuffled_input: keys of the shuffled input; None unless it was encoded.
        anchors: the predictions of the step; None where they are not known.
        generator: every random draw comes from it alone, so a resumed run draws the same.
        cosine: whether latents live on the unit sphere.
        mask_key: (n,) identities and classes → (n,) keys; latents with the key of an anchor's positive are not its
            negatives.
    """

    settings: Any
    futures: Keys
    step: int
    queue: PastLatents
    generator: torch.Generator
    cosine: bool
    mask_key: Callable[[Tensor, Tensor], Tensor]
    other: Keys | None = None
    shuffled_input: Keys | None = None
    anchors: Anchors | None = None


@dataclass(frozen=True)
class StepShape:
    """Counts that decide how many candidates a source has: items of a batch, latents T of one item, how many of these
    are some anchor's future, and latents of one item's other modality (0 without one)."""

    batch: int
    length: int
    futures: int
    other: int = 0


@dataclass(frozen=True)
class NegativeSource:
    """One source of negatives, described once for the sampler, plans, alarms, recipes, experiments and pages.

    Attributes:
        name: its key in records and files. label: what people read. color: a key of the palette.
        order: its place among the sources; `in_batch` is first, since it holds the positives.
        summary: one sentence, a hover text where docs/glossary.md has no entry of that name.
        off: settings that switch it off, {"section.setting": value}; empty where it cannot be.
        recipe: settings that switch on this source alone beside the in-batch negatives, for a comparison.
        settings: a class whose fields become settings of the sampler; None where it needs none.
        copies: whether its candidates include further copies of an anchor's own positive, so that masks matter.
        other_modality: whether its candidates are latents of the other modality, masked by pair instead of by position.
        count: (sampler settings, shape of a step) → candidates before masks, 0 where it is off.
        draw: its candidates in one step; None where it has none. A source of permuted in-batch latents draws nothing:
            see `negatives.candidates.Candidates.permuted`.
    """

    name: str
    label: str
    color: str
    order: int
    summary: str
    count: Callable[[Any, StepShape], int]
    draw: Callable[[SourceInputs], CandidateSet | None]
    off: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    settings: type[Section] | None = None
    copies: bool = False
    other_modality: bool = False
