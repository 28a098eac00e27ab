"""The data sets that a run can learn from: `DATASETS` by name. Torch-free; loaders are imported when they are needed.

A file in this folder that defines `SPECS` adds data sets. See CONTRIBUTING for an example.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from .spec import DatasetSpec

__all__ = ["DATASETS", "DatasetSpec", "own_settings"]

_ORDER = ("generated", "download", "folder")


def _discover() -> dict[str, DatasetSpec]:
    modules = (import_module(f"{__name__}.{file.name}") for file in iter_modules(__path__) if file.name != "spec")
    specs: list[DatasetSpec] = [spec for module in modules for spec in module.SPECS]
    return {spec.name: spec for spec in sorted(specs, key=lambda spec: _ORDER.index(spec.origin))}


DATASETS = _discover()


def own_settings() -> frozenset[str]:
    """Settings that only some data sets read."""
    return frozenset(path for spec in DATASETS.values() for path in spec.own_settings)
