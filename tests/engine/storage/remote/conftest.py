"""Mirrors of one URL on machines that are folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from cpc_engine.storage.remote import work
from cpc_engine.storage.remote.mirrors import VARIABLE, local_root
from cpc_engine.storage.remote.objects import Objects, objects_of

Mirror = Callable[[str], Path]


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    """The mirror on the machine of this name."""
    url = f"memory://{uuid4().hex}"
    write, lock = MemoryFileSystem.pipe_file, Lock()

    def write_alone(self: MemoryFileSystem, *given: Any, **named: Any) -> None:
        """As a server does; fsspec's memory looks whether an object is there, and writes it, in two steps."""
        with lock:
            write(self, *given, **named)

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", write_alone)

    def of(machine: str) -> Path:
        monkeypatch.setenv(VARIABLE, str(tmp_path / machine))
        return local_root(url)

    return of


@pytest.fixture
def objects(mirror: Mirror) -> Objects:
    return objects_of(mirror("objects"))


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Publish what changes at once."""
    monkeypatch.setattr(work, "LOOK", 0.02)
