"""The value of a metric by its name, also where each modality has its own, and the names that a run will have."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean

from ..config import RunConfig
from ..datasets import DATASETS
from ..terms import MODALITIES

# What `metrics.geometry_metrics` measures of each modality, besides one alignment for each horizon, and across two.
_OF_EACH = ("alignment", "uniformity", "effective_rank", "effective_rank_uncentered", "spread", "information_bound")
_ACROSS = (
    "modality_gap",
    "modality_accuracy",
    "pair_alignment",
    "retrieval_class",
    "retrieval_class_reverse",
    "retrieval_pair",
)


def metric_value(metrics: Mapping[str, float | None], name: str) -> float | None:
    """Return a metric; where two modalities have none together, the mean over those that have it.

    Args:
        metrics: value by "metric" or "modality.metric"; None stands for a number that was not finite.

    Returns:
        None where there is no such metric, NaN where it was not finite, be it of one modality only.

    Example:
        >>> both = {"alignment": 0.5, "audio.spread": 0.75, "image.spread": 0.25}
        >>> metric_value(both, "alignment"), metric_value(both, "spread"), metric_value(both, "image.spread")
        (0.5, 0.5, 0.25)
        >>> metric_value(both, "queue_drift"), metric_value(both | {"image.spread": None}, "spread")
        (None, nan)
    """
    names = [name] if name in metrics else [f"{modality}.{name}" for modality in MODALITIES]
    values = [metrics[one] for one in names if one in metrics]
    return fmean(math.nan if value is None else value for value in values) if values else None


def given_metrics(config: RunConfig) -> list[str]:
    """Return the metrics on held-out items that `metric_value` finds in the records of every run with these settings.

    Example:
        >>> tones, pairs = (RunConfig().replace({"data.dataset": name}) for name in ("tones", "tones_bars"))
        >>> [name in given_metrics(tones) for name in ("spread", "audio.spread", "retrieval_class")]
        [True, False, False]
        >>> [name in given_metrics(pairs) for name in ("spread", "audio.spread", "retrieval_class")]
        [True, True, True]
    """
    modalities = DATASETS[config.data.dataset].modalities
    of_queue = ("queue_drift",) if config.sampler.queue_size else ()
    each = {
        modality: (*_OF_EACH, *(f"alignment_{k}" for k in config.horizons(modality)), *of_queue)
        for modality in modalities
    }
    together = list(dict.fromkeys(name for names in each.values() for name in names))
    if len(modalities) < 2:
        return together
    return [*together, *_ACROSS, *(f"{modality}.{name}" for modality, names in each.items() for name in names)]
