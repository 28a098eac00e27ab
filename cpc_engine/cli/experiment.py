"""`experiment NAME`: train what is missing of an experiment, and write its report folder."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..experiments.definitions import SEEDS, experiment
from ..runs.folder import RunFolder
from .foreground import execute_here

if TYPE_CHECKING:
    from ..runs.execute import State


def run_experiment(options: argparse.Namespace) -> int:
    """Exit code 0 where every run finished, 1 where one did not; the report is written either way."""
    chosen = experiment(options.name)
    from ..experiments.report import tables, write_report
    from ..experiments.results import collect
    from ..experiments.runner import plan_runs, run_all

    seeds = options.seeds if options.seeds is not None else 1 if options.quick else SEEDS
    data = os.path.abspath(os.path.expanduser(options.data)) if options.data else None
    arms = [label.strip() for label in options.arms.split(",")] if options.arms else None
    planned = plan_runs(chosen, seeds, arms, options.quick, data)
    folder: Path = options.out or options.runs / "experiments" / f"{chosen.name}{'-quick' if options.quick else ''}"
    if not options.report_only:
        run_all(planned, folder, _train, _note)
    document = collect(chosen, planned, folder, _command(options, seeds), options.quick)
    files = write_report(document, folder)
    if options.json:
        print(json.dumps({**document, "folder": str(folder), "files": [path.name for path in files]}, indent=2))
    else:
        for heading, _, table in tables(document):
            print(f"{heading}\n{_aligned(table)}\n")
        print(folder / "report.html")
    return int(any(run["status"] != "finished" for run in document["runs"]))


def _train(folder: RunFolder, resume: bool) -> State:
    end = execute_here(folder, resume)
    if end.status == "stopped":
        raise KeyboardInterrupt  # the run is kept and goes on when the experiment is started again
    return end


def _command(options: argparse.Namespace, seeds: int) -> str:
    """The command that makes this report again; where data lie is each machine's own."""
    parts = ["python", "-m", "cpc_engine", "experiment", options.name, "--seeds", str(seeds)]
    parts += ["--quick"] if options.quick else []
    parts += ["--arms", options.arms] if options.arms else []
    return shlex.join(parts) + (" --data PATH" if options.data else "")


def _aligned(table: dict[str, list[str]]) -> str:
    widths = [max(map(len, [name, *cells])) for name, cells in table.items()]
    rows = [list(table), *zip(*table.values(), strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _note(line: str) -> None:
    print(line, file=sys.stderr)
