"""Mirrors of one URL on machines that are folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from cpc_engine.storage.remote import work
from cpc_engine.storage.remote.mirrors import VARIABLE, local_root
from cpc_engine.storage.remote.objects import Objects, objects_of

Mirror = Callable[[str], Path]


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    """The mirror on the machine of this name."""
    url = f"memory://{uuid4().hex}"

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
