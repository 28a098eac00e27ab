"""The Runs page without a browser: what cannot be read, cards, the search, and runs that come back from the trash."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.format import FORMAT
from tests.support.pages import open_page
from tests.support.tiny import tiny, wait_until

pytest_plugins = ["tests.support.pages"]


def test_broken_folders_are_told_and_a_search_leads_on(runs: Path, finished: Path) -> None:
    for name in ("one", "two", "half"):
        shutil.copytree(finished, runs / name)
    (runs / "half" / "run.json").write_text("{")
    test = open_page("pages/runs.py")
    assert not test.exception
    assert "Folders that cannot be read (1)" in [one.label for one in test.expander]
    assert "half" in test.text[0].value
    assert sorted(test.dataframe[0].value["Id"]) == ["one", "two"]
    test.text_input(key="find").set_value("no such run").run()
    assert "No run fits." in [one.value for one in test.info]
    test.button(key="all").click().run()
    assert not test.exception
    assert len(test.dataframe[0].value) == 2
    assert "all" not in [one.key for one in test.button]


def test_a_card_tells_the_seed_and_a_note_is_found(runs: Path, finished: Path) -> None:
    shutil.copytree(finished, runs / finished.name)
    RunFolder(runs / finished.name).rename("one", "the moon is round")
    other = RunFolder.create(runs, tiny(run__name="one", run__seed=7))
    test = open_page("pages/runs.py", look="Cards")
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


def tick(test: AppTest, *rows: int) -> AppTest:
    """Tick rows of the first table, as a click on their boxes does."""
    test.session_state[key_of_table(test)] = {"selection": {"rows": list(rows), "columns": [], "cells": []}}
    return test.run()


def key_of_table(test: AppTest) -> str:
    """The key of the first table, which is at the end of its id."""
    return str(test.dataframe[0].proto.id.split("-", 2)[2])


def test_ticks_stay_with_their_runs(runs: Path) -> None:
    """Streamlit keeps numbers of rows: among other runs, as many and with the same first one, they are others."""
    for name in ("red queue", "blue", "blue queue"):
        stored(runs, name, 1.0)
    test = open_page("pages/runs.py")
    keys = {key_of_table(test)}
    for words in ("blue", "queue"):
        test.text_input(key="find").set_value(words).run()
        assert len(test.dataframe[0].value) == 2
        assert test.dataframe[0].value["Run"][0].startswith("blue queue")
        keys.add(key_of_table(test))
    assert len(keys) == 3


def test_a_table_shows_metrics_what_differs_and_what_collapsed(runs: Path, finished: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(finished, runs / name)
    folder = RunFolder(runs / "two")
    rows = folder.records()
    rows[-1]["geometry"] = {"spread": 0.05, "uniformity": -0.1, "alignment": 0.1}
    (folder.path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    test = open_page("pages/runs.py")
    assert not test.exception
    shown = test.dataframe[0].value.set_index("Id")
    assert list(shown.loc["two", "Status"]) == ["finished", "collapsed"]
    assert list(shown.loc["one", "Status"]) == ["finished"]
    assert shown.loc["two", "Spread"] == pytest.approx(0.05)
    assert shown.loc["one", "Loss"] == pytest.approx(RunFolder(runs / "one").records()[-1]["loss"], rel=1e-3)
    assert "batch size 8" in shown.loc["one", "Beside the preset"] or "more" in shown.loc["one", "Beside the preset"]
    assert shown.loc["one", "Run"] != "one", "a run without a name is called by its preset and what differs"
    cards = open_page("pages/runs.py", look="Cards")
    assert sum("collapsed" in one.value for one in cards.markdown) == 1


def test_ticked_runs_are_deleted_together_and_examples_stay(runs: Path, finished: Path) -> None:
    for name in ("one", "two", "three"):
        shutil.copytree(finished, runs / name)
    RunFolder(runs / "three").mark_example("A lesson", 1)
    test = open_page("pages/runs.py")
    assert test.button(key="compare-ticked").disabled
    test = tick(test, 0, 1, 2)
    assert not test.exception
    assert test.button(key="open-ticked").disabled, "one at a time"
    test.button(key="delete-ticked").click().run()
    assert not test.exception
    assert sorted(path.name for path in runs.iterdir() if not path.name.startswith(".")) == ["three"]
    assert "Deleted runs (2)" in [one.label for one in test.expander]


def interrupted(runs: Path) -> RunFolder:
    """A run whose server was killed while it waited."""
    folder = RunFolder.create(runs, tiny())
    folder.save_json("run", {**vars(folder.info()), "format": FORMAT, "pid": 2**22 + 1, "pid_started": 1})
    assert folder.info().status == "interrupted", "no process has this number"
    return folder


def test_ticked_runs_that_were_interrupted_go_on_by_one_click(runs: Path, finished: Path) -> None:
    shutil.copytree(finished, runs / "done")
    waiting = [interrupted(runs) for _ in range(2)]
    lost = interrupted(runs)
    lost.update(status="interrupted", steps_done=2)
    test = open_page("pages/runs.py")
    assert test.button(key="resume-ticked").disabled
    rows = list(test.dataframe[0].value["Id"])
    test = tick(test, rows.index("done"), rows.index(lost.id))
    assert test.button(key="resume-ticked").disabled
    assert "None of them can go on" in test.button(key="resume-ticked").help
    test = tick(test, *range(len(rows)))
    assert "2 of them" in test.button(key="resume-ticked").help, "what stays as it is"
    test.button(key="resume-ticked").click().run()
    assert not test.exception
    for folder in waiting:
        wait_until(lambda folder=folder: folder.info().status == "finished", "the run to end")  # type: ignore[misc]
    assert lost.info().status == "interrupted"
    assert test.button(key="resume-ticked").disabled or test.run().button(key="resume-ticked").disabled


def stored(runs: Path, name: str, loss: float | None = None, **settings: Any) -> RunFolder:
    """A finished run, without the files that no table reads."""
    folder = RunFolder.create(runs, tiny(run__name=name, **settings))
    folder.update(status="finished", steps_done=4, loss_last=loss)
    return folder


def test_runs_are_grouped_by_a_setting_and_a_tick_on_a_group_is_one_on_its_runs(runs: Path) -> None:
    for seed, loss in ((0, 1.0), (1, 3.0)):
        stored(runs, "small", loss, run__seed=seed, sampler__queue_size=64)
    stored(runs, "large", 5.0, sampler__queue_size=128)
    stored(runs, "large without a number", None, sampler__queue_size=128)
    test = open_page("pages/runs.py")
    assert test.selectbox(key="group").options[:2] == ["No groups", "All settings but the seed"]
    assert "Queue size" in test.selectbox(key="group").options
    assert not {"Seed", "Name", "Note"} & set(test.selectbox(key="group").options), "they tell nothing of a run"
    test.selectbox(key="group").select("sampler.queue_size").run()
    assert not test.exception
    shown = test.dataframe[0].value.set_index("Group")
    assert shown.loc["Queue size 64", ["Runs", "Seeds", "Loss"]].tolist() == [2, 2, 2.0]
    assert shown.loc["Queue size 128", ["Runs", "Seeds", "Loss"]].tolist() == [2, 1, 5.0]
    assert list(shown.index) == ["Queue size 64", "Queue size 128"], "by size"
    assert test.button(key="compare-ticked").disabled
    tick(test, list(shown.index).index("Queue size 64"))
    assert not test.exception
    assert not test.button(key="compare-ticked").disabled
    assert len(test.dataframe[1].value) == 2
    assert {name.partition(" · ")[0] for name in test.dataframe[1].value["Run"]} == {"small"}


def test_repetitions_of_a_run_are_one_group_whatever_they_are_called(runs: Path) -> None:
    for seed, name in ((0, "first"), (1, "again")):
        stored(runs, name, 1.0, run__seed=seed)
    other = stored(runs, "changed while it trained", 1.0, run__seed=2)
    other.append_event({"kind": "change", "step": 1, "setting": "sampler.sigma", "value": 0.5})
    stored(runs, "whose fork cannot be read", 1.0, run__seed=3).path.joinpath("fork.json").write_text("{")
    test = open_page("pages/runs.py", group="All settings but the seed")
    assert not test.exception
    shown = test.dataframe[0].value
    assert sorted(shown["Runs"]) == [1, 1, 2]
    assert shown["Group"].tolist()[-1] == "cannot be read"
    cards = open_page("pages/runs.py", group="All settings but the seed", look="Cards")
    assert not cards.exception
    assert not cards.dataframe


def test_no_mean_is_taken_over_several_data_sets(runs: Path) -> None:
    for data in ("tones", "bars"):
        stored(runs, data, 1.0, data__dataset=data).update(data={"name": data.title()})
    stored(runs, "other", 3.0, sampler__queue_size=64).update(data={"name": "Tones"})
    shown = open_page("pages/runs.py", group="Queue size").dataframe[0].value.set_index("Group")
    assert shown["Data"].tolist() == ["Bars, Tones", "Tones"]
    assert shown["Loss"].isna().tolist() == [True, False]
