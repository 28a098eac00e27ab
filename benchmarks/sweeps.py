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
from typing import Any

TRIALS = 12
GRID = "--grid=loss.temperature=" + ",".join(f"{0.1 + 0.02 * index:.2f}" for index in range(TRIALS))
SETTINGS = ("optimizer.steps=300", "evaluation.every=0", "data.train_items=512")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 where two workers end at least 1.6 times sooner, else 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    before = os.getloadavg()[0]
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(options.repeats):
        for workers, found in seconds.items():
            found.append(timed(workers))
    ratio = median(seconds[1]) / median(seconds[2])
    result: dict[str, Any] = {
        "trials": TRIALS,
        "settings": [*SETTINGS, GRID],
        "cores": os.cpu_count(),
        "load_before": before,
        "load_after": os.getloadavg()[0],
        "seconds_1_worker": seconds[1],
        "seconds_2_workers": seconds[2],
        "sooner": ratio,
    }
    print(json.dumps(result, indent=2))
    if options.out:
        options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return int(ratio < 1.6)


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
