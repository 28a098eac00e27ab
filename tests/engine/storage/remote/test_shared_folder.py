"""The channel of a run at a URL, between an app and a worker that share no disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from cpc_engine.execution.channel import Channel
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.remote import shared_folder
from cpc_engine.storage.remote.objects import Objects
from tests.engine.storage.remote.conftest import Mirror
from tests.support.stored import train
from tests.support.tiny import tiny


def test_what_one_side_writes_the_other_reads(mirror: Mirror, objects: Objects) -> None:
    here, there = mirror("here"), mirror("there")
    folder = train(here, tiny())
    app, worker = Channel(folder.path), Channel(RunFolder.open(folder.id, there).path)
    app.send({"setting": "loss.temperature", "value": 1})
    app.set("stop", True)
    assert not [name for name in objects.listing() if "/channel/" in name], "nobody listens"
    ticket = app.open()
    assert not worker.is_open
    worker.sync()
    assert worker.holds(ticket)
    sent = [{"setting": "loss.temperature", "value": value} for value in (0.1, 0.2)]
    for request in sent:
        app.send(request)
    app.set("pause", True)
    worker.tell({"host": "far", "text": "loading", "share": 0.5})
    worker.sync()
    app.sync()
    assert list(worker.requests().values()) == sent
    assert (worker.is_set("pause"), worker.is_set("stop")) == (True, False)
    assert app.doing() == {"host": "far", "text": "loading", "share": 0.5}
    worker.taken(next(iter(worker.requests())))
    app.set("pause", False)
    worker.sync()
    app.sync()
    assert list(worker.requests().values()) == list(app.requests().values()) == sent[1:]
    assert not worker.is_set("pause")
    app.open()
    worker.sync()
    assert not worker.holds(ticket)
    assert worker.requests() == {}
    worker.close()
    app.sync()
    assert not app.is_open


def test_a_change_of_a_pause_is_there_before_the_pause_ends(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker looks at any moment, also while the folder is brought."""
    here, there = mirror("here"), mirror("there")
    folder = train(here, tiny())
    app, worker = Channel(folder.path), Channel(RunFolder.open(folder.id, there).path)
    app.open()
    app.set("pause", True)
    worker.sync()
    app.send({"setting": "loss.temperature", "value": 0.5})
    app.set("pause", False)
    write, paused = shared_folder.write_bytes, []

    def look(path: Path, content: bytes) -> None:
        paused.append(worker.is_set("pause"))
        write(path, content)

    monkeypatch.setattr(shared_folder, "write_bytes", look)
    worker.sync()
    assert paused == [True]
    assert len(worker.requests()) == 1
    assert not worker.is_set("pause")


def test_what_no_app_writes_is_left_out(mirror: Mirror, objects: Objects) -> None:
    here = mirror("here")
    folder = train(here, tiny())
    channel = Channel(folder.path)
    channel.open()
    for name in ("../../out.json", "../run.json", ".hidden", "sub/1.json", "UPPER", "1" * 65):
        objects.write(f"{folder.id}/channel/{name}", b"{}")
    objects.write(f"{folder.id}/channel/7.json", b" " * 2**17)
    before = (folder.path / "run.json").read_bytes()
    channel.sync()
    assert {path.name for path in (folder.path / "channel").iterdir()} == {"ticket"}
    assert not list(here.parent.rglob("out.json"))
    assert (folder.path / "run.json").read_bytes() == before
