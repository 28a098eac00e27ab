"""The command `experiment NAME`: train the missing runs of an experiment and write its report folder."""

from __future__ import annotations

import argparse
import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from ..api.foreground import execute_here
from ..errors import ClusterError
from ..experiments.definitions import SEEDS, experiment
from ..storage.folder import RunFolder, default_root
from .text import aligned, note

if TYPE_CHECKING:
    from ..execution.execute import State
    from ..execution.place import Executor


def run_experiment(options: argparse.Namespace) -> int:
    """Run an experiment; exit code 0 if every run finished, else 1. The report is written in both cases."""
    chosen = experiment(options.name)
    from ..execution.place import executor
    from ..experiments.report import tables, write_report
    from ..experiments.results import collect
    from ..experiments.runner import plan_runs, run_all

    seeds = options.seeds if options.seeds is not None else 1 if options.quick else SEEDS
    data = os.path.abspath(os.path.expanduser(options.data)) if options.data else None
    arms = [label.strip() for label in options.arms.split(",")] if options.arms else None
    planned = plan_runs(chosen, seeds, arms, options.quick, data)
    folder: Path = (
        options.out
        or (options.runs or default_root()) / "experiments" / f"{chosen.name}{'-quick' if options.quick else ''}"
    )
    if not options.report_only:
        execute = executor(options.cluster)
        run_all(planned, folder, lambda run, resume: _train(run, resume, execute), note)
    document = collect(chosen, planned, folder, _command(options, seeds), options.quick)
    files = write_report(document, folder)
    if options.json:
        print(json.dumps({**document, "folder": str(folder), "files": [path.name for path in files]}, indent=2))
    else:
        for heading, _, table in tables(document):
            print("\n".join([heading, *aligned(table)]) + "\n")
        print(folder / "report.html")
    return int(any(run["status"] != "finished" for run in document["runs"]))


def _train(folder: RunFolder, resume: bool, execute: Executor) -> State:
    """Train a run and wait for its end; Ctrl-C ends the experiment."""
    state = execute_here(folder, resume, execute)
    if state.status == "interrupted":
        raise ClusterError(state.message)  # the other runs would fare no better
    if state.status == "stopped":
        raise KeyboardInterrupt  # the run is kept and resumed when the experiment is started again
    return state


def _command(options: argparse.Namespace, seeds: int) -> str:
    """Return the command that repeats the report, without the path of the data, which differs between machines."""
    parts = ["python", "-m", "cpc_engine", "experiment", options.name, "--seeds", str(seeds)]
    parts += ["--quick"] if options.quick else []
    parts += ["--arms", options.arms] if options.arms else []
    return shlex.join(parts) + (" --data PATH" if options.data else "")
