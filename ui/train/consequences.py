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
        '2.1 steps back · 16 % of the data. Keys come from the encoder itself (no momentum).'
    """
    words = _WORDS.get(source)
    return words(config, plans) if words else ""


def _queue(config: RunConfig, plans: Sequence[ModalityPlan]) -> str:
    parts = []
    steps = [part.queue_steps for part in plans if part.queue_steps is not None]
    if steps and (config.loss.prediction_weight > 0 or config.loss.global_weight > 0):
        parts.append(_reach(steps, [part.queue_share for part in plans]))
    first = plans[0] if plans else None  # embeddings of items are as many of each modality
    if first is not None and first.item_queue_steps is not None:
        reach = _reach([first.item_queue_steps], [first.item_queue_share])
        parts.append(f"Item-level loss: {reach}")
    if config.sampler.key_momentum == 0:
        parts.append("Keys come from the encoder itself (no momentum)")
    return " ".join(f"{part}." for part in parts)


def _reach(steps: Sequence[float], shares: Sequence[float | None]) -> str:
    """How far back a queue reaches, and how much of the data it holds; from the least to the most of two modalities.

    Short, since a second line would push the last card of the Train page out of sight.
    """
    known = [100 * share for share in shares if share is not None]
    return f"{_range(steps, 1)} steps back" + (f" · {_range(known, 0)} % of the data" if known else "")


def _range(values: Sequence[float], digits: int) -> str:
    low, high = (f"{end(values):.{digits}f}" for end in (min, max))
    return low if low == high else f"{low}–{high}"


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
