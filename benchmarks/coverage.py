"""How often does a 95 % interval of an accuracy hold the true one? Simulated networks, judged by the reports' code.

    python -m benchmarks.coverage [--draws 2000] [--json] [--out FILE]

Every draw makes new seeds, folds, and test items. Whether item i of fold f is right at seed s is 0 or 1: a threshold on
the sum of effects of the seed, the fold, and the item, and a rest of its own (a probit model, standard deviations in
units of the rest's). The true accuracy is that over all seeds, folds, and items. Beside the interval of
`hierarchical_interval`, that over seeds alone. Cases with two accuracies are of a difference on the same items.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import ndtri

import cpc_engine  # noqa: F401  (before torch: it settles how torch's threads wait)
from benchmarks.timing import deliver, machine
from cpc_engine.evaluation.intervals import Estimate, Floats, hierarchical_interval, mean_interval, wilson_interval
from cpc_engine.experiments.recipe import recipe

SIZES = ((5, 1, 300), (5, 6, 100), (10, 1, 60))  # seeds, folds, items of a fold
EFFECTS = {"items differ": (0.2, 0.5, 2.0), "folds differ": (0.2, 0.5, 0.5)}
EFFECTS |= {"folds differ much": (0.2, 1.0, 0.5), "seeds differ": (0.5, 0.2, 0.5)}


@dataclass(frozen=True)
class Case:
    """One simulation: `effects` is a key of `EFFECTS`, standard deviations of seeds, folds, and items."""

    effects: str
    seeds: int
    folds: int
    items: int
    accuracy: float
    against: float | None = None  # accuracy of a network to subtract on the same items


CASES = (
    *(Case(effects, *size, 0.8) for size in SIZES for effects in EFFECTS if size[1] > 1 or "folds" not in effects),
    *(Case("items differ", *size, 0.97) for size in SIZES),
    *(Case("items differ", *size, 0.85, 0.8) for size in SIZES),
)


def draw_items(case: Case, draw: np.random.Generator) -> Floats:
    """(seeds, folds, items), 0 or 1, or a difference of two such tables with the same folds and items."""
    of_seeds, of_folds, of_items = EFFECTS[case.effects]
    of_folds *= case.folds > 1  # one fold is the whole population: its effect is part of the true accuracy
    spread = (1 + of_seeds**2 + of_folds**2 + of_items**2) ** 0.5
    shared = of_folds * draw.normal(size=(1, case.folds, 1)) + of_items * draw.normal(size=(1, case.folds, case.items))

    def right(accuracy: float) -> Floats:
        own = of_seeds * draw.normal(size=(case.seeds, 1, 1))
        rest = draw.normal(size=(case.seeds, case.folds, case.items))
        found: Floats = (ndtri(accuracy) * spread + own + shared + rest > 0).astype(np.float64)
        return found

    return right(case.accuracy) - (0.0 if case.against is None else right(case.against))


def estimates(table: Floats) -> tuple[Estimate, tuple[float, float]]:
    """(mean and half width) of the interval of reports, and of that over seeds alone."""
    mean, half = mean_interval(table.mean((1, 2)).tolist())
    assert half is not None
    return hierarchical_interval({seed: list(row) for seed, row in enumerate(table)}), (mean, half)


def measure(case: Case, draws: int) -> dict[str, Any]:
    """Share of draws whose interval holds the true value, and mean half width, of both intervals."""
    draw = np.random.default_rng(0)
    true = case.accuracy - (case.against or 0.0)
    hits, widths = np.zeros(2), np.zeros(2)
    covers = ""
    for _ in range(draws):
        found, (mean, half) = estimates(draw_items(case, draw))
        assert found.half is not None
        covers = found.covers
        pairs = ((found.mean, found.half), (mean, half))
        hits += [abs(center - true) <= width for center, width in pairs]
        widths += [width for _, width in pairs]
    both = {
        name: {
            "share": hits[k] / draws,
            "interval": list(wilson_interval(int(hits[k]), draws)),
            "half": widths[k] / draws,
        }
        for k, name in enumerate(("hierarchical", "seeds_only"))
    }
    return {**vars(case), "covers": covers, "draws": draws, **both}


def text(document: dict[str, Any]) -> str:
    """One line a case."""
    lines = []
    for row in document["cases"]:
        against = "" if row["against"] is None else f" − {row['against']:g}"
        shares = "  ".join(
            f"{name} {row[name]['share']:.1%} (± {100 * row[name]['half']:.1f})"
            for name in ("hierarchical", "seeds_only")
        )
        size = f"{row['seeds']:>2} seeds {row['folds']} folds {row['items']:>3} items"
        lines.append(f"{row['effects']:<17} {size}  {row['accuracy']:g}{against}: {shares}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--json", action="store_true", help="print the document instead of its text")
    parser.add_argument("--out", type=Path, help="also keep the document here")
    given = parser.parse_args(arguments)
    document: dict[str, Any] = {
        "cases": [measure(case, given.draws) for case in CASES],
        "machine": machine(torch.device("cpu")),
        "command": f"python -m benchmarks.coverage --draws {given.draws}",
    }
    parameters = {"draws": given.draws, "seed": 0, "effects": EFFECTS, "cases": [vars(case) for case in CASES]}
    made = recipe(document["command"], {}, {}, parameters)
    deliver(document, made, text(document), given.json, given.out)


if __name__ == "__main__":
    main()
