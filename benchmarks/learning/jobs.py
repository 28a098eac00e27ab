"""Runs that are planned, made in processes of their own, and stored as they end."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from cpc_engine.config import RunConfig
from cpc_engine.data import follow_data, load_dataset
from cpc_engine.data.splits import sample_rows
from cpc_engine.errors import CpcError
from cpc_engine.evaluation.baselines import baseline_rows
from cpc_engine.experiments.recipe import source

from .clock import train
from .judge import glance, judge
from .methods import ONCE, kind_of, operations, prepare, preset_of, settings_of
from .tasks import Task

Row = dict[str, Any]
KEY = ("data", "method", "seed", "budget", "threads", "settings")


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes:
        data: the name of the task. budget: seconds; 0 where nothing is trained. settings: see `settings_of`.
        config: of the preset that is trained, with the seed. own: of the data's own preset, by which all are judged.
    """

    data: str
    method: str
    seed: int
    budget: float
    threads: int
    settings: str
    config: RunConfig
    own: RunConfig

    @property
    def key(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in KEY)


def plan(task: Task, methods: Sequence[str], budgets: Iterable[float], seeds: Iterable[int], threads: int) -> list[Job]:
    """Return the runs of a task, all methods with the first seed before the second seed.

    Raises:
        ConfigError: there is no such method or preset.
    """
    own = task.own()
    jobs = []
    for seed in seeds:
        for budget in (0.0, *budgets):
            for method in methods:
                if (kind_of(method) in ONCE) != (budget == 0):
                    continue
                config = task.configuration(preset_of(method, task)).replace({"run.seed": seed})
                jobs.append(Job(task.name, method, seed, budget, threads, settings_of(method, task), config, own))
    return jobs


def run(job: Job) -> Row:
    """Make one run, and return its row.

    Raises:
        DataError: the data are missing, or a network diverged.
    """
    torch.set_num_threads(job.threads)
    job = replace(job, config=follow_data(job.config), own=follow_data(job.own))
    data = load_dataset(job.config)
    row: Row = {name: getattr(job, name) for name in KEY}
    row |= {"fingerprint": data.fingerprint(), "test_items": len(data.test), "steps": 0, "seconds": 0.0}
    if job.method == "baselines":
        began = time.perf_counter()
        rows = sample_rows(data.train, job.own.evaluation.probe_items, job.own.data.seed)
        found = {
            name: {"validation": one.validation, "test": one.accuracy, "correct": one.correct}
            for name, one in baseline_rows(data, job.config, rows).items()
        }
    else:
        make = prepare(job.method, job.config, data)
        trained = train(make, job.budget, lambda learner: glance(learner.features, data, job.own))
        learner = trained.learner
        row |= {"steps": trained.steps, "seconds": round(trained.seconds, 3), "parameters": learner.parameters}
        row |= {"rate": learner.rate, "gflop": operations(learner.features, data.test) / 1e9}
        row["moments"] = [
            {"seconds": round(seconds, 3), "steps": steps, "knn_validation": seen}
            for seconds, steps, seen in trained.moments
        ]
        began = time.perf_counter()
        found = judge(learner.features, data, job.own)
    row["judged_seconds"] = round(time.perf_counter() - began, 3)
    row["features"] = found
    row["load"] = round(os.getloadavg()[0], 2)
    return {**row, "source": source(packages=("lightly",))}


class Store:
    """Rows in a file, one JSON document a line, each written as it comes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> list[Row]:
        """Return the rows in the order in which they ended; a last line without an end is no row."""
        if not self.path.exists():
            return []
        whole, _, _ = self.path.read_text().rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]

    def append(self, row: Row) -> None:
        """Write a row, in the place of a line that was broken off."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab+") as file:
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
            file.write(json.dumps(row).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def measure(jobs: Sequence[Job], store: Store, workers: int, tell: Callable[[str], None]) -> list[str]:
    """Make the runs that are not stored yet, so many at a time, and store each as it ends.

    Returns:
        One line for each run that failed; it is not stored.
    """
    stored = {tuple(row[name] for name in KEY) for row in store.rows()}
    waiting = [job for job in jobs if job.key not in stored]
    tell(f"{len(jobs)} runs, {len(jobs) - len(waiting)} of them stored already")
    failed = []
    threads = {"OMP_NUM_THREADS": str(max((job.threads for job in jobs), default=1))}  # of k-means too
    context = multiprocessing.get_context("spawn")
    with patch.dict(os.environ, threads), ProcessPoolExecutor(workers, context, max_tasks_per_child=1) as pool:
        futures = {pool.submit(run, job): job for job in waiting}
        try:
            for number, future in enumerate(as_completed(futures), 1):
                job = futures[future]
                name = f"{job.data}, {job.method}, seed {job.seed}, {job.budget:g} s"
                try:
                    row = future.result()
                except CpcError as error:
                    failed.append(f"{name}: {error}")
                    continue
                store.append(row)
                best = max(row["features"].values(), key=lambda one: one["validation"])
                spent = f"{row['steps']} steps in {row['seconds']:.0f} s, judged in {row['judged_seconds']:.0f} s"
                tell(f"{number} of {len(waiting)}: {name}: {best['test']:.1%} ({spent})")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return failed
