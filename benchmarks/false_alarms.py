"""How often does a comparison of equal settings name a better arm? Simulated runs, judged by the code of the page.

    python -m benchmarks.false_alarms [--comparisons 2000] [--json] [--out FILE]

Every comparison draws runs of arms that do not differ (A/A), with all metrics that get verdicts, correlated over seeds.
It errs where any metric has a verdict. Beside it: the same p values without correction, each metric a test of its own.
The last rows give the arms a true difference in the primary metric, and count how often that is found.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import ndtr

import cpc_engine  # noqa: F401  (before torch: it settles how torch's threads wait)
from benchmarks.timing import deliver, machine
from cpc_engine.comparison.arms import Arm, ComparedRun, group
from cpc_engine.comparison.judge import judge
from cpc_engine.comparison.verdicts import ALPHA
from cpc_engine.config import RunConfig
from cpc_engine.evaluation.intervals import wilson_interval
from cpc_engine.evaluation.metric_info import METRICS, PRIMARY
from cpc_engine.experiments.recipe import recipe

EXTRA = ("probe.mean_context", "probe.last_context", "probe.mean_latent", "probe.quarters")
NAMES = (*METRICS, *EXTRA)
ITEMS = 400  # test items of the metrics that are shares
Shape = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def accuracies(z: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Shares of ITEMS near their ceiling, so that many runs are equal; the network's own accuracy varies with z."""
    return draw.binomial(ITEMS, 0.9 + 0.1 * ndtr(z)) / ITEMS


SHAPES: dict[str, Shape] = {
    "normal": lambda z, draw: z,
    "skewed": lambda z, draw: np.exp(z),
    "accuracies": accuracies,
}


@dataclass(frozen=True)
class Case:
    """One kind of comparison: `gap` is the true difference of the primary metric in standard deviations."""

    shape: str
    correlation: float
    arms: int
    seeds: int
    same_seeds: bool = True
    gap: float = 0.0


CASES = (
    *(Case(shape, correlation, 2, 5) for shape in SHAPES for correlation in (0.0, 0.5, 0.9)),
    *(Case("normal", 0.5, 2, seeds) for seeds in (2, 3, 10)),
    *(Case(shape, 0.5, 4, 5) for shape in SHAPES),
    *(Case(shape, 0.5, 2, 5, same_seeds=False) for shape in SHAPES),
    *(Case("normal", 0.5, 2, seeds, gap=gap) for seeds in (5, 10) for gap in (1.0, 2.0, 4.0)),
)


def comparison(case: Case, draw: np.random.Generator) -> list[Arm]:
    """Arms of simulated runs; a factor that all metrics of a run share makes them correlated."""
    runs = []
    for index in range(case.arms):
        common = draw.normal(size=(case.seeds, 1))
        own = draw.normal(size=(case.seeds, len(NAMES)))
        z = case.correlation**0.5 * common + (1 - case.correlation) ** 0.5 * own
        values = SHAPES[case.shape](z, draw)
        values[:, NAMES.index(PRIMARY)] += case.gap * (index == 0)
        for row in range(case.seeds):
            seed = row if case.same_seeds else index * case.seeds + row
            metrics = dict(zip(NAMES, values[row].tolist(), strict=True))
            runs.append(ComparedRun(f"{index}-{seed}", _config(index, seed), "finished", True, metrics))
    return group(runs)


_CONFIGS: dict[tuple[int, int], RunConfig] = {}


def _config(arm: int, seed: int) -> RunConfig:
    if (arm, seed) not in _CONFIGS:
        _CONFIGS[arm, seed] = RunConfig().replace({"loss.temperature": 0.1 + arm / 100, "run.seed": seed})
    return _CONFIGS[arm, seed]


def measure(case: Case, comparisons: int) -> dict[str, Any]:
    """Shares of comparisons with any verdict, with any single p value below 5 %, and with the primary metric found."""
    draw = np.random.default_rng(0)
    counts = {"any_verdict": 0, "any_uncorrected": 0, "primary_found": 0}
    for _ in range(comparisons):
        arms = comparison(case, draw)
        verdicts = judge(arms, arms[0])
        counts["any_verdict"] += any(verdict.winner for verdict in verdicts.values())
        counts["any_uncorrected"] += any(v.p is not None and v.p < ALPHA for v in verdicts.values())
        counts["primary_found"] += verdicts[PRIMARY, arms[1].letter].winner == arms[0].letter
    shares = {
        name: {"share": count / comparisons, "interval": list(wilson_interval(count, comparisons))}
        for name, count in counts.items()
    }
    return {**vars(case), "comparisons": comparisons, **shares}


def text(document: dict[str, Any]) -> str:
    """One line a case."""
    lines = []
    for row in document["cases"]:
        shares = "  ".join(f"{name} {row[name]['share']:.1%}" for name in ("any_verdict", "any_uncorrected"))
        lines.append(
            f"{row['shape']:<10} ρ {row['correlation']}  arms {row['arms']}  seeds {row['seeds']:>2} "
            f"{'same' if row['same_seeds'] else 'other'}  gap {row['gap']}  {shares}  "
            f"primary found {row['primary_found']['share']:.1%}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comparisons", type=int, default=2000)
    parser.add_argument("--json", action="store_true", help="print the document instead of its text")
    parser.add_argument("--out", type=Path, help="also keep the document here")
    given = parser.parse_args(arguments)
    document: dict[str, Any] = {
        "cases": [measure(case, given.comparisons) for case in CASES],
        "metrics": len(NAMES),
        "machine": machine(torch.device("cpu")),
        "command": f"python -m benchmarks.false_alarms --comparisons {given.comparisons}",
    }
    parameters = {"comparisons": given.comparisons, "metrics": list(NAMES), "items": ITEMS, "seed": 0}
    made = recipe(document["command"], {}, {}, parameters | {"cases": [vars(case) for case in CASES]})
    deliver(document, made, text(document), given.json, given.out)


if __name__ == "__main__":
    main()
