"""Which files of results were measured with settings that have changed since, or do not say how they were measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..config import RunConfig
from ..storage.files import read_json
from .definitions import EXPERIMENTS
from .recipe import differing, incomplete

# Measured before results had recipes. A file is taken out of this list when it is measured again.
WITHOUT_RECIPE = frozenset(
    {
        "ui.json",
    }
)


def outdated(results: Path, pattern: str = "*.json") -> tuple[list[str], list[str]]:
    """Return (errors, warnings) about the files of results in a folder, one line each.

    Errors: a configuration that was measured has changed since, or a recipe is incomplete or missing. Warnings: no
    recipe, in a file that is listed in `WITHOUT_RECIPE`.

    Raises:
        RunError: a file is damaged.
    """
    errors: list[str] = []
    warnings: list[str] = []
    for path in sorted(results.glob(pattern)):
        document = read_json(path)
        if "recipe" not in document:
            lines = warnings if path.name in WITHOUT_RECIPE else errors
            lines.append(f"{path.name}: without a recipe: measure again")
            continue
        found = document["recipe"]
        if missing := incomplete(found):
            errors.append(f"{path.name}: its recipe lacks {', '.join(missing)}: measure again")
        today = _configs_of(document.get("experiment", ""))
        errors += [f"{path.name}: {line}: measure again" for line in differing(found, today)]
    return errors, warnings


def _configs_of(experiment: str) -> Mapping[str, RunConfig]:
    return EXPERIMENTS[experiment].configs() if experiment in EXPERIMENTS else {}
