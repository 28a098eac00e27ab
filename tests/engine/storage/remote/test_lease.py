"""At most one process of all machines works on a run."""

from __future__ import annotations

import json
import threading
import time

import pytest

from cpc_engine.errors import RunError, StorageError
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.lock import at_work
from cpc_engine.storage.remote import lease as module
from cpc_engine.storage.remote import objects as objects_module
from cpc_engine.storage.remote import work
from cpc_engine.storage.remote.copies import RunCopy
from cpc_engine.storage.remote.lease import Lease, lease_name, lease_numbers
from cpc_engine.storage.remote.objects import Entry, Objects
from cpc_engine.storage.remote.refresh import refresh
from tests.engine.storage.remote.conftest import Mirror
from tests.support.tiny import tiny, wait_until

RUN = "tones-1"


def held_by(objects: Objects, number: int, **holder: object) -> None:
    """A lease that another process has written."""
    values = {"machine": "another", "pid": 1, "pid_started": 1, "released": False} | holder
    objects.write(lease_name(RUN, number), json.dumps(values).encode())


def test_the_second_is_refused_until_the_first_has_ended(objects: Objects) -> None:
    first = Lease.take(objects, RUN)
    with pytest.raises(RunError, match="another machine or process is at work on it"):
        Lease.take(objects, RUN)
    first.beat()
    first.release()
    second = Lease.take(objects, RUN)
    assert second.holds()
    assert not first.holds()
    assert lease_numbers(objects.listing(), RUN) == [2]
    Lease.take(objects, "another-run")


def test_of_many_at_once_one_gets_it(objects: Objects) -> None:
    """Each looks before any of them has written."""
    objects.check_create()
    barrier, got, refused = threading.Barrier(8), [], []

    def take() -> None:
        barrier.wait()
        try:
            got.append(Lease.take(objects, RUN))
        except RunError:
            refused.append(1)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused)) == (1, 7)
    assert got[0].holds()


@pytest.mark.parametrize(
    ("holder", "silence", "free"),
    [
        ({}, 59, False),
        ({}, 70, True),
        ({"released": True}, 0, True),
        ({"machine": module.machine(), "pid": 2**22 + 1}, 0, True),
        ({"machine": module.machine(), "pid_started": module.started(1)}, 600, False),
        ({"pid": "x"}, 59, False),
        ({"pid": "x"}, 70, True),
    ],
)
def test_who_is_gone_holds_nothing(
    objects: Objects, monkeypatch: pytest.MonkeyPatch, holder: dict[str, object], silence: float, free: bool
) -> None:
    """On another machine by the server's clock, on this one by the process itself."""
    began = time.time()
    held_by(objects, 7, **holder)
    monkeypatch.setattr(objects_module.Objects, "now", lambda self: began + silence)
    if free:
        Lease.take(objects, RUN)
        assert lease_numbers(objects.listing(), RUN) == [8]
    else:
        with pytest.raises(RunError, match="is at work on it"):
            Lease.take(objects, RUN)
        assert lease_numbers(objects.listing(), RUN) == [7]


def test_who_looked_long_ago_takes_nothing(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    """It saw 7 end; meanwhile another took 8, and 9 after it, and only 9 is left."""
    held_by(objects, 9)
    before = {lease_name(RUN, 7): Entry(1, "", 0.0)}
    true, looks = Objects.listing, iter([before])
    monkeypatch.setattr(Objects, "listing", lambda self, below="": next(looks, None) or true(self, below))
    monkeypatch.setattr(module, "_is_held", lambda *_: False)
    with pytest.raises(RunError, match="has just begun"):
        Lease.take(objects, RUN)
    assert lease_numbers(true(objects), RUN) == [9]


def test_a_server_that_overwrites_is_refused(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some ignore If-None-Match: two machines would both believe that they were first."""

    def create(self: Objects, name: str, content: bytes) -> bool:
        self.write(name, content)
        return True

    monkeypatch.setattr(Objects, "create", create)
    with pytest.raises(StorageError, match="ignores If-None-Match"):
        Lease.take(objects, RUN)
    assert objects.listing() == {}


def test_who_was_taken_over_publishes_nothing(mirror: Mirror, objects: Objects, often: None) -> None:
    """It was away for longer than 60 s: it hears of it, and its files give way to those of the other machine."""
    here, there = mirror("here"), mirror("there")
    folder = RunFolder.create(here, tiny())
    name, lost = f"{folder.id}/run.json", threading.Event()

    def published() -> bytes:
        entry = objects.listing().get(name)
        return b"" if entry is None else objects.read(name, entry, 10**6) or b""

    def work_on_it() -> None:
        with at_work(folder.path, lost.set):
            wait_until(lambda: published() and not RunCopy(here, folder.id, objects).is_ahead(), "the run")
            objects.write(lease_name(folder.id, 2), b"{}")
            objects.write(name, published().replace(b"queued", b"paused"))
            folder.update(message="in vain")
            assert lost.wait(60)

    with pytest.raises(RunError, match="another machine has taken it over"):
        work_on_it()
    assert b"paused" in published()
    assert b"in vain" not in published()
    assert folder.info().message == "in vain"
    for root in (here, there):
        refresh(root)
        assert (root / folder.id / "run.json").read_bytes() == published()


def test_a_beat_keeps_the_lease(mirror: Mirror, objects: Objects, often: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "BEAT", 0.05)
    folder = RunFolder.create(mirror("here"), tiny())
    name = lease_name(folder.id, 1)
    with at_work(folder.path):
        first = objects.listing()[name].modified
        wait_until(lambda: objects.listing()[name].modified > first, "a sign of life")
    assert json.loads(objects.read(name, objects.listing()[name], 1000) or b"")["released"] is True
