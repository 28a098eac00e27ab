"""Command lines that repeat a run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from ..config import RunConfig
from ..presets import PRESETS


def nearest_preset(config: RunConfig) -> tuple[str, list[str]]:
    """Return the preset that differs from a configuration in the fewest settings, and these settings.

    Returns:
        (name of the preset, ["section.setting=value", …]).

    Example:
        >>> nearest_preset(PRESETS["tones"].config().replace({"optimizer.steps": 7}))
        ('tones', ['optimizer.steps=7'])
    """
    values = config.flat()
    name, changes = min(
        (
            (name, {path: value for path, value in values.items() if value != known[path]})
            for name, known in _presets().items()
        ),
        key=lambda pair: len(pair[1]),
    )
    return name, assignments(changes)


@cache
def _presets() -> dict[str, dict[str, Any]]:
    """{preset: its settings}: a list of runs asks for them again and again."""
    return {name: preset.config().flat() for name, preset in PRESETS.items()}


def assignments(changes: Mapping[str, Any]) -> list[str]:
    """Return "section.setting=value" of each change, as `--set` and the address of the Train page read it."""
    return [f"{path}={value if isinstance(value, str) else json.dumps(value)}" for path, value in changes.items()]


def train_command(preset: str, settings: Iterable[str]) -> str:
    """Return the shell command that trains a preset with some settings, each "section.setting=value"."""
    words = ["python", "-m", "cpc_engine", "train", "--preset", preset]
    return shlex.join([*words, *(word for assignment in settings for word in ("--set", assignment))])


def cli_command(config: RunConfig) -> str:
    """Return the shell command that trains a configuration.

    Example:
        >>> cli_command(PRESETS["tones"].config().replace({"optimizer.steps": 7}))
        'python -m cpc_engine train --preset tones --set optimizer.steps=7'
    """
    return train_command(*nearest_preset(config))
