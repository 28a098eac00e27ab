"""What a sweep found: a row for each run, the best setting, and how far "the best of many" flatters it."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from ..comparison.collect import final_metrics
from ..errors import CpcError
from ..evaluation.intervals import mean_interval
from ..evaluation.metric_info import PRIMARY
from ..storage.folder import RunFolder
from .space import Choice
from .study import Spec, is_abandoned, quiet_optuna, slots

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class Row:
    """One run of a sweep, or a place where one is to be.

    Attributes:
        slot: number of its setting. settings: what the sweep varies. run: None before it was begun.
        status: "waiting", "running", "finished", "pruned", "diverged", or "failed".
        value: of the deciding metric; None before it was measured.
        message: why it failed or was pruned.
    """

    slot: int
    run: str | None
    settings: dict[str, Choice]
    seed: int
    status: str
    value: float | None
    message: str = ""


@dataclass(frozen=True)
class Best:
    """The best setting of a sweep.

    Attributes:
        value: mean over its seeds. half_width: of the 95 % Student-t interval over seeds; None of one seed.
        of: different settings that it is the best of. tied: how many others have exactly its value.
        optimism: by how much the best of as many settings would look better than it is if all were equally good, see
            `optimism`; None where no setting has two seeds.
        test: mean accuracy of its probes on test items, which did not choose it; None where the metric is another.
    """

    slot: int
    settings: dict[str, Choice]
    runs: list[str]
    value: float
    half_width: float | None
    seeds: int
    of: int
    tied: int
    optimism: float | None
    test: float | None

    def sentence(self) -> str:
        """What to make of it, in words."""
        if self.of < 2:
            flattery = "the only setting whose runs have all ended"
        elif self.tied:
            flattery = f"no difference: {self.tied + 1} of {self.of} settings have this value"
        elif self.optimism is None:
            flattery = "with one seed a setting, how far the choice flatters it cannot be told: give --seeds"
        else:
            flattery = (
                f"the best of {self.of} equally good settings would look better than it is by {self.optimism:.3g}"
            )
        interval = "" if self.half_width is None else f" ± {self.half_width:.3g} (95 % over {self.seeds} seeds)"
        test = "" if self.test is None else f"; on test items, which did not choose it: {self.test:.3g}"
        return f"{self.value:.4g}{interval}; {flattery}{test}"


def rows(study: Study, spec: Spec, root: Path) -> list[Row]:
    """The rows of a sweep, by setting and seed.

    Of a setting that ended early there are only the runs that were begun, and the one that failed before it was: of
    settings that do not fit together.
    """
    found = []
    for slot, trial in sorted(slots(study).items()):
        settings = trial.params or trial.system_attrs.get("fixed_params", {})
        ended = trial.state.is_finished() and not is_abandoned(trial)
        measured = sum(f"value {seed}" in trial.user_attrs for seed in range(spec.seeds))
        for seed in range(spec.seeds):
            run = trial.user_attrs.get(f"run {seed}")
            status = _status(trial, run, seed)
            if run or not ended or (status == "failed" and seed == measured):
                value = trial.user_attrs.get(f"value {seed}")
                why = trial.user_attrs.get("pruned") or trial.user_attrs.get("failed") or ""
                message = "" if status == "finished" else why
                found.append(Row(slot, run, dict(settings), seed, status, value, message))
    return found


def best_setting(table: Sequence[Row], spec: Spec, root: Path) -> Best | None:
    """The setting with the best mean among those whose runs are all measured; None before there is one."""
    by_slot: dict[int, list[Row]] = defaultdict(list)
    for row in table:
        by_slot[row.slot].append(row)
    values = {
        slot: [row.value for row in members if row.value is not None]
        for slot, members in by_slot.items()
        if len(members) == spec.seeds and all(row.status == "finished" for row in members)
    }
    values = {slot: measured for slot, measured in values.items() if len(measured) == spec.seeds}
    # TPE may draw a setting again, whose runs then are the same ones.
    first = {json.dumps(by_slot[slot][0].settings, sort_keys=True): slot for slot in sorted(values, reverse=True)}
    values = {slot: values[slot] for slot in sorted(first.values())}
    if not values:
        return None
    slot = (max if spec.higher else min)(values, key=lambda slot: fmean(values[slot]))
    members = by_slot[slot]
    mean, half = mean_interval(values[slot])
    tied = sum(fmean(found) == fmean(values[slot]) for found in values.values()) - 1
    runs = [row.run for row in members if row.run]
    return Best(
        slot=slot,
        settings=members[0].settings,
        runs=runs,
        value=mean,
        half_width=half,
        seeds=spec.seeds,
        of=len(values),
        tied=tied,
        optimism=optimism(list(values.values())),
        test=_test_accuracy(root, runs) if spec.metric == PRIMARY else None,
    )


def optimism(values: Sequence[Sequence[float]]) -> float | None:
    """By how much the best of several settings looks better than it is, were all equally good.

    The largest of n independent means with a standard error s exceeds their common expectation by s · E[max of n
    standard normal draws]. s follows from the variance over seeds within settings, pooled. It is an upper bound where
    settings differ: a clear winner is less flattered.

    Args:
        values: of each setting over the same number of seeds.

    Returns:
        In the unit of the values; None with fewer than 2 seeds, 0 for one setting.

    Example:
        >>> round(optimism([[0.8, 0.9], [0.7, 0.8], [0.75, 0.85]]), 4), optimism([[0.8], [0.9]])
        (0.0423, None)
    """
    seeds = len(values[0])
    if seeds < 2:
        return None
    variance = float(np.mean([np.var(row, ddof=1) for row in values]))
    return math.sqrt(variance / seeds) * expected_maximum(len(values))


def expected_maximum(n: int) -> float:
    """E[max of n independent standard normal draws], ∫ x d(Φ(x)ⁿ).

    Example:
        >>> [round(expected_maximum(n), 3) for n in (1, 2, 3, 100)]
        [0.0, 0.564, 0.846, 2.508]
    """
    from scipy.stats import norm

    x = np.linspace(-10, 10, 20_001)
    return float(np.trapezoid(x * n * norm.pdf(x) * norm.cdf(x) ** (n - 1), x))


def importance(study: Study) -> dict[str, float]:
    """The share of the differences between settings that each varied setting explains, largest first (fANOVA).

    Hutter et al. 2014, "An efficient approach for assessing hyperparameter importance"; empty before there are enough
    settings, or where all have one value.
    """
    optuna = quiet_optuna()
    try:
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        found: dict[str, float] = optuna.importance.get_param_importances(study, evaluator=evaluator)
    except (ValueError, RuntimeError):
        return {}
    return found


def document(study: Study, spec: Spec, root: Path) -> dict[str, Any]:
    """A sweep as `cpc sweep --json` prints it."""
    table = rows(study, spec, root)
    best = best_setting(table, spec, root)
    names = ("run", "settings", "seed", "status", "value", "message")
    return {
        "study": study.study_name,
        "sampler": spec.space.sampler,
        "metric": spec.metric,
        "better": "higher" if spec.higher else "lower",
        "trials": [{name: getattr(row, name) for name in names} for row in table],
        "best": None if best is None else {**vars(best), "sentence": best.sentence()},
    }


def _status(trial: FrozenTrial, run: str | None, seed: int) -> str:
    state = trial.state.name
    if state == "COMPLETE" or f"value {seed}" in trial.user_attrs:
        return "finished"
    if state == "PRUNED":
        return "pruned" if "pruned" in trial.user_attrs else "diverged"
    if state == "RUNNING":
        return "running" if run else "waiting"
    return "waiting" if state == "WAITING" or is_abandoned(trial) else "failed"


def _test_accuracy(root: Path, runs: Sequence[str]) -> float | None:
    """Mean test accuracy of runs; None where they lie on another machine."""
    try:
        found = [final_metrics(RunFolder(root / run)).get(PRIMARY) for run in runs]
    except CpcError:
        return None
    known = [value for value in found if value is not None]
    return fmean(known) if len(known) == len(runs) else None
