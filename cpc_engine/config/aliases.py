"""Names of earlier versions, still understood on the command line, in addresses and in stored configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SECTIONS = {"optimiser": "optimizer"}
SETTINGS = {"audio.centre": "audio.center", "evaluation.neighbours": "evaluation.neighbors"}
VALUES = {("sampler.mode", "seed"): "reference"}


def current_path(path: str) -> str:
    """The path that a setting has now.

    Example:
        >>> current_path("optimiser.steps")
        'optimizer.steps'
    """
    section, dot, name = path.partition(".")
    path = f"{SECTIONS.get(section, section)}{dot}{name}"
    return SETTINGS.get(path, path)


def current_value(path: str, value: Any) -> Any:
    """The value that a setting's earlier value stands for."""
    return VALUES.get((path, value), value) if isinstance(value, str) else value


def current_sections(values: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration's sections with the names of today; what is no section of settings is left as it is."""
    renamed: dict[str, Any] = {}
    for section, settings in values.items():
        if not isinstance(settings, Mapping):
            renamed[str(section)] = settings
            continue
        for name, value in settings.items():
            path = current_path(f"{section}.{name}")
            home, _, current = path.partition(".")
            renamed.setdefault(home, {})[current] = current_value(path, value)
        if not settings:
            renamed.setdefault(current_path(str(section)), {})
    return renamed
