"""Which files of results were measured with settings that have changed since, or do not say how they were measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..config import RunConfig
from ..storage.files import read_json
from .definitions import EXPERIMENTS
from .recipe import differing, incomplete


def outdated(results: Path, pattern: str = "*.json") -> list[str]:
    """Return what is wrong with the files of results in a folder, one line each.

    A configuration that was measured has changed since, or a recipe is incomplete or missing.

    Raises:
        RunError: a file is damaged.
    """
    errors: list[str] = []
    for path in sorted(results.glob(pattern)):
        document = read_json(path)
        if "recipe" not in document:
            errors.append(f"{path.name}: without a recipe: measure again")
            continue
        found = document["recipe"]
        if missing := incomplete(found):
            errors.append(f"{path.name}: its recipe lacks {', '.join(missing)}: measure again")
        today = _configs_of(document.get("experiment", ""))
        errors += [f"{path.name}: {line}: measure again" for line in differing(found, today)]
    return errors


def _configs_of(experiment: str) -> Mapping[str, RunConfig]:
    return EXPERIMENTS[experiment].configs() if experiment in EXPERIMENTS else {}
