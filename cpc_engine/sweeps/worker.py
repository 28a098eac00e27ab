"""One worker of a sweep: it takes a waiting setting, trains its runs, and goes on until none is left.

    python -m cpc_engine.sweeps.worker < job.json

The job stands on stdin, because an address may hold a password, which arguments would show to everybody.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from ..comparison.collect import chosen_probes, final_metrics
from ..comparison.planned import is_planned
from ..config import RunConfig
from ..errors import CpcError, RunError
from ..evaluation.metric_info import PRIMARY, describe_metric
from ..evaluation.metric_values import metric_value
from ..execution.evaluate import evaluate_run
from ..execution.execute import Phase, Record, State, execute
from ..storage.folder import RunFolder, check_resumable
from ..storage.info import ACTIVE
from ..storage.listing import list_runs
from ..training.control import Control
from .study import Spec, abandoned, open_study, quiet_optuna, requeue

if TYPE_CHECKING:
    from optuna import Trial

POLL = 1.0  # s between two looks for work while other workers may still give some back


class _NoTrial(Exception):
    """The trial has no setting, or its runs failed; the next one starts."""


class _Stopped(Exception):
    """The worker is to end; its trial waits for another one."""


class Worker:
    """Works on a sweep until nothing is left or `stop` is called.

    Args:
        url, name: of the study (see `study.storage_url`). root: the folder of runs.
        alive: asked between steps; the worker stops where it says no.
        cluster: address of the Dask scheduler whose workers train and measure the runs; None: this process does.

    Attributes:
        lost: why the worker ended early, with work left; empty if it did not.
    """

    def __init__(
        self, url: str, name: str, root: Path, alive: Callable[[], bool] = lambda: True, cluster: str | None = None
    ) -> None:
        self._study, self._spec = open_study(url, name)
        self._name, self._root, self._alive = name, root, alive
        self._control: Control | None = None
        self._stopping = False
        self._cluster = cluster
        self.lost = ""

    def stop(self) -> None:
        """End after the current step; the trial is taken up again by whoever works on the sweep next."""
        self._stopping = True
        if self._control is not None:
            self._control.stop()

    def work(self) -> None:
        """Work until no trial waits and none is under way elsewhere."""
        optuna = quiet_optuna()
        waiting, running = optuna.trial.TrialState.WAITING, optuna.trial.TrialState.RUNNING
        while not self._ends():
            optuna.storages.fail_stale_trials(self._study)
            if self._study.get_trials(deepcopy=False, states=(waiting,)):
                self._one(optuna)
            elif self._study.get_trials(deepcopy=False, states=(running,)):
                time.sleep(POLL)
            elif lost := abandoned(self._study):
                # Whoever saw that their worker is gone is about to queue them, unless it has gone as well.
                time.sleep(2 * POLL)
                for trial in abandoned(self._study):
                    if trial.number in {one.number for one in lost}:
                        requeue(self._study, trial)
            else:
                return

    def _one(self, optuna: Any) -> None:
        """Take one trial."""
        self._study.pruner = optuna.pruners.MedianPruner() if self._spec.prune else optuna.pruners.NopPruner()
        with contextlib.suppress(_Stopped):
            self._study.optimize(self._objective, n_trials=1, catch=(_NoTrial,))

    def _objective(self, trial: Trial) -> float:
        slot = trial.user_attrs.get("slot")
        if slot is None:  # another worker took the last one in the meantime
            raise _NoTrial
        # Only the trial that was taken tells its number, on which the draw depends: other workers draw something else,
        # and so does this one when a sweep goes on.
        self._study.sampler = quiet_optuna().samplers.TPESampler(seed=slot, constant_liar=True)
        settings = self._spec.space.suggest(trial)
        values = []
        for seed in range(self._spec.seeds):
            try:
                values.append(self._value(trial, slot, settings, seed))
            except CpcError as error:
                trial.set_user_attr("failed", str(error))
                raise _NoTrial from None
            trial.set_user_attr(f"value {seed}", values[-1])
        return fmean(values)

    def _value(self, trial: Trial, slot: int, settings: Mapping[str, Any], seed: int) -> float:
        """Train and measure one run of a setting, from where an earlier worker left it."""
        config = run_config(self._spec, self._name, slot, settings, seed)
        folder = find(self._root, config) or RunFolder.create(self._root, config)
        trial.set_user_attr(f"run {seed}", folder.id)
        self._wait_for(folder)
        watch = _Watch(trial, self._spec) if self._spec.prune and seed == 0 else None
        if folder.info().status != "finished":
            state = self._train(folder, watch)
            if watch is not None and watch.behind:
                trial.set_user_attr("pruned", watch.behind)
                raise self._pruned()
            if state.status in ("stopped", "interrupted"):
                self._stopping = True
                self.lost = state.message if state.status == "interrupted" else ""
                requeue(self._study, self._study.get_trials(deepcopy=False)[trial.number])
                raise _Stopped
            if state.status == "diverged":
                trial.set_user_attr("failed", f"seed {seed}: {state.message}")
                raise self._pruned()
            if state.status != "finished":
                raise RunError(f"{folder.id}: {state.message}")
        if self._spec.metric == PRIMARY and folder.json("evaluation") is None:
            evaluate_run(folder)
        return measured(folder, self._spec.metric)

    def _wait_for(self, folder: RunFolder) -> None:
        """Wait while another process trains the run: one that was only slow to give a sign of life."""
        while folder.info().status in ACTIVE and folder.info().pid != os.getpid() and not self._ends():
            time.sleep(POLL)

    def _train(self, folder: RunFolder, watch: _Watch | None) -> State:
        resume = folder.info().status != "queued"
        if resume:
            check_resumable(folder)
        self._control = control = Control()
        if self._ends():
            control.stop()

        def observe(observed: Record | Phase | State) -> None:
            if isinstance(observed, dict) and watch is not None and watch.falls_behind(observed):
                control.stop()
            if self._ends():
                control.stop()

        if watch is not None and any(watch.falls_behind(record) for record in (folder.records() if resume else ())):
            return State("stopped")
        if self._cluster is None:
            return execute(folder, control, observe, resume)
        from ..execution.cluster.submit import execute_there

        return execute_there(folder, control, observe, resume, self._cluster, evaluate=self._spec.metric == PRIMARY)

    def _pruned(self) -> Exception:
        error: Exception = quiet_optuna().TrialPruned()
        return error

    def _ends(self) -> bool:
        self._stopping = self._stopping or not self._alive()
        return self._stopping


class _Watch:
    """Tells Optuna a run's metric while it trains, and says when the run has fallen behind the others."""

    def __init__(self, trial: Trial, spec: Spec) -> None:
        assert spec.prune is not None
        self._trial, self._metric = trial, spec.prune
        # Optuna compares intermediate values in the direction of the final one.
        self._sign = 1.0 if (describe_metric(spec.prune).better == "higher") == spec.higher else -1.0
        self.behind = ""

    def falls_behind(self, record: Mapping[str, Any]) -> bool:
        value = metric_value(record.get("geometry") or {}, self._metric)
        if value is not None and math.isfinite(value) and not self.behind:
            self._trial.report(self._sign * value, record["step"])
            if self._trial.should_prune():
                self.behind = f"{self._metric} was worse than the median of the others at step {record['step']}"
        return bool(self.behind)


