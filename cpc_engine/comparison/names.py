"""What a run is called: its name or what its settings say, and what tells runs of one name apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..config import RunConfig, in_words, paths_with_role
from ..presets import PRESETS
from .commands import nearest_preset

NAMED = 3  # settings in a name
ID = 6  # last letters of an id, which are drawn at random
SEED = "run.seed"


def shown_name(config: RunConfig) -> str:
    """Return a run's name; where it has none, its preset and what differs from that.

    Example:
        >>> shown_name(PRESETS["tones"].config().replace({"sampler.queue_size": 512}))
        'Tones · Queue size 512'
        >>> shown_name(RunConfig().replace({"run.name": "mine"}))
        'mine'
    """
    if config.run.name:
        return config.run.name
    return " · ".join(filter(None, [PRESETS[nearest_preset(config)[0]].title, beside_preset(config)]))


def beside_preset(config: RunConfig) -> str:
    """Return what differs from the nearest preset, in words; empty where nothing does but the seed."""
    base = PRESETS[nearest_preset(config)[0]].config()
    other = paths_with_role("label", "machine", "seed", "data_location")
    return in_words({path: own for path, (own, _) in config.differences(base).items() if path not in other}, NAMED)


def told_apart(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return what tells runs apart, in words: the settings that are not the same in all of them, the seed last.

    Runs that have all of these in common are told apart by the end of their ids.

    Args:
        settings: {id: {"section.setting": value}}; names, notes and machines tell nothing.

    Example:
        >>> told_apart({"a-1": {"sampler.sigma": 0.1, "run.seed": 0}, "b-2": {"sampler.sigma": 0.2, "run.seed": 0}})
        {'a-1': 'Noise σ 0.1', 'b-2': 'Noise σ 0.2'}
        >>> told_apart({"run-a1": {"run.seed": 0}, "run-b2": {"run.seed": 0}})
        {'run-a1': 'run-a1', 'run-b2': 'run-b2'}
    """
    nothing = paths_with_role("label", "machine", "data_location")
    paths = [path for path in dict.fromkeys(p for values in settings.values() for p in values) if path not in nothing]
    varying = [path for path in paths if len({repr(values.get(path)) for values in settings.values()}) > 1]
    varying.sort(key=lambda path: path == SEED)
    words = {
        run: in_words({path: values.get(path) for path in varying}, NAMED).replace("Seed ", "seed ")
        for run, values in settings.items()
    }
    taken = list(words.values())
    return {
        run: " · ".join(filter(None, [told, run[-ID:] if taken.count(told) > 1 else ""])) for run, told in words.items()
    }
