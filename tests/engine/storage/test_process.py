"""The process that trains a run, and runs that are never changed."""

from __future__ import annotations

import json
import os

import pytest

from cpc_engine.errors import RunError
from cpc_engine.storage import process
from cpc_engine.storage.folder import RunFolder, check_resumable
from cpc_engine.storage.trash import discard, trashed
from tests.support.stored import orphan


def test_a_reused_process_id_is_not_the_process_of_the_run(copied: RunFolder) -> None:
    """A restarted container has the same process ids: the run must not look active forever."""
    copied.update(status="running")
    assert copied.info().status == "running"
    orphan(copied)
    assert json.loads((copied.path / "run.json").read_text())["pid"] == os.getpid()
    assert copied.info().status == "interrupted"
    check_resumable(copied)


def test_processes_are_distinguished_by_their_start_time() -> None:
    mine = process.started(os.getpid())
    assert process.is_alive(os.getpid(), mine, 0)
    assert process.is_alive(os.getpid(), 0, 0)
    assert not process.is_alive(2**22 + 1, 0, 0)
    if mine:
        assert not process.is_alive(os.getpid(), mine + 1, 0)


def test_an_active_run_cannot_be_deleted(copied: RunFolder) -> None:
    copied.update(status="running")
    with pytest.raises(RunError, match="stop it first"):
        copied.delete()
    copied.update(status="stopped")
    copied.delete()
    assert not copied.path.exists()


def test_an_example_cannot_be_changed(copied: RunFolder) -> None:
    copied.update(status="stopped")
    copied.mark_example("How it looks when it works.", 1)
    before = {path.name: path.read_bytes() for path in copied.path.iterdir()}
    for change in (
        lambda: copied.rename("mine", ""),
        lambda: discard(copied.id, copied.path.parent),
        lambda: check_resumable(copied),
    ):
        with pytest.raises(RunError, match="an example that ships with the lab"):
            change()
    assert {path.name: path.read_bytes() for path in copied.path.iterdir()} == before
    assert not trashed(copied.path.parent)
