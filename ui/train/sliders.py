"""Sliders over the useful values of a setting, close together where it is sensitive."""

from __future__ import annotations

import math
from typing import Any

from cpc_engine.settings import Setting

MOST = 65_536  # of a whole number; the exact value can still be typed under "All settings"
_MANTISSAS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
_NEAR_ONE = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9999)


def stops(setting: Setting, value: Any) -> list[Any]:
    """The values that a slider offers, rising, with the present `value` among them.

    Whole numbers double from stop to stop. Numbers follow 1, 1.5, 2, 3, 5, 7, 10, …; shares are evenly spaced; rates
    that end just below 1, such as a momentum, come closer and closer to it.

    Example:
        >>> from cpc_engine.config import all_settings
        >>> settings = {setting.path: setting for setting in all_settings()}
        >>> stops(settings["sampler.queue_size"], 777)[:8]
        [0, 64, 128, 256, 512, 777, 1024, 2048]
        >>> stops(settings["sampler.sigma"], 0.3)[:5]
        [0.0, 0.01, 0.015, 0.02, 0.03]
        >>> stops(settings["sampler.key_momentum"], 0.0)[-2:]
        [0.999, 0.9999]
    """
    low, high = setting.minimum or 0.0, setting.maximum if setting.maximum is not None else math.inf
    if setting.kind == "int":
        values: set[Any] = {round(low), *(2**power for power in range(6, 17))}
    elif 0.9 < high < 1:
        values = set(_NEAR_ONE)
    elif low == 0 and high <= 1:
        values = {step / 20 for step in range(21)}
    else:
        powers = range(-5, 0) if high <= 1 else range(-2, 3)
        values = {float(low), *(float(f"{mantissa}e{power}") for power in powers for mantissa in _MANTISSAS)}
    kept = {one for one in values if low <= one <= min(high, MOST)}
    return sorted({*kept, value})


def shown(value: Any) -> str:
    """A stop as its label.

    Example:
        >>> shown(4096), shown(0.15)
        ('4,096', '0.15')
    """
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
