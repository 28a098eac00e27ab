"""How much sooner a sweep of 12 short trials ends with two workers than with one.

    python -m benchmarks.sweeps [--repeats 3] [--out benchmarks/results/sweeps.json]

Each worker is a process with one thread. The times are of the whole command, start of the processes included, and
alternate between one worker and two. Other work on the machine lengthens them: the load is stored beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import torch

from cpc_engine.data import load_dataset
from cpc_engine.experiments.recipe import recipe
from cpc_engine.presets import preset

from .timing import deliver, machine

TRIALS = 12
GRID = "--grid=loss.temperature=" + ",".join(f"{0.1 + 0.02 * index:.2f}" for index in range(TRIALS))
BAR = 1.6
SETTINGS = ("optimizer.steps=30", "evaluation.every=0", "data.train_items=512")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 where two workers end at least 1.6 times sooner, else 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print the document instead of its text")
    parser.add_argument("--out", type=Path, help="keep the document here")
    given = parser.parse_args(arguments)
    here = machine(torch.device("cpu"))
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(given.repeats):
        for workers, found in seconds.items():
            found.append(round(timed(workers), 1))
    sooner = median(seconds[1]) / median(seconds[2])
    config = preset("tones").config().replace(dict(setting.split("=") for setting in SETTINGS))
    made = recipe(
        f"python -m benchmarks.sweeps --repeats {given.repeats}",
        {"tones": ("tones", config)},
        {"tones": load_dataset(config).fingerprint()},
        {"trials": TRIALS, "grid": GRID, "threads of a worker": 1},
    )
    document = {
        "machine": here,
        "load_after": os.getloadavg()[0],
        "seconds_1_worker": seconds[1],
        "seconds_2_workers": seconds[2],
        "sooner": round(sooner, 3),
    }
    text = f"{TRIALS} trials, s: 1 worker {seconds[1]}, 2 workers {seconds[2]}: {sooner:.2f} times sooner (bar: {BAR})"
    deliver(document, made, text, given.json, given.out)
    return int(sooner < BAR)


def timed(workers: int) -> float:
    """Seconds of one sweep in an empty folder."""
    with tempfile.TemporaryDirectory() as root:
        command = [
            sys.executable,
            "-m",
            "cpc_engine",
            "sweep",
            "timed",
            "--preset",
            "tones",
            GRID,
            "--metric",
            "spread",
        ]
        command += [*(f"--set={setting}" for setting in SETTINGS), "--workers", str(workers), "--runs", root, "--json"]
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - began
        trials = json.loads(done.stdout)["trials"]
        assert [trial["status"] for trial in trials] == ["finished"] * TRIALS
        return seconds


if __name__ == "__main__":
    sys.exit(main())