def run_config(spec: Spec, study: str, slot: int, settings: Mapping[str, Any], seed: int) -> RunConfig:
    """The configuration of one run of a sweep; a run trains on one CPU thread, since workers share the cores."""
    words = {path.rpartition(".")[2].replace("_", " "): value for path, value in settings.items()}
    texts = {name: f"{value:.4g}" if isinstance(value, float) else str(value) for name, value in words.items()}
    shown = ", ".join(f"{name} {text}" for name, text in texts.items())
    name = f"{study} {slot}: {shown}"[:120]
    return spec.config.replace({**settings, "run.seed": seed, "run.name": name, "run.threads": 1})


def find(root: Path, config: RunConfig) -> RunFolder | None:
    """The run of a sweep that has been begun below `root`, or None.

    A run of the same name with other settings is that of another sweep, or was started by hand.
    """
    for info in list_runs(root):
        folder = RunFolder(root / info.id)
        if info.name == config.run.name and is_planned(folder.config(), config):
            return folder
    return None


def measured(folder: RunFolder, metric: str) -> float:
    """The value of a finished run that decides a sweep: of "probe" the accuracy on validation items.

    What two modalities have one each of is the mean over them.

    Raises:
        RunError: the run does not have the metric.
    """
    if metric == PRIMARY:
        return fmean(row["validation"] for row in chosen_probes(folder.json("evaluation")["probe"]).values())
    value = metric_value(final_metrics(folder), metric)
    if value is None or not math.isfinite(value):
        raise RunError(f"{folder.id} has no metric {metric!r}")
    return value


def main() -> int:
    """Work on the sweep that stdin names; SIGTERM and Ctrl-C end it after a step."""
    job = json.load(sys.stdin)
    parent = os.getppid()
    worker = Worker(job["url"], job["study"], Path(job["root"]), lambda: os.getppid() == parent, job["cluster"])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, frame: worker.stop())
    worker.work()
    if worker.lost:
        print(worker.lost, file=sys.stderr)
    return 1 if worker.lost else 0


if __name__ == "__main__":
    sys.exit(main())
