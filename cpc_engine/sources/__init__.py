"""The sources of negatives, one file each: `SOURCES` by name, in the order of the candidates.

A file in this folder that defines `SOURCE` adds a source: its settings join the sampler's, the plan counts it, the
sampler draws it, and pages show it. See CONTRIBUTING for an example.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from .base import Anchors, CandidateSet, Keys, NegativeSource, SourceInputs, StepShape

__all__ = [
    "SOURCES",
    "Anchors",
    "CandidateSet",
    "Keys",
    "NegativeSource",
    "SourceInputs",
    "SourceSettings",
    "StepShape",
]


def _discover() -> dict[str, NegativeSource]:
    modules = (import_module(f"{__name__}.{file.name}") for file in iter_modules(__path__) if file.name != "base")
    sources: list[NegativeSource] = [module.SOURCE for module in modules]
    return {source.name: source for source in sorted(sources, key=lambda source: source.order)}


SOURCES = _discover()

if TYPE_CHECKING:
    from .cross_modal import CrossModalSettings
    from .mixed import MixedSettings
    from .perturbed import PerturbedSettings
    from .queue import QueueSettings
    from .shuffled import ShuffledSettings

    class SourceSettings(MixedSettings, CrossModalSettings, ShuffledSettings, PerturbedSettings, QueueSettings):
        """The settings of all sources together."""

else:
    # Built from what is in the folder; pydantic lists the fields of the last base first.
    _BASES = tuple(source.settings for source in SOURCES.values() if source.settings is not None)
    SourceSettings = type("SourceSettings", _BASES[::-1], {"__doc__": "The settings of all sources together."})
