"""The Watch page without a browser: names and notes, examples, alarms, and what leads on from a run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.format import FORMAT
from tests.support.pages import links, open_page
from tests.support.tiny import tiny, wait_until

pytest_plugins = ["tests.support.pages"]


def test_watching_nothing_shows_what_there_is(runs: Path, finished: Path) -> None:
    shutil.copytree(finished, runs / "one")
    test = open_page("pages/watch.py")
    assert not test.exception
    assert ("run", "one") in [pair for asked in links(test).values() for pair in asked]


def test_names_and_notes_are_shown_letter_by_letter(runs: Path, finished: Path) -> None:
    shutil.copytree(finished, runs / finished.name)
    RunFolder(runs / finished.name).rename("*bold* [link](x) :red[no]", "a _note_ with $x$ and <b>")
    test = open_page("pages/watch.py", run=finished.name)
    assert not test.exception
    assert test.title[0].value == r"Run: \*bold\* \[link\](x) \:red\[no\]"
    texts = [element.value for element in test.markdown]
    assert r"a \_note\_ with \$x\$ and \<b\>" in texts
    assert r"**\*bold\* \[link\](x) \:red\[no\]**" in texts


def test_an_example_is_looked_at_but_not_changed(runs: Path, finished: Path) -> None:
    folder = RunFolder(Path(shutil.copytree(finished, runs / "example-one")))
    folder.update(status="stopped")
    folder.mark_example("What it teaches", 1)
    test = open_page("pages/watch.py", run="example-one")
    assert not test.exception
    assert not test.error
    assert "What it teaches" in [one.value for one in test.markdown]
    assert not {"delete", "resume-example-one"} & {one.key for one in test.button}
    assert "Keep" not in [one.label for one in test.button], "nor can it be named"


def test_a_run_that_was_still_waiting_when_its_server_was_killed_can_go_on(runs: Path) -> None:
    folder = RunFolder.create(runs, tiny())
    facts = {**vars(folder.info()), "format": FORMAT, "pid": 2**22 + 1, "pid_started": 1}  # no such process
    folder.save_json("run", facts)
    assert folder.info().status == "interrupted"
    test = open_page("pages/watch.py", run=folder.id)
    assert not test.exception
    test.button(key=f"resume-{folder.id}").click().run()
    assert not test.exception
    wait_until(lambda: folder.info().status == "finished", "the run to end")


def test_a_run_leads_to_one_like_it(runs: Path, finished: Path) -> None:
    shutil.copytree(finished, runs / finished.name)
    config = RunFolder(runs / finished.name).rename("A name", "and a note")
    asked = links(open_page("pages/watch.py", run=finished.name))["Train one like it"]
    test = open_page(
        "pages/train.py", preset=dict(asked)["preset"], set=[value for name, value in asked if name == "set"]
    )
    assert not test.exception
    test.button(key="start").click().run()
    [new] = [path for path in runs.iterdir() if path.name != finished.name and path.is_dir()]
    assert RunFolder(new).config() == config.replace({"run.name": "", "run.note": ""})


def test_an_alarm_leads_to_a_run_without_it(runs: Path, finished: Path) -> None:
    folder = RunFolder(Path(shutil.copytree(finished, runs / finished.name)))
    rows = [record | {"geometry": {"spread": 0.01}} for record in folder.records()]
    for row in rows:
        row["modalities"]["audio"]["sources"]["queue"] = row["modalities"]["audio"]["sources"]["in_batch"]
    (folder.path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    test = open_page("pages/watch.py", run=finished.name)
    assert "collapsed" in test.warning[0].value
    assert ("set", "sampler.key_momentum=0.98") in links(test)["Set up a run with key momentum 0.98"]
