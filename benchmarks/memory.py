"""Peak memory of one way to the loss, in a process of its own: `python -m benchmarks.memory NAME --shape 64,64,64`."""

from __future__ import annotations

import argparse
import subprocess
import sys

import torch

from .peers import RUNS, step
from .problem import Shape, make_problem
from .timing import ROOT, extra_memory


def measure(name: str, shape: Shape, device: torch.device, candidates: int | None = None) -> float:
    """Extra MB of the named run in a new process; candidates: grow the queue until there are so many."""
    command = [sys.executable, "-m", "benchmarks.memory", name, "--shape", str(shape), "--device", str(device)]
    if candidates is not None:
        command += ["--candidates", str(candidates)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return round(float(done.stdout), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=RUNS)
    parser.add_argument("--shape", type=Shape.parse, default=Shape())
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--candidates", type=int)
    given = parser.parse_args()
    make = RUNS[given.name].make
    small = make_problem(Shape(4, 5, given.shape.dim), given.device)
    step(make(small), small)()  # thread pools, code pages and libraries are there before anything is counted
    queue = None if given.candidates is None else given.candidates - 4 * given.shape.anchors
    problem = make_problem(given.shape, given.device, queue=queue)
    print(extra_memory(step(make(problem), problem), given.device))


if __name__ == "__main__":
    main()
