"""Decode untrusted files in a worker process, so that a crash, a hang, or a decompression bomb only gives an error.

A worker (see `worker`) is kept running between files. One that crashes or exceeds the time limit is killed, and the
next file starts a new one. Replies are read as arrays of a checked size and nothing else: no pickle, no code. See
docs/decisions/0002-decode-untrusted-media-in-a-sandboxed-process.md.
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
from .file_bytes import MAX_DECODE_SECONDS, check_size, media_error
from .picture import MAX_MEGAPIXELS, Picture
from .sound import MAX_SECONDS, RATES, Sound

WORKERS = 2  # files decoded at the same time; the second worker starts only when the first is busy
START_SECONDS = 60.0  # time limit for the start of a worker, generous for a machine under load
COMMAND = (sys.executable, "-P", "-m", "cpc_engine.media.worker")

_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT")  # all other variables may hold secrets and are not passed on
_MAX_BYTES = max(4 * math.ceil(MAX_SECONDS * RATES[1]), round(3e6 * MAX_MEGAPIXELS))
_MAX_HEADER = 65_536


def decode_sandboxed(data: bytes, name: str) -> Sound | Picture:
    """Decode an audio or image file like `decode`, but in a worker process with limits.

    The limits are 10 s per file, 1 GiB of memory (on Linux), and no writing to disk. Thread-safe.

    Args:
        data: content of the file.
        name: file name, used in messages only.

    Raises:
        MediaError: the file is unsupported, damaged, or too large, or its decoder crashed or exceeded a limit. The
            message is one line, "name: reason".
    """
    return _sandbox.decode(data, name)


def start_sandbox() -> None:
    """Start a worker in the background, so that the first file does not have to wait for it."""
    _sandbox.start()


class Sandbox:
    """A pool of worker processes, each of which decodes one file at a time.

    Args:
        command: command line that starts a worker.
        seconds: time limit per file, wall-clock.
    """

    def __init__(self, command: Sequence[str] = COMMAND, seconds: float = MAX_DECODE_SECONDS) -> None:
        self.command, self.seconds = command, seconds
        self._idle: list[_Worker] = []
        self._lock, self._free = threading.Lock(), threading.BoundedSemaphore(WORKERS)
        atexit.register(self.close)

    def decode(self, data: bytes, name: str) -> Sound | Picture:
        """Decode one file (see `decode_sandboxed`). Waits for a worker if all are busy."""
        check_size(data, name)
        with self._free:
            try:
                worker = self._take()
            except OSError as error:  # for example no process, memory, or file handle is available
                raise media_error(name, f"no process to decode it in could be started ({error.strerror})") from None
            try:
                header, body = worker.request(data, name, self.seconds)
                result = _parse_reply(header, body)
            except (OSError, ValueError, KeyError, TypeError):  # the pipe is broken, or the reply is malformed
                worker.end()
                raise media_error(name, self._failure(worker)) from None
            except BaseException:  # for example Ctrl-C: the worker cannot be reused, since its reply is still pending
                worker.end()
                raise
            with self._lock:
                self._idle.append(worker)
        if isinstance(result, str):
            raise MediaError(result)
        return result

    def start(self) -> None:
        """Start a worker if none is idle."""
        with self._lock:
            if not self._idle:
                self._idle.append(_Worker(self.command))

    def close(self) -> None:
        """End all idle workers. Decoding another file starts a new one."""
        with self._lock:
            workers, self._idle = self._idle, []
        for worker in workers:
            worker.end()

    def _failure(self, worker: _Worker) -> str:
        """The reason why a worker has given no usable reply, for the user."""
        if not worker.ready:
            return "the process to decode it in ended before it was ready"
        reason = f"took longer than {self.seconds:g} s to decode" if worker.timed_out else "its decoder crashed"
        return f"{reason}; the file is damaged or hostile"

    def _take(self) -> _Worker:
        """An idle worker that is still alive, otherwise a new one."""
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.alive:
                    return worker
                worker.end()
        return _Worker(self.command)


class _Worker:
    """One worker process and its pipes.

    Attributes:
        ready: whether it has reported that it is ready.
        timed_out: whether it was killed because it exceeded a time limit.
    """

    def __init__(self, command: Sequence[str]) -> None:
        root = str(Path(__file__).resolve().parents[2])
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join([root, *filter(None, sys.path)])
        # Idle thread pools would take up much of the limited address space.
        environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment)
        self.timed_out = self.ready = False

    @property
    def alive(self) -> bool:
        """Whether the process is running."""
        return self.process.poll() is None

    def request(self, data: bytes, name: str, seconds: float) -> tuple[dict[str, Any], bytes]:
        """Send one file and return the header and body of the reply.

        Raises:
            OSError, ValueError, KeyError, TypeError: the worker has died or timed out, or its reply is malformed.
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
        """Kill the process and close its pipes."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):  # closing flushes input that the process has not read
                pipe.close()

    def _read(self) -> tuple[dict[str, Any], bytes]:
        """Read one reply: its header and its body of the declared size."""
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
        """Kill the process if the block takes longer than `seconds`, which ends a blocked read or write in it."""
        timer = threading.Timer(seconds, self._expire)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()  # the timer may be firing at this moment

    def _expire(self) -> None:
        self.timed_out = True
        self.process.kill()


def _parse_reply(header: dict[str, Any], body: bytes) -> Sound | Picture | str:
    """Convert a worker's reply to decoded media, or to its error message.

    Raises:
        ValueError, KeyError, TypeError: the reply is malformed.
    """
    if "error" in header:
        return " ".join(str(header["error"]).split())
    notes = tuple(" ".join(str(note).split()) for note in header["notes"])
    if header["kind"] == "picture":
        height, width = header["shape"][:2]
        return Picture(np.frombuffer(body, np.uint8).reshape(height, width, 3).copy(), notes)
    samples, rate = np.frombuffer(body, np.float32).copy(), int(header["rate"])
    if not RATES[0] <= rate <= RATES[1] or not (np.abs(samples) <= 1).all():  # the comparison is also false for NaN
        raise ValueError("not a sound")
    return Sound(samples, rate, notes)


_sandbox = Sandbox()
