"""A sweep's workers as processes of this machine: started, watched, replaced where one is killed, ended together."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import RunError

REPLACED = 5  # workers that are started again after they were killed, in all


def run_workers(
    url: str,
    study: str,
    root: Path,
    workers: int,
    look: Callable[[], None] = lambda: None,
    every: float = 1.0,
    cluster: str | None = None,
) -> None:
    """Work on a sweep with several processes until it is done; each computes with one thread.

    Ctrl-C and SIGTERM end the workers after their step; what they were at is taken up again by the next call.

    Args:
        url, study: see `study.storage_url`. root: the folder of runs. workers: number of processes.
        look: called every `every` seconds, to show how far it is.
        cluster: address of the Dask scheduler whose workers train the runs; None: the processes do.

    Raises:
        KeyboardInterrupt: it was ended by a signal. RunError: workers end with errors; the message has the last one.
    """
    job = {"url": url, "study": study, "root": str(root.resolve()), "cluster": cluster}
    processes = [_start(job) for _ in range(workers)]
    spare, error, ended = REPLACED, "", []
    with _signals(processes) as stopping:
        while True:
            time.sleep(every)
            look()
            for index, process in enumerate(processes):
                if process.poll() and process not in ended and not stopping.is_set():  # killed, or an error
                    ended.append(process)
                    error = _last_line(process)
                    if spare:
                        spare -= 1
                        processes[index] = _start(job)
            # As seen above: one that has been killed since is looked at once more, or nobody would replace it.
            if all(process.returncode is not None for process in processes):
                break
    for process in processes:
        if process not in ended:
            process.communicate()  # closes what it wrote to
    look()
    if stopping.is_set():
        raise KeyboardInterrupt
    if any(process.returncode for process in processes):
        raise RunError(f"a worker of the sweep ended early: {error or 'it was killed'}")


def _start(job: dict[str, str | None]) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "cpc_engine.sweeps.worker"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=environment,
        start_new_session=True,  # Ctrl-C reaches them through this process, once
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(job))
    process.stdin.close()
    process.stdin = None  # or `communicate` would write to it
    return process


def _last_line(process: subprocess.Popen[str]) -> str:
    lines = process.communicate()[1].strip().splitlines()
    return lines[-1] if lines else ""


@contextlib.contextmanager
def _signals(processes: list[subprocess.Popen[str]]) -> Iterator[threading.Event]:
    """Pass SIGINT and SIGTERM on to the workers; the event is set once one came. A second Ctrl-C ends at once."""
    stopping = threading.Event()
    before = {}

    def on_signal(signum: int, frame: object) -> None:
        if stopping.is_set() and signum == signal.SIGINT:
            raise KeyboardInterrupt
        stopping.set()
        for process in processes:
            process.terminate()

    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for process in processes:
            if process.poll() is None:
                process.terminate()
        for number, handler in before.items():
            signal.signal(number, handler)
