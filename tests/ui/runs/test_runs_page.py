"""The Runs page without a browser: what cannot be read, cards, the search, and runs that come back from the trash."""

from __future__ import annotations

import shutil
from pathlib import Path

from cpc_engine.storage.folder import RunFolder
from tests.support.pages import links, open_page
from tests.support.tiny import tiny

pytest_plugins = ["tests.support.pages"]


def test_broken_folders_are_told_and_a_search_leads_on(runs: Path, finished: Path) -> None:
    for name in ("one", "two", "half"):
        shutil.copytree(finished, runs / name)
    (runs / "half" / "run.json").write_text("{")
    test = open_page("pages/runs.py")
    assert not test.exception
    assert [one.label for one in test.expander] == ["Folders that cannot be read (1)"]
    assert "half" in test.text[0].value
    assert set(dict(links(test)["Compare these 2"])["runs"].split(",")) == {"one", "two"}
    test.text_input(key="find").set_value("no such run").run()
    assert "No run fits." in [one.value for one in test.info]
    test.button(key="all").click().run()
    assert not test.exception
    assert "Compare these 2" in links(test)
    assert "all" not in [one.key for one in test.button]


def test_a_card_tells_the_seed_and_a_note_is_found(runs: Path, finished: Path) -> None:
    shutil.copytree(finished, runs / finished.name)
    RunFolder(runs / finished.name).rename("one", "the moon is round")
    other = RunFolder.create(runs, tiny(run__name="one", run__seed=7))
    test = open_page("pages/runs.py")
    said = [part for one in test.caption for part in one.value.split(" · ") if part.startswith("seed ")]
    assert sorted(said) == ["seed 0", "seed 7"]
    test.text_input(key="find").set_value("moon").run()
    assert [one.proto.label for one in test.get("page_link") if one.proto.label == "one"] == ["one"]
    assert other.info().note == ""


def test_a_run_is_deleted_and_comes_back(runs: Path, finished: Path) -> None:
    shutil.copytree(finished, runs / finished.name)
    test = open_page("pages/train.py", run=finished.name)
    test.button(key="delete").click().run()
    assert not test.exception
    assert not (runs / finished.name).exists()
    test.switch_page("pages/runs.py").run()
    test.button(key=f"restore-{finished.name}").click().run()
    assert not test.exception
    assert (runs / finished.name / "weights.safetensors").is_file()
