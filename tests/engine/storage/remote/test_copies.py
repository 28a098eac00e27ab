"""What passes between a mirror and its URL: whole files, in an order that a reader or a death may cut anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cpc_engine.errors import RunError, StorageError
from cpc_engine.execution.execute import State, execute
from cpc_engine.exports.bring import bring_run, check_run
from cpc_engine.storage.files import MAX_JSON
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.listing import scan_runs
from cpc_engine.storage.lock import at_work
from cpc_engine.storage.remote import work
from cpc_engine.storage.remote.copies import RunCopy
from cpc_engine.storage.remote.objects import Objects, objects_of
from cpc_engine.storage.remote.refresh import refresh
from cpc_engine.storage.trash import discard, restore, trashed
from cpc_engine.training.control import Control
from tests.engine.storage.remote.conftest import Mirror
from tests.support.stored import train, without_seconds
from tests.support.tiny import tiny, wait_until


def everything(objects: Objects, limit: int = 10**9) -> dict[str, bytes]:
    """All files of the runs at a URL; leases and checks are none."""
    contents = {name: objects.read(name, entry, limit) for name, entry in objects.listing().items()}
    return {name: content for name, content in contents.items() if content is not None and "/." not in f"/{name}"}


def files(root: Path) -> dict[str, bytes]:
    """All files of the runs in a mirror."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.glob("[!.]*/[!.]*")}


