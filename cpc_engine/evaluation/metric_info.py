"""Title, unit, direction, and meaning of every metric; tables, pages, and reports all read them here."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from ..terms import MODALITIES

Direction = Literal["higher", "lower", "neither"]


@dataclass(frozen=True)
class MetricInfo:
    """Description of one metric. See `docs/method.md#metrics`.

    Attributes:
        better: direction of improvement.
        curve: what its curve over the steps is measured on; empty where pages draw none.
    """

    title: str
    unit: str
    better: Direction
    meaning: str
    curve: Literal["", "training", "held_out"] = ""

    @property
    def arrow(self) -> str:
        """The direction of improvement as a sign; empty without one."""
        return {"higher": "↑", "lower": "↓", "neither": ""}[self.better]


METRICS: dict[str, MetricInfo] = {
    "loss": MetricInfo(
        "Loss",
        "nats",
        "neither",
        "Training loss of the last step. Comparable only between runs with the same negatives and loss terms.",
        "training",
    ),
    "accuracy": MetricInfo(
        "Contrastive accuracy",
        "share",
        "neither",
        "Share of anchors whose true future scores at least as high as every negative, at the last record. Comparable "
        "only between runs with the same negatives.",
        "training",
    ),
    "alignment": MetricInfo(
        "Alignment",
        "distance²",
        "lower",
        "Mean squared distance between predictions and true futures as unit vectors (Wang & Isola). Collapsed latents "
        "also give 0.",
        "held_out",
    ),
    "uniformity": MetricInfo(
        "Uniformity",
        "log similarity",
        "lower",
        "How evenly contexts cover the unit sphere (Wang & Isola): 0 if all are equal, about −4 if evenly spread.",
        "held_out",
    ),
    "effective_rank": MetricInfo(
        "Effective rank",
        "directions",
        "higher",
        "Number of directions in which mean contexts differ (RankMe, after their mean is subtracted), on 128 items or, "
        "where there are fewer, on all. A collapsed network can have a high value from tiny differences: see spread.",
        "held_out",
    ),
    "effective_rank_uncentered": MetricInfo(
        "Effective rank, uncentered",
        "directions",
        "higher",
        "Number of directions that mean contexts use (RankMe, without subtracting their mean), on 128 items or, where "
        "there are fewer, on all. 1 means that all are nearly one vector, as after collapse.",
    ),
    "spread": MetricInfo(
        "Spread", "0…1", "higher", "How evenly latents use all directions: 1 is an even sphere, 0 is collapse."
    ),
    "information_bound": MetricInfo(
        "InfoNCE bound on MI",
        "nats",
        "higher",
        "Lower bound on the mutual information of context and future. It never exceeds ln K for K items; K is 128 or, "
        "where there are fewer, all.",
    ),
    "queue_drift": MetricInfo(
        "Queue staleness",
        "cosine",
        "higher",
        "Mean cosine between queued latents and the same inputs encoded now. 1 means up to date.",
    ),
    "modality_gap": MetricInfo(
        "Modality gap",
        "distance",
        "lower",
        "Distance between the mean contexts of audio and images (Liang et al.).",
        "held_out",
    ),
    "modality_accuracy": MetricInfo(
        "Modality classifier accuracy",
        "share",
        "lower",
        "Balanced accuracy of a linear classifier that tells audio contexts from image contexts: 0.5 is chance, at 1 "
        "the modalities do not mix, even where neighbors of the same class are found across them.",
    ),
    "pair_alignment": MetricInfo(
        "Pair alignment",
        "distance²",
        "lower",
        "Mean squared distance between the audio and the image context of a pair as unit vectors.",
    ),
    "retrieval_class": MetricInfo(
        "Retrieval R@1 (class)",
        "share",
        "higher",
        "Share of audio clips whose nearest image has the same class.",
        "held_out",
    ),
    "retrieval_class_reverse": MetricInfo(
        "Retrieval R@1 (class, from images)",
        "share",
        "higher",
        "Share of images whose nearest audio clip has the same class.",
        "held_out",
    ),
    "retrieval_pair": MetricInfo(
        "Retrieval R@1 (pair)",
        "share",
        "higher",
        "Share of audio clips whose nearest image is their own partner. Partners are drawn at random within a class, "
        "so more than about one over the number of images of that class is luck: classes / n for n items.",
    ),
    "probe": MetricInfo(
        "Linear probe",
        "share",
        "higher",
        "Test accuracy of logistic regression on features of the fixed network: of one kind of feature, or of the kind "
        "with the best validation accuracy, the mean over modalities.",
    ),
    "knn": MetricInfo(
        "Nearest neighbors",
        "share",
        "higher",
        "Share of test items whose nearest training items by cosine have mostly their class, on the features of the "
        "linear probe; nothing is fitted.",
    ),
    "seconds": MetricInfo("Training time", "s", "neither", "Depends on the machine and on its load."),
}
# Metrics that depend on the number of items they are taken on, and the metric that is that number.
SIZE_DEPENDENT = {
    **dict.fromkeys(("effective_rank", "effective_rank_uncentered", "information_bound"), "rank_items"),
    **dict.fromkeys(("retrieval_class", "retrieval_class_reverse", "retrieval_pair"), "retrieval_items"),
}
PRIMARY = "probe"  # the metric that decides a comparison where the reader names no other
_COUNTS = {
    "rank_items": MetricInfo(
        "Items of the effective rank", "items", "neither", "Number of items that the ranks and the bound are taken on."
    ),
    "retrieval_items": MetricInfo(
        "Items of the retrieval", "items", "neither", "Number of sounds and pictures that the retrievals are taken on."
    ),
}
_BY_FEATURE = ("probe", "knn")
_UNKNOWN = MetricInfo("", "", "neither", "Not described.")


def describe_metric(name: str) -> MetricInfo:
    """Return the description of a metric by its name in records, evaluations, and comparisons.

    Args:
        name: a key of `METRICS`, with an optional modality before it and an optional horizon after it
            ("audio.alignment_2"), or the probe or the nearest neighbors of a feature ("probe.audio.mean_context"). An
            unknown name is described as unknown.

    Example:
        >>> describe_metric("queue_drift").title
        'Queue staleness'
        >>> describe_metric("audio.alignment_2").title
        'Alignment, k = 2 (audio)'
        >>> describe_metric("probe.image.mean_context").title
        'Linear probe: mean context (image)'
        >>> describe_metric("knn.mean_context").title
        'Nearest neighbors: mean context'
    """
    kind, _, rest = name.partition(".")
    if kind not in _BY_FEATURE:
        rest = name
    modality = next((m for m in MODALITIES if rest.startswith(f"{m}.")), "")
    rest = rest.removeprefix(f"{modality}.")
    if kind in _BY_FEATURE:
        metric = METRICS[kind]
        title = f"{metric.title}: {rest.replace('_', ' ')}" if rest else metric.title
    elif rest in METRICS:
        metric = METRICS[rest]
        title = metric.title
    elif match := re.fullmatch(r"(alignment)_(\d+)", rest):
        metric = METRICS[match[1]]
        title = f"{metric.title}, k = {match[2]}"
    elif rest in _COUNTS:
        metric = _COUNTS[rest]
        title = metric.title
    else:
        metric = _UNKNOWN
        title = rest.replace("_", " ")
    return replace(metric, title=f"{title} ({modality})" if modality else title)
