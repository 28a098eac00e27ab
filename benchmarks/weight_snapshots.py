"""What weight snapshots cost: of a run's whole time, the part that goes into keeping them, and their size.

    python -m benchmarks.weight_snapshots [--preset P] [--steps N] [--threads N] [--rounds N] [--json] [--out F]

Whole runs, map included, with the default number of snapshots and with ten. The time is taken around each snapshot, so
that it is of the same run as the whole. Aims at 5 % or less together with everything else that is recorded.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.timing import MEGABYTE, deliver, machine
from cpc_engine import preset
from cpc_engine.config import RunConfig
from cpc_engine.data import load_dataset
from cpc_engine.execution.execute import execute
from cpc_engine.execution.weight_snapshots import WeightSnapshots
from cpc_engine.experiments.recipe import recipe
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control

COUNTS = (4, 10)


def one_run(config: RunConfig) -> tuple[list[float], float, int]:
    """(seconds of each snapshot, seconds of the whole run, bytes of the largest snapshot)."""
    spent: list[float] = []
    add = WeightSnapshots.add

    def timed(self: WeightSnapshots, step: int, state: Mapping[str, torch.Tensor]) -> None:
        began = time.perf_counter()
        add(self, step, state)
        spent.append(time.perf_counter() - began)

    with tempfile.TemporaryDirectory() as root, patch.object(WeightSnapshots, "add", timed):
        folder = RunFolder.create(Path(root), config)
        began = time.perf_counter()
        ended = execute(folder, Control())
        whole = time.perf_counter() - began
        if ended.status != "finished":
            raise SystemExit(ended.message)
        return spent, whole, max(path.stat().st_size for path in folder.path.glob("snapshot-*"))


def measure(config: RunConfig, rounds: int, count: int) -> dict[str, float]:
    """Medians over rounds: percent of the run's time, ms and MB of a snapshot."""
    found = [one_run(config.replace({"run.snapshots": count})) for _ in range(rounds)]
    return {
        "percent": round(statistics.median(100 * sum(spent) / whole for spent, whole, _ in found), 3),
        "milliseconds": round(1000 * statistics.median(each for spent, _, _ in found for each in spent), 2),
        "megabytes": round(found[0][2] / MEGABYTE, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="tones")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    changes = {"optimizer.steps": given.steps, "run.device": "cpu", "run.threads": given.threads}
    config = preset(given.preset).config().replace(changes)
    found = {str(count): measure(config, given.rounds, count) for count in COUNTS}
    command = (
        f"python -m benchmarks.weight_snapshots --preset {given.preset} --steps {given.steps} "
        f"--threads {given.threads} --rounds {given.rounds}"
    )
    document: dict[str, Any] = {"command": command, "machine": machine(torch.device("cpu")), "snapshots": found}
    made = recipe(command, {given.preset: (given.preset, config)}, {given.preset: load_dataset(config).fingerprint()})
    lines = [
        f"{count} snapshots: {row['percent']:.2f} % of the run's time, {row['milliseconds']:.1f} ms and "
        f"{row['megabytes']:.2f} MB each"
        for count, row in found.items()
    ]
    deliver(document, made, "\n".join(lines), given.json, given.out)


if __name__ == "__main__":
    main()
