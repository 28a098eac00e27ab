"""Negatives and loss."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from ..settings import Section, setting
from ..sources import SourceSettings


class MaskSettings(Section):
    """What counts as a negative, whatever its source."""

    mode: Literal["exclude_positives", "reference"] = setting(
        "exclude_positives",
        "Mask every copy of an anchor's own positive, wherever it comes from; Algorithm 2 masks nothing.",
        label="Mask copies of the positive",
        words={"exclude_positives": "yes", "reference": "no, as in Algorithm 2"},
    )
    same_item: bool = setting(
        True,
        "Let other positions of the anchor's own item be negatives.",
        label="Negatives from the same item",
        low="only other items count: nothing tells positions of one item apart",
        high="steady sounds: identical frames are false negatives",
    )
    same_class: bool = setting(
        True,
        "Let items of the anchor's own class be negatives. Switched off, class labels decide what is learned.",
        label="Negatives from the same class",
        low="no false negatives, but the run is supervised: it has seen the labels that it is probed with",
        high="items of the same class are pushed apart",
    )
    in_batch: bool = setting(
        True,
        "Let the positives of the batch's other anchors be negatives.",
        label="In-batch negatives",
        low="only the other sources count; with one easy source the latents can collapse",
    )
    one_group: bool = setting(
        False,
        "Fill each batch from one group of items (such as one speaker), so that telling groups apart does not help.",
        label="Single-group batches",
        low="voices or places tell items apart, and latents learn those",
        high="groups smaller than a batch are mixed all the same",
    )
    detach_synthetic: bool = setting(
        False,
        "Stop the gradient through perturbed and shuffled negatives.",
        label="Stop-gradient: synthetic",
        live=True,
    )


class WeightSettings(Section):
    """How much each negative counts."""

    hardness: float = setting(
        0.0,
        "Weigh each negative by exp(β·similarity/τ): hard ones count more (0: all alike).",
        label="Hardness β",
        ge=0,
        le=10,
        live=True,
        low="all negatives count alike, as in plain InfoNCE",
        high="only the hardest negatives count, and many of those are false negatives",
    )
    class_prior: float = setting(
        0.0,
        "Share τ⁺ of the negatives taken to be false ones; their expected mass is subtracted (0: none).",
        label="Debiasing τ⁺",
        ge=0,
        le=0.9,
        live=True,
        speed=False,
        low="false negatives are pushed away like all others",
        high="more is subtracted than there is: anchors reach the floor and no negative moves them",
    )


class SamplerConfig(WeightSettings, SourceSettings, MaskSettings):
    """Where the negatives come from: the settings of every source in `sources`, what is masked, and what counts."""

    @model_validator(mode="after")
    def _permutes_what_counts(self) -> SamplerConfig:
        if not self.in_batch and self.shuffled in ("batch", "time"):
            raise ValueError("shuffled batch and time are the in-batch negatives again; with in_batch off, take input")
        return self


class LossConfig(Section):
    """InfoNCE over positions, terms that compare whole items, and the pair term."""

    similarity: Literal["cosine", "dot"] = setting(
        "cosine",
        "Score by the cosine of the angle, or by the plain dot product.",
        words={"cosine": "cosine", "dot": "dot product"},
    )
    temperature: float = setting(
        0.2,
        "Similarities are divided by τ.",
        label="Temperature τ",
        speed=False,
        ge=0.005,
        le=100,
        live=True,
        low="only the hardest negatives count; unstable",
        high="all negatives count alike; little is learned",
    )
    learnable_temperature: bool = setting(
        False, "Learn τ together with the network, within its bounds.", label="Learn τ"
    )
    temperature_min: float = setting(0.03, "Smallest learned τ.", label="Smallest τ", ge=0.005, le=1)
    temperature_max: float = setting(1.0, "Largest learned τ.", label="Largest τ", ge=0.005, le=100)
    pair_weight: float = setting(
        0.0,
        "Weight λ of the term that draws both halves of a pair together (0: none, as in the reference recipe). Pairs "
        "are drawn within a class, so it uses class labels.",
        label="Cross-modal alignment loss λ",
        ge=0,
        le=100,
        live=True,
        low="two modalities in two places (modality gap)",
        high="the pair term alone shapes the space",
    )
    pair_temperature: float = setting(
        0.2,
        "Temperature of the pair term.",
        label="Temperature of the pair term",
        ge=0.005,
        le=10,
        live=True,
        speed=False,
    )
    pair_positives: Literal["pair", "class"] = setting(
        "pair",
        "What the pair term draws together: the two halves of a pair, or all sounds and pictures of a class, which "
        "suits pairs that were drawn within a class.",
        label="Positives of the pair term",
        words={"pair": "the halves of a pair", "class": "all of a class"},
    )
    prediction_weight: float = setting(
        1.0,
        "Weight of the prediction of later positions, the loss of contrastive predictive coding (0: none).",
        label="Prediction weight",
        ge=0,
        le=100,
        live=True,
        low="contexts are hardly trained",
        high="texture and rhythm are learned more than what an item is",
    )
    item_weight: float = setting(
        0.0,
        "Weight of the item-level InfoNCE: two random views or windows of an item attract, those of other items repel.",
        label="Item-level loss",
        ge=0,
        le=100,
        low="what positions have in common across an item is learned slowly",
        high="prediction of later positions hardly counts",
    )
    item_temperature: float = setting(
        0.2,
        "Temperature of the item-level loss.",
        label="Temperature of the item-level loss",
        ge=0.005,
        le=10,
        live=True,
        speed=False,
        low="only the most similar other items count",
        high="all other items count alike",
    )
    global_weight: float = setting(
        0.0,
        "Weight of the global–local InfoNCE: the summary of one view tells the latents of its own item from others.",
        label="Global–local loss",
        ge=0,
        le=100,
        low="latents need not tell which item they are of",
        high="positions of an item become alike",
    )
    invariance_weight: float = setting(
        0.0,
        "Weight of the squared distance between embeddings of two views, without negatives (VICReg; 25 there).",
        label="Invariance (VICReg)",
        ge=0,
        le=1000,
        low="views of an item stay apart",
        high="embeddings collapse unless variance is kept up",
    )
    variance_weight: float = setting(
        0.0,
        "Weight of the hinge that keeps the standard deviation of each embedding dimension above 1 (VICReg; 25 there).",
        label="Variance (VICReg)",
        ge=0,
        le=1000,
        low="embeddings may collapse to a point",
        high="embeddings spread by noise",
    )
    covariance_weight: float = setting(
        0.0,
        "Weight of the squared covariances between embedding dimensions (VICReg; 1 there).",
        label="Covariance (VICReg)",
        ge=0,
        le=1000,
        low="dimensions repeat each other",
        high="dimensions are independent but say little",
    )

    @property
    def regularizes(self) -> bool:
        """Whether a term of VICReg counts."""
        return any((self.invariance_weight, self.variance_weight, self.covariance_weight))

    @property
    def compares_items(self) -> bool:
        """Whether a term compares embeddings of two views of an item."""
        return self.item_weight > 0 or self.regularizes

    @model_validator(mode="after")
    def _bounds_in_order(self) -> LossConfig:
        if not self.temperature_min < self.temperature_max:
            raise ValueError("temperature_min must be below temperature_max")
        if self.learnable_temperature and not self.temperature_min <= self.temperature <= self.temperature_max:
            raise ValueError("a learned temperature must start between temperature_min and temperature_max")
        return self
