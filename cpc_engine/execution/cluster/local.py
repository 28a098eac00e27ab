"""A Dask cluster of processes on this machine: `python -m cpc_engine.execution.cluster.local N` prints its address.

It ends when its stdin is closed, so it never outlives the program that started it. It is a process of its own, because
Dask starts workers by importing the program again, which for an app would be a second app.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ...errors import ClusterError
from ..device import usable_cores

HOST = "127.0.0.1"
GPU = "GPU"  # the resource of a worker that has one


def start_local(workers: int = 0) -> tuple[str, subprocess.Popen[str]]:
    """Start a cluster of processes with one thread each, and return its address and its process.

    Args:
        workers: number of them; 0: one for each usable core.

    Raises:
        ClusterError: it does not start.
    """
    package = str(Path(__file__).resolve().parents[3])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(workers or usable_cores())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,  # Ctrl-C is for the program, which then ends the runs
    )
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    if not address:
        raise ClusterError(f"no cluster of processes can be started here (exit code {process.wait()})")
    return address, process


def main(workers: int) -> None:
    """Run the cluster until stdin is closed."""
    import torch

    distributed: Any = importlib.import_module("distributed")
    if sys.platform == "linux":  # workers are forked where the engine is imported: they are there at once, and share it
        importlib.import_module("dask").config.set({"distributed.worker.multiprocessing-method": "forkserver"})
        distributed.utils.get_mp_context()  # sets other modules, at its first call only
        multiprocessing.set_forkserver_preload(["distributed", f"{__package__}.task"])
    with distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        host=HOST,
        dashboard_address=f"{HOST}:0",
        memory_limit=0,  # as in threads: the system's own limit
        resources={GPU: 1} if torch.cuda.is_available() else None,  # its processes share the GPUs
    ) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]))
