"""The channel between an app and the worker that trains its run; a process of another machine; its lock."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cpc_engine.errors import RunError
from cpc_engine.execution.channel import Channel
from cpc_engine.storage import folder as folder_module
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.lock import LOCK, at_work
from tests.support.clock import Clock
from tests.support.tiny import tiny


def test_requests_come_in_order_and_what_no_app_writes_is_left_out(tmp_path: Path) -> None:
    channel = Channel(tmp_path)
    channel.send({"setting": "loss.temperature", "value": 1})
    channel.set("stop", True)
    assert not list(tmp_path.iterdir()), "nobody listens"
    ticket = channel.open()
    sent = [{"setting": "loss.temperature", "value": value} for value in (0.1, 0.2)] + [{"name": "a", "note": ""}]
    for request in sent:
        channel.send(request)
    for number, text in enumerate(("{", "[]", '{"setting": 3, "value": 1}', '{"setting": "a"}', '{"name": "a"}')):
        (tmp_path / "channel" / f"{number}.json").write_text(text)
    (tmp_path / "channel" / "5.json").symlink_to("/dev/zero")
    found = channel.requests()
    assert list(found.values()) == sent
    channel.taken(next(iter(found)))
    assert list(channel.requests().values()) == sent[1:]
    channel.set("pause", True)
    assert (channel.is_set("pause"), channel.is_set("stop")) == (True, False)
    channel.set("pause", False)
    assert not channel.is_set("pause")
    (tmp_path / "channel" / "doing.json").write_text(json.dumps({"host": 7}))
    assert channel.doing() is None
    assert channel.holds(ticket)
    assert not channel.holds(Channel(tmp_path).open() + "x")
    assert not channel.holds(ticket)
    assert channel.requests() == {}
    channel.close()
    assert not channel.is_open
    assert not channel.requests()


def test_a_run_that_was_sent_away_is_locked_by_its_file_too(tmp_path: Path) -> None:
    """The lock of a folder on a network disk holds on one machine only."""
    import fcntl

    Channel(tmp_path).open()
    with (tmp_path / LOCK).open("r+") as elsewhere:
        fcntl.flock(elsewhere, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(RunError, match="another process"), at_work(tmp_path):
            pass
    with at_work(tmp_path):
        pass


def test_a_run_on_another_machine_lives_while_it_gives_signs_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder.create(tmp_path, tiny())
    channel = Channel(folder.path)
    channel.open()
    monkeypatch.setattr(folder_module, "machine", lambda: "another")
    clock = Clock(monkeypatch)
    assert folder.info().status == "queued"
    clock.wait(100)
    assert folder.info().status == "interrupted"
    channel.beat()
    assert folder.info().status == "queued"
