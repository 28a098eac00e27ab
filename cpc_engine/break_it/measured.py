"""Measured runs of the recipes as `benchmarks.break_it` stores them: one row for each arm and seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..comparison.arms import ComparedRun
from ..config import RunConfig
from ..storage.files import read_json
from .outcome import Outcome, outcome
from .recipes import RECIPES

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "break_it.json"
Row = Mapping[str, Any]


def arms() -> dict[str, tuple[str, RunConfig]]:
    """Return {name: (preset, configuration with seed 0)} of all controls and broken runs; each control once.

    Example:
        >>> [name for name, (preset, _) in arms().items() if preset == "tones_bars"]
        ['pairs', 'cross_modal_only']
    """
    found: dict[str, tuple[str, RunConfig]] = {}
    for recipe in RECIPES.values():
        control, broken = recipe.configs()
        found.setdefault(recipe.control.name, (recipe.control.preset, control))
        found[recipe.name] = (recipe.control.preset, broken)
    return found


def runs_of(rows: Iterable[Row]) -> list[ComparedRun]:
    """Return the runs of stored rows; those of arms that no longer exist are left out.

    Args:
        rows: each with "arm", "seed", and "metrics" ({name: final value}).
    """
    known = arms()
    return [
        ComparedRun(
            f"{row['arm']}-{row['seed']}",
            known[row["arm"]][1].replace({"run.seed": row["seed"]}),
            "finished",
            True,
            row["metrics"],
        )
        for row in rows
        if row["arm"] in known
    ]


def measured(path: Path = RESULTS) -> tuple[dict[str, Outcome], str]:
    """Return {recipe: what was found of its prediction} and the command that measures it again; nothing without a file.

    Raises:
        RunError: the file is damaged.
    """
    if not path.is_file():
        return {}, ""
    document = read_json(path)
    runs = runs_of(document["rows"])
    return {name: outcome(recipe, runs) for name, recipe in RECIPES.items()}, document["command"]
