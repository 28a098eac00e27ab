"""Leases: at most one process of all machines works on a run of a URL, as a lock of its folder holds on one machine.

RUN/.lease-00000007 names who has the lease, the seventh of this run. A lease is taken by creating the object with the
next number, which the server lets one process do. Who has it writes the object again every few seconds. It is free once
it says so, once its process has gone, or, on other machines, once it was not written for 60 s by the server's clock.
Objects of a higher number end a lease: who was away for so long finds out before it writes.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from ...errors import CpcError, RunError
from ..process import SILENCE, is_alive, machine, started
from ..schema import OPEN, Count
from .objects import Objects

BEAT = 10.0  # s between two signs of life
_NAME = re.compile(r"\.lease-(\d{8})")
_LIMIT = 2**12  # bytes
_OURS: set[str] = set()  # names of the leases that this process works under; of a process that has others, these count


@with_config(OPEN)
class _Holder(TypedDict):
    machine: Annotated[str, Field(max_length=64)]
    pid: Count
    pid_started: Count
    released: bool


_HOLDER = TypeAdapter(_Holder)


class Lease:
    """The right to write the objects of a run."""

    def __init__(self, objects: Objects, run: str, number: int) -> None:
        self._objects, self._run, self._number = objects, run, number

    @classmethod
    def take(cls, objects: Objects, run: str) -> Lease:
        """Take the lease of a run.

        Raises:
            RunError: another process has it. StorageError: the server does not answer, or cannot keep two apart.
        """
        objects.check_create()
        older = lease_numbers(objects.listing(run), run)
        if older and _is_held(objects, run, max(older)):
            raise RunError(f"{run}: another machine or process is at work on it; wait until it has ended")
        lease = cls(objects, run, max(older, default=0) + 1)
        created = objects.create(lease_name(run, lease._number), _holder(released=False))
        if not created or not lease.holds():  # who looked long ago creates a number that others have passed
            if created:
                objects.remove(lease_name(run, lease._number))
            raise RunError(f"{run}: another machine or process has just begun to work on it")
        _OURS.add(lease._mark)
        for number in older:
            objects.remove(lease_name(run, number))
        return lease

    @property
    def _mark(self) -> str:
        return f"{self._objects.url}/{lease_name(self._run, self._number)}"

    def holds(self) -> bool:
        """Whether nobody has taken the run over, or deleted it.

        Raises:
            StorageError: the server does not answer.
        """
        return max(lease_numbers(self._objects.listing(self._run), self._run), default=0) == self._number

    def beat(self) -> None:
        """Give a sign of life.

        Raises:
            StorageError: the server does not answer.
        """
        self._objects.write(lease_name(self._run, self._number), _holder(released=False))

    def release(self) -> None:
        """Let others work on the run. The object stays, so that numbers only grow.

        Raises:
            StorageError: the server does not answer; for other machines the lease then ends by itself.
        """
        _OURS.discard(self._mark)
        self._objects.write(lease_name(self._run, self._number), _holder(released=True))

    def abandon(self) -> None:
        """Release the lease after an error, which counts more than that the server may not answer."""
        _OURS.discard(self._mark)
        with contextlib.suppress(CpcError):
            if self.holds():
                self.release()


def lease_numbers(names: Iterable[str], run: str) -> list[int]:
    """Return the numbers of a run's leases among names of objects.

    Example:
        >>> lease_numbers(["tones/.lease-00000002", "tones/run.json"], "tones")
        [2]
    """
    prefix = f"{run}/"
    matches = [_NAME.fullmatch(name.removeprefix(prefix)) for name in names if name.startswith(prefix)]
    return [int(match[1]) for match in matches if match]


def lease_name(run: str, number: int) -> str:
    """Return the name of the object that is a run's lease of this number."""
    return f"{run}/.lease-{number:08}"


def _holder(released: bool) -> bytes:
    pid = os.getpid()
    holder: _Holder = {"machine": machine(), "pid": pid, "pid_started": started(pid), "released": released}
    return json.dumps(holder).encode()


def _is_held(objects: Objects, run: str, number: int) -> bool:
    name = lease_name(run, number)
    entry = objects.entry(name)
    content = None if entry is None else objects.read(name, entry, _LIMIT)
    if entry is None or content is None:  # somebody else has gone on to the next number
        return True
    try:
        holder = _HOLDER.validate_json(content, strict=True)
    except ValidationError:
        return objects.now() - entry.modified < SILENCE
    if holder["released"]:
        return False
    if (holder["machine"], holder["pid"], holder["pid_started"]) == (machine(), os.getpid(), started(os.getpid())):
        return f"{objects.url}/{name}" in _OURS
    if holder["machine"] == machine():
        return is_alive(holder["pid"], holder["pid_started"], entry.modified)
    return objects.now() - entry.modified < SILENCE
