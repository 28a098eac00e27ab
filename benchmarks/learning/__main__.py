"""The command line: measure, or report what was measured."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.learning.curves import draw
from benchmarks.learning.jobs import Store, measure, plan
from benchmarks.learning.methods import TITLES, fitting, kind_of
from benchmarks.learning.report import document, recipe_of, tables
from benchmarks.learning.tasks import TASKS, Task, task_of
from benchmarks.timing import deliver, machine, shared_data
from cpc_engine.errors import CpcError

BUDGETS = (60.0, 180.0, 600.0)  # seconds


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    import benchmarks.learning as about

    parser = argparse.ArgumentParser(
        "python -m benchmarks.learning", description=about.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=Path, required=True, metavar="FILE", help="where runs are stored, a line each")
    parser.add_argument("--sets", default=",".join(TASKS), metavar="A,B", help="data sets by name, or PRESET=PATH")
    parser.add_argument("--methods", metavar="A,B", help="only these; ours:PRESET trains another preset of ours")
    parser.add_argument("--budgets", default=",".join(f"{b:g}" for b in BUDGETS), metavar="S,S", help="seconds a run")
    parser.add_argument("--seeds", type=int, default=5, metavar="N")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="of each run")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="runs at a time")
    parser.add_argument("--data", type=Path, default=shared_data(), metavar="DIR", help="where the data sets are")
    parser.add_argument("--report", action="store_true", help="measure nothing: report what is stored")
    parser.add_argument("--json", action="store_true", help="print the report as one JSON document")
    parser.add_argument("--out", type=Path, help="also write the report there, and its curves beside it")
    return parser.parse_args(given)


def report(given: argparse.Namespace, tasks: Sequence[Task]) -> None:
    """Print what is stored, and keep it where `--out` says."""
    rows = Store(given.rows).rows()
    found, told = document(tasks, rows)
    for line in told:
        print(line, file=sys.stderr)
    sets = ",".join(task.name if task.name in TASKS else f"{task.preset}={task.name}" for task in tasks)
    grid = {name: sorted({row[name] for row in rows}) for name in ("budget", "seed", "threads")}
    command = "python -m benchmarks.learning --rows FILE" + ("" if sets == ",".join(TASKS) else f" --sets {sets}")
    measured = {row["method"] for row in rows}
    if set().union(*(fitting(TITLES, task) for task in tasks)) - measured:
        command += f" --methods {','.join(sorted(measured, key=lambda name: list(TITLES).index(kind_of(name))))}"
    command += f" --budgets {','.join(f'{budget:g}' for budget in grid['budget'] if budget)}"
    command += f" --seeds {grid['seed'][-1] + 1} --threads {grid['threads'][-1]}"
    found |= {"machine": machine(torch.device("cpu")), "command": command}
    if given.out is not None:
        draw(found, given.out.with_suffix(".svg"))
        found["figure"] = f"benchmarks/results/{given.out.with_suffix('.svg').name}"
    deliver(found, recipe_of(tasks, found, rows, command), "\n\n".join(tables(found)), given.json, given.out)


def main(given: Sequence[str] | None = None) -> int:
    options = arguments(given)
    try:
        tasks = [task_of(name, options.data) for name in options.sets.split(",")]
        if options.report:
            report(options, tasks)
            return 0
        jobs = []
        for task in tasks:
            methods = fitting(options.methods.split(",") if options.methods else TITLES, task)
            budgets = [float(text) for text in options.budgets.split(",")]
            jobs += plan(task, methods, budgets, range(options.seeds), options.threads)
        failed = measure(jobs, Store(options.rows), options.workers, lambda line: print(line, flush=True))
    except CpcError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
