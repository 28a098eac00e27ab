"""Do the recipes of `cpc_engine.break_it` do what was predicted? Every control and every broken run, over seeds.

    python -m benchmarks.break_it [--seeds 5] [--recipes A,B] [--workers N] [--json] [--out FILE]

Trains each arm once for each seed (recipes share controls), evaluates it, and keeps its row in `--out` as it ends; a
second call goes on from what is stored. Each recipe is then judged by its predicted metric, paired by seed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch

from benchmarks.timing import deliver, machine
from cpc_engine.break_it.measured import arms, runs_of
from cpc_engine.break_it.outcome import outcome
from cpc_engine.break_it.recipes import RECIPES
from cpc_engine.comparison.arms import MIN_SEEDS
from cpc_engine.comparison.collect import load_compared
from cpc_engine.comparison.judge import is_tested
from cpc_engine.config import RunConfig
from cpc_engine.data import load_dataset
from cpc_engine.execution.evaluate import evaluate_run
from cpc_engine.execution.execute import execute
from cpc_engine.experiments.recipe import Recipe, recipe
from cpc_engine.storage.files import write_json
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control

Row = dict[str, Any]


def measure(arm: str, config: RunConfig) -> Row:
    """Train and evaluate one run in a folder of its own."""
    with tempfile.TemporaryDirectory() as root:
        folder = RunFolder.create(Path(root), config.replace({"run.device": "cpu"}))
        state = execute(folder, Control())
        if state.status != "finished":
            raise SystemExit(f"{arm}, seed {config.run.seed}: {state.status}, {state.message}")
        evaluate_run(folder)
        found = load_compared(folder).metrics
    metrics = {name: value for name, value in found.items() if is_tested(name) and name != "seconds"}
    return {"arm": arm, "seed": config.run.seed, "metrics": metrics, "seconds": found["seconds"]}


def ended(jobs: Sequence[tuple[str, RunConfig]], workers: int) -> Iterator[Row]:
    """The rows of jobs (arm, configuration), each as it ends."""
    if workers == 1:
        yield from (measure(*job) for job in jobs)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        for done in as_completed([pool.submit(measure, *job) for job in jobs]):
            yield done.result()


def stored(path: Path | None, made: Recipe) -> list[Row]:
    """The rows that were measured with the same settings, data and command; other ones are measured again."""
    if path is None or not path.is_file():
        return []
    before = json.loads(path.read_text())
    same = all(before["recipe"][part] == made[part] for part in ("command", "configs", "data"))
    return list(before["rows"]) if same else []


def text(document: dict[str, Any]) -> str:
    runs = runs_of(document["rows"])
    names = document["recipe"]["parameters"]["recipes"]
    return "\n".join(f"{RECIPES[name].title}: {outcome(RECIPES[name], runs).words}" for name in names)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=MIN_SEEDS, metavar="N")
    parser.add_argument("--recipes", default=",".join(RECIPES), metavar="A,B", help="only these")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="runs at a time, each with one thread")
    parser.add_argument("--json", action="store_true", help="print the document instead of its text")
    parser.add_argument("--out", type=Path, help="keep the document here, and go on from it")
    given = parser.parse_args(arguments)
    names = given.recipes.split(",")
    every = arms()
    wanted = dict.fromkeys(arm for name in names for arm in (RECIPES[name].control.name, name))
    command = f"python -m benchmarks.break_it --seeds {given.seeds}"
    if names != list(RECIPES):
        command += f" --recipes {given.recipes}"
    made = recipe(
        command,
        {arm: every[arm] for arm in wanted},
        {arm: load_dataset(every[arm][1]).fingerprint() for arm in wanted},
        {"recipes": names, "seeds": given.seeds},
    )
    rows = stored(given.out, made)
    done = {(row["arm"], row["seed"]) for row in rows}
    jobs = [(arm, seed) for seed in range(given.seeds) for arm in wanted if (arm, seed) not in done]
    for row in ended([(arm, every[arm][1].replace({"run.seed": seed})) for arm, seed in jobs], given.workers):
        rows.append(row)
        if given.out is not None:
            write_json(given.out, {"command": command, "rows": rows, "recipe": made})
    rows.sort(key=lambda row: (list(wanted).index(row["arm"]), row["seed"]))
    document: dict[str, Any] = {"command": command, "machine": machine(torch.device("cpu")), "rows": rows}
    deliver(document, made, text({**document, "recipe": made}), given.json, given.out)


if __name__ == "__main__":
    main()