def test_a_run_may_be_cut_after_any_write(
    mirror: Mirror, objects: Objects, often: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every state of the URL is a sound run; from three of them it goes on, and comes out as if it had not died."""
    states: list[dict[str, bytes]] = []
    write = Objects.write

    def recorded(self: Objects, name: str, content: bytes) -> None:
        write(self, name, content)
        if "/." not in name:
            states.append((states[-1] if states else {}) | {name: content})

    monkeypatch.setattr(Objects, "write", recorded)
    config = tiny(optimizer__steps=40, run__checkpoint_every=4, evaluation__every=10, run__snapshots=2)
    folder = RunFolder.create(mirror("here"), config)
    copy = RunCopy(folder.path.parent, folder.id, objects)

    def published(observed: object) -> None:  # training waits, so that every checkpoint is published
        if isinstance(observed, dict) and observed["step"] % 4 == 1:
            wait_until(lambda: not copy.is_ahead(), "what was trained so far to be published")

    assert execute(folder, Control(), published) == State("finished")
    monkeypatch.undo()
    assert states[-1] == everything(objects) == files(folder.path.parent)
    assert len(states) > 25, "it was published while it trained"
    sound, resumable = 0, []
    for number, state in enumerate(states):
        other = Objects(f"{objects.url}-{number}")
        for name, content in state.items():
            other.write(name, content)
        root = mirror(f"reader-{number}")
        root.joinpath(".remote.json").write_text(json.dumps({"url": other.url}))
        assert refresh(root) == []
        if {f"{folder.id}/run.json", f"{folder.id}/config.json"} <= state.keys():
            copy = RunFolder(root / folder.id)
            if not copy.info().data:  # published before its data were loaded: nothing of it can be used yet
                assert not sound, "what was there stays there"
                continue
            check_run(copy)
            sound += 1
            if copy.has("checkpoint"):
                done = int(copy.tensors("checkpoint")["progress"][0])
                assert [record["step"] for record in copy.records()][:done] == list(range(1, done + 1))
                if done < 40:
                    resumable.append(copy)
    assert sound > 20
    for copy in (resumable[0], resumable[len(resumable) // 2], resumable[-1]):
        assert execute(copy, Control(), resume=True) == State("finished")
        assert without_seconds(copy) == without_seconds(folder)
        assert everything(objects_of(copy.path.parent)) == files(copy.path.parent)


def test_what_was_not_published_when_a_process_died_is_published_by_the_next(mirror: Mirror, objects: Objects) -> None:
    here, there = mirror("here"), mirror("there")
    folder = train(here, tiny())
    refresh(there)
    folder.log("written while the server was away")
    scan_runs(there)
    assert everything(objects) == files(there) != files(here)
    scan_runs(here)
    RunFolder.open(folder.id, there)
    assert everything(objects) == files(there) == files(here)


def test_where_both_have_changed_the_url_has_all_of_it(mirror: Mirror, objects: Objects) -> None:
    """A file of an older run beside one of a newer would be neither run; a list alone brings no such mixture."""
    here, there = mirror("here"), mirror("there")
    folder = train(here, tiny())
    other = RunFolder.open(folder.id, there)
    for run in (folder, other):
        run.log(f"in {run.path}")
        run.update(message=f"in {run.path.parent.parent.name}")
    with at_work(other.path):
        pass
    scan_runs(here)
    assert everything(objects) == files(there) == files(here)
    assert folder.info().message == "in there"


def test_what_was_written_here_during_a_fetch_stays(
    mirror: Mirror, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever worked on the run meanwhile has the newer files; the next look brings all of them together."""
    here, there = mirror("here"), mirror("there")
    folder = train(here, tiny())
    other = RunFolder.open(folder.id, there)
    folder.update(message="older")
    scan_runs(here)
    read = Objects.read

    def slow(self: Objects, name: str, *more: Any) -> bytes | None:
        content = read(self, name, *more)
        other.update(message="newer")
        return content

    monkeypatch.setattr(Objects, "read", slow)
    RunCopy(there, other.id, objects).fetch(objects.listing())
    monkeypatch.undo()
    assert other.info().message == "newer"


def test_a_list_brings_what_it_shows_and_no_more(mirror: Mirror) -> None:
    here, there = mirror("here"), mirror("there")
    folder = train(here, tiny())
    [info], broken = scan_runs(there)
    assert (info.id, info.status, broken) == (folder.id, "finished", [])
    assert {path.name for path in (there / folder.id).glob("[!.]*")} == {"config.json", "run.json"}
    other = RunFolder.open(folder.id, there)
    assert files(there) == files(here)
    folder.rename("another name", "")
    assert scan_runs(there)[0][0].name == "another name"
    other.rename("a third", "")
    assert RunFolder.open(folder.path).info().name == "a third"


def test_who_works_here_is_not_disturbed(mirror: Mirror, objects: Objects) -> None:
    here = mirror("here")
    folder = train(here, tiny())
    with at_work(folder.path):
        folder.log("this is newer")
        entry = objects.listing()[f"{folder.id}/run.json"]
        changed = (objects.read(f"{folder.id}/run.json", entry, MAX_JSON) or b"").replace(b"finished", b"stopped")
        objects.write(f"{folder.id}/run.json", changed)
        refresh(here)
        assert "this is newer" in (folder.path / "log.jsonl").read_text()
        assert folder.info().status == "finished"


def test_what_others_put_there_stays_in_its_place(mirror: Mirror, objects: Objects, tmp_path: Path) -> None:
    """Names that lead out, files that are no part of a run, and runs that are too large or damaged."""
    here, there = mirror("here"), mirror("there")
    folder = train(here, tiny())
    good = everything(objects)
    for name in ("../out/run.json", "../../out/config.json", ".trash/a/run.json", ".synced/x.json", ".remote.json"):
        objects.write(name, b"{}")
    for run in ("..", ".hidden", "a\\b"):
        for name in ("config.json", "run.json"):
            objects.write(f"{run}/{name}", good[f"{folder.id}/{name}"])
    for name in ("evil.py", ".bashrc", "../escape", "sub/run.json", "weights.pt"):
        objects.write(f"{folder.id}/{name}", b"evil")
    for run, name, content in (
        ("damaged", "run.json", b"{"),
        ("odd", "run.json", b'{"format": 2, "id": "odd", "status": "evil"}'),
        ("large", "config.json", b" " * (MAX_JSON + 1)),
    ):
        for file in ("config.json", "run.json"):
            objects.write(f"{run}/{file}", good[f"{folder.id}/{file}"])
        objects.write(f"{run}/{name}", content)
    infos, broken = scan_runs(there)
    assert [info.id for info in infos] == [folder.id]
    assert sorted(line.partition(":")[0].partition("/")[0] for line in broken) == ["damaged", "large", "odd"]
    RunFolder.open(folder.id, there)
    assert list(there.parent.iterdir()) == [there]
    kept = {name for name in files(there) if name.startswith(f"{folder.id}/")}
    assert kept == {name for name in good if name.startswith(f"{folder.id}/")}
    assert {path.name for path in there.iterdir()} == {".remote.json", ".synced", folder.id, "damaged", "odd"}
    assert not list(tmp_path.rglob("out")) + list(tmp_path.rglob("evil*")) + list(tmp_path.rglob("escape"))


def test_a_link_here_is_not_published(mirror: Mirror, objects: Objects, tmp_path: Path) -> None:
    folder = train(mirror("here"), tiny())
    (tmp_path / "secret.json").write_text("{}")
    (folder.path / "evaluation.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(RunError, match="leaves the run's folder"), at_work(folder.path):
        pass
    assert f"{folder.id}/evaluation.json" not in everything(objects)


def test_a_discarded_run_is_gone_everywhere_and_can_come_back(mirror: Mirror, objects: Objects) -> None:
    here, there = mirror("here"), mirror("there")
    folder = train(here, tiny())
    RunFolder.open(folder.id, there)
    before = files(here)
    discard(folder.id, there)
    assert objects.listing() == {}
    assert scan_runs(here) == ([], [])
    assert trashed(here) == trashed(there) == [folder.id]
    restore(folder.id, there)
    assert everything(objects) == before
    assert [info.id for info in scan_runs(here)[0]] == [folder.id]
    assert RunFolder.open(folder.id, here).has("weights", "map")
    RunFolder(there / folder.id).delete()
    assert objects.listing() == {}


def test_a_run_that_is_brought_in_is_there_for_all(mirror: Mirror, tmp_path: Path) -> None:
    brought = train(tmp_path / "own", tiny())
    folder, _ = bring_run(brought.path, mirror("here"))
    there = mirror("there")
    assert RunFolder.open(folder.id, there).records() == brought.records()
    assert not list(tmp_path.rglob("*.part"))


def test_without_a_server_nothing_begins_and_nothing_is_lost(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch, often: None
) -> None:
    """It is away at the start, and at the end for longer than anyone waits."""
    monkeypatch.setattr(work, "PATIENCE", 0.1)
    here, there = mirror("here"), mirror("there")
    folder = RunFolder.create(here, tiny(optimizer__steps=5))
    find = objects_of(here)._files.find

    def away(*args: object, **options: object) -> None:
        raise ConnectionRefusedError("nobody listens")

    monkeypatch.setattr(objects_of(here)._files, "find", away)
    state = execute(folder, Control())
    assert (state.status, "does not answer (nobody listens)" in state.message) == ("failed", True)
    assert folder.records() == []
    with pytest.raises(StorageError, match="does not answer"):
        scan_runs(here)
    monkeypatch.setattr(objects_of(here)._files, "find", find)
    seen = []

    def observe(observed: object) -> None:
        if isinstance(observed, dict):
            seen.append(observed)
            monkeypatch.setattr(objects_of(here)._files, "find", away)
            if observed["step"] == 5:
                log = folder.path / "log.jsonl"
                wait_until(lambda: "is published later" in log.read_text(), "who publishes to notice")

    state = execute(folder, Control(), observe)
    assert (state.status, "stays in" in state.message, len(seen)) == ("failed", True, 5)
    assert folder.info().status == "finished"
    monkeypatch.setattr(objects_of(here)._files, "find", find)
    scan_runs(here)
    refresh(there)
    assert files(there) == files(here)
    assert "is published later" in (there / folder.id / "log.jsonl").read_text()
