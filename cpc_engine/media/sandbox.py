"""Strangers' bytes decoded in a process of their own, so that a crash, a hang or a bomb ends as one line.

A worker (see `worker`) stays warm between files; one that dies or does not answer in time is killed, and the next file
starts another. What comes back is taken for an array of a checked size and for nothing else: no pickle, no code.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MediaError
from .picture import MAX_MEGAPIXELS, Picture
from .sound import MAX_SECONDS, RATES, Sound
from .source import MAX_DECODE_SECONDS, check_size, media_error

WORKERS = 2  # files decoded at once; a second worker starts only when the first is busy
START_SECONDS = 60.0  # a machine under load may take long to start one
COMMAND = (sys.executable, "-P", "-m", "cpc_engine.media.worker")

_KEPT = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT")  # the rest of the environment may hold secrets
_MAX_BYTES = max(4 * math.ceil(MAX_SECONDS * RATES[1]), round(3e6 * MAX_MEGAPIXELS))
_MAX_HEADER = 65_536


def decode_sandboxed(data: bytes, name: str) -> Sound | Picture:
    """As `decode`, in a process with limits: 10 s, 1 GiB of memory (on Linux), nothing written. Any thread may call.

    Raises:
        MediaError: one line, "name: reason".
    """
    return _sandbox.decode(data, name)


def start_sandbox() -> None:
    """Start the process now, without waiting for it, so that the first file finds it warm."""
    _sandbox.start()


class Sandbox:
    """A few workers that decode one file at a time each.

    Args:
        command: what starts a worker. seconds: how long it may take for one file, by the clock.
    """

    def __init__(self, command: Sequence[str] = COMMAND, seconds: float = MAX_DECODE_SECONDS) -> None:
        self.command, self.seconds = command, seconds
        self._idle: list[_Worker] = []
        self._lock, self._free = threading.Lock(), threading.BoundedSemaphore(WORKERS)
        atexit.register(self.close)

    def decode(self, data: bytes, name: str) -> Sound | Picture:
        check_size(data, name)
        with self._free:
            try:
                worker = self._take()
            except OSError as error:  # no process, memory or file handle is left
                raise media_error(name, f"no process to decode it in could be started ({error.strerror})") from None
            try:
                answer, body = worker.ask(data, name, self.seconds)
                found = _checked(answer, body)
            except (OSError, ValueError, KeyError, TypeError):  # the pipe broke, or what came through makes no sense
                worker.end()
                raise media_error(name, self._reason(worker)) from None
            except BaseException:  # Ctrl-C: an answer may still be on its way
                worker.end()
                raise
            with self._lock:
                self._idle.append(worker)
        if isinstance(found, str):
            raise MediaError(found)
        return found

    def start(self) -> None:
        with self._lock:
            if not self._idle:
                self._idle.append(_Worker(self.command))

    def close(self) -> None:
        """End the workers that are idle; another file would start new ones."""
        with self._lock:
            workers, self._idle = self._idle, []
        for worker in workers:
            worker.end()

    def _reason(self, worker: _Worker) -> str:
        if not worker.ready:
            return "the process to decode it in ended before it was ready"
        what = f"took longer than {self.seconds:g} s to decode" if worker.late else "its decoder crashed"
        return f"{what}; the file is damaged or hostile"

    def _take(self) -> _Worker:
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.alive:
                    return worker
                worker.end()
        return _Worker(self.command)


class _Worker:
    """One process and its pipes; `ready` once it has answered, `late` when it was killed for taking too long."""

    def __init__(self, command: Sequence[str]) -> None:
        root = str(Path(__file__).resolve().parents[2])
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join([root, *filter(None, sys.path)])
        # A pool of threads that nobody uses would take much of the address space.
        environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment)
        self.late = self.ready = False

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def ask(self, data: bytes, name: str, seconds: float) -> tuple[dict[str, Any], bytes]:
        """The answer's header and body.

        Raises:
            OSError, ValueError, KeyError, TypeError: the worker has died, or answers nonsense.
        """
        if not self.ready:
            with self._deadline(START_SECONDS):
                self._read()
            self.ready = True
        with self._deadline(seconds):
            assert self.process.stdin is not None
            header = json.dumps({"name": name, "bytes": len(data)}).encode()
            self.process.stdin.write(header + b"\n" + data)
            self.process.stdin.flush()
            return self._read()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):  # bytes that it had not read yet
                pipe.close()

    def _read(self) -> tuple[dict[str, Any], bytes]:
        assert self.process.stdout is not None
        header = json.loads(self.process.stdout.readline(_MAX_HEADER))
        size = int(header["bytes"])
        if not 0 <= size <= _MAX_BYTES:
            raise ValueError(f"{size} bytes")
        body = self.process.stdout.read(size)
        if len(body) != size:
            raise ValueError("cut short")
        return header, body

    @contextmanager
    def _deadline(self, seconds: float) -> Iterator[None]:
        """Kill the process when the block takes longer: whoever reads from it or writes to it then sees the end."""
        timer = threading.Timer(seconds, self._expire)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()  # it may just have fired

    def _expire(self) -> None:
        self.late = True
        self.process.kill()


def _checked(answer: dict[str, Any], body: bytes) -> Sound | Picture | str:
    """What a worker's answer stands for; a ValueError, KeyError or TypeError where it does not hold what it should."""
    if "error" in answer:
        return " ".join(str(answer["error"]).split())
    notes = tuple(" ".join(str(note).split()) for note in answer["notes"])
    if answer["kind"] == "picture":
        height, width = answer["shape"][:2]
        return Picture(np.frombuffer(body, np.uint8).reshape(height, width, 3).copy(), notes)
    samples, rate = np.frombuffer(body, np.float32).copy(), int(answer["rate"])
    if not RATES[0] <= rate <= RATES[1] or not (np.abs(samples) <= 1).all():  # NaN is not ≤ 1 either
        raise ValueError("not a sound")
    return Sound(samples, rate, notes)


_sandbox = Sandbox()
