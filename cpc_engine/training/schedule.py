"""The learning rate as a function of the step."""

from __future__ import annotations

import math

from ..config import OptimizerConfig


def learning_rate(config: OptimizerConfig, step: int) -> float:
    """Compute the learning rate of a step: linear warm-up, then cosine decay to `final_rate` times the peak.

    Args:
        config: optimizer settings.
        step: counted from 0.

    Example:
        >>> config = OptimizerConfig(learning_rate=0.01, warmup_steps=10, steps=100, final_rate=0.1)
        >>> [round(learning_rate(config, step), 6) for step in (0, 10, 100)]
        [0.001, 0.01, 0.001]
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(config.steps - config.warmup_steps, 1)
    cosine = 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
    return config.learning_rate * (config.final_rate + (1 - config.final_rate) * cosine)
