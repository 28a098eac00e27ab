"""An app's mirror, which stays fresh by itself, and says so where it cannot."""

from __future__ import annotations

import pytest

from cpc_engine.execution.manager import RunManager
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.listing import scan_runs
from cpc_engine.storage.remote import refresh as module
from cpc_engine.storage.remote.objects import objects_of
from cpc_engine.storage.remote.refresh import watch
from tests.engine.storage.remote.conftest import Mirror
from tests.support.stored import train
from tests.support.tiny import tiny, wait_until


def test_an_app_sees_new_runs_and_says_when_the_server_is_away(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVERY", 0.05)
    here, there = mirror("here"), mirror("there")
    first = train(there, tiny())
    watch(here)
    assert [info.id for info in scan_runs(here)[0]] == [first.id]
    wait_until(lambda: RunFolder(here / first.id).has("weights", "map"), "all of its files")
    second = train(there, tiny())
    wait_until(lambda: [info.status for info in scan_runs(here)[0]] == ["finished"] * 2, "the second run")
    files = objects_of(here)._files
    find = files.find

    def away(*args: object, **options: object) -> None:
        raise ConnectionRefusedError("nobody listens")

    monkeypatch.setattr(files, "find", away)
    wait_until(lambda: scan_runs(here)[1], "what keeps it from being fresh")
    for _ in range(2):
        infos, [trouble] = scan_runs(here)
        assert {info.id for info in infos} == {first.id, second.id}
        assert "does not answer (nobody listens); runs are shown as they were at " in trouble
    assert RunFolder.open(second.id, here).info().status == "finished"
    monkeypatch.setattr(files, "find", find)
    wait_until(lambda: not scan_runs(here)[1], "the server")


def test_a_manager_trains_what_all_see(mirror: Mirror) -> None:
    here, there = mirror("here"), mirror("there")
    manager = RunManager(here)
    run = manager.start(tiny())
    wait_until(lambda: manager.progress_of(run).status == "finished", "the end")
    manager.close(240)
    assert RunFolder.open(run, there).records() == RunFolder(here / run).records()
