"""What the settings of a source lead to, in words, from the plan alone. Pure functions, no Streamlit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cpc_engine.config import RunConfig
from cpc_engine.training.plan import ModalityPlan, perturbed_cosine

_SHUFFLES = {
    "batch": "Permutes items within the batch: the same candidates as in-batch, counted twice.",
    "time": "Permutes positions of the same item: the same candidates as in-batch, counted twice.",
    "input": "Shuffles the frames or tiles of the input and encodes it again: new candidates.",
}


def consequence(source: str, config: RunConfig, plans: Sequence[ModalityPlan]) -> str:
    """One sentence on what a source that is switched on does with these settings.

    Example:
        >>> from cpc_engine.training.plan import plan
        >>> config = RunConfig().replace({"sampler.queue_size": 2048, "data.train_items": 1024})
        >>> consequence("queue", config, plan(config))
        'Reaches back 2.1 steps · 15 % of the data.'
    """
    words = _WORDS.get(source)
    return words(config, plans) if words else ""


def _queue(config: RunConfig, plans: Sequence[ModalityPlan]) -> str:
    parts = []
    for part in plans[:1]:
        if part.queue_steps is not None:
            parts.append(f"Reaches back {part.queue_steps:.1f} steps")
        if part.queue_share is not None:
            parts.append(f"{part.queue_share:.0%}".replace("%", " %") + " of the data")
    if config.sampler.key_momentum == 0:
        parts.append("keys from the encoder itself (no momentum)")
    return f"{' · '.join(parts)}." if parts else ""


def _perturbed(config: RunConfig, plans: Sequence[ModalityPlan]) -> str:
    cosine = perturbed_cosine(config)
    if cosine is None:
        return "The cosine to the positive depends on the length of the latents."
    kind = "a copy" if cosine > 0.95 else "near" if cosine > 0.7 else "far" if cosine > 0.3 else "almost unrelated"
    return f"Expected cosine to the positive {cosine:.2f}: {kind}."


def _shuffled(config: RunConfig, plans: Sequence[ModalityPlan]) -> str:
    return _SHUFFLES.get(config.sampler.shuffled, "")


def _cross_modal(config: RunConfig, plans: Sequence[ModalityPlan]) -> str:
    if config.loss.pair_weight > 0:
        return f"Pairs are drawn together as well (λ {config.loss.pair_weight:g})."
    return "Pushes the modalities apart: nothing draws pairs together (λ 0)."


_WORDS: dict[str, Callable[[RunConfig, Sequence[ModalityPlan]], str]] = {
    "queue": _queue,
    "perturbed": _perturbed,
    "shuffled": _shuffled,
    "cross_modal": _cross_modal,
}
