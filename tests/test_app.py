"""Every page without a browser: good runs, none, broken ones, and addresses that lie."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import streamlit as st
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

from cpc_engine import RunConfig, RunFolder, manager_for
from cpc_engine.runs.execute import execute
from cpc_engine.training.control import Control
from tests.tiny import tiny, wait_until
from ui.engine import BROKE

APP = str(Path(__file__).resolve().parents[1] / "app.py")
PAGES = ("pages/start.py", "pages/train.py", "pages/watch.py", "pages/runs.py")
SMALL = {
    "data.train_items": 64,
    "data.test_items": 48,
    "audio.sample_rate": 4000,
    "audio.clip_seconds": 0.5,
    "audio.mel_bands": 16,
    "audio.width": 8,
    "context.hidden_dim": 16,
    "context.latent_dim": 8,
    "optimiser.batch_size": 8,
    "optimiser.steps": 3,
    "evaluation.items": 16,
    "evaluation.map_items": 48,
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run's folder."""
    folder = RunFolder.create(tmp_path_factory.mktemp("runs"), RunConfig().replace(SMALL))
    execute(folder, Control())
    assert folder.info().status == "finished"
    return folder.path


@pytest.fixture(autouse=True)
def as_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """AppTest begins every run as if `st.navigation` was never called, which makes a page forget what was clicked."""
    original = PagesManager.__init__

    def begin(self: PagesManager, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        PagesManager.uses_pages_directory = False

    monkeypatch.setattr(PagesManager, "__init__", begin)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder of runs that the app uses; its manager ends with the test."""
    root = tmp_path / "runs"
    monkeypatch.setenv("CPC_RUNS", str(root))
    yield root
    manager_for(root).close(120)  # a thread that trains on while Python ends would abort it
    st.cache_data.clear()
    st.cache_resource.clear()


def app(page: str = PAGES[0], **address: str) -> AppTest:
    test = AppTest.from_file(APP, default_timeout=60)
    for name, value in address.items():
        test.query_params[name] = value
    test.run()
    if page != PAGES[0]:
        test.switch_page(page)
        for name, value in address.items():
            test.query_params[name] = value
        test.run()
    return test


@pytest.mark.parametrize("page", PAGES)
def test_without_runs_every_page_says_what_to_do(runs: Path, page: str) -> None:
    test = app(page)
    assert not test.exception
    assert not test.error
    assert test.title
    assert test.button, "one click leads on"


@pytest.mark.parametrize("page", PAGES)
def test_every_page_shows_a_finished_run(runs: Path, finished: Path, page: str) -> None:
    shutil.copytree(finished, runs / finished.name)
    test = app(page, run=finished.name)
    assert not test.exception
    assert not test.error
    assert not test.warning


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("asked", ["nothing-here", "../../etc/passwd", "/etc", "..", "a" * 300, "<script>", ""])
def test_an_address_that_names_no_run_is_told_and_dropped(runs: Path, page: str, asked: str) -> None:
    test = app(page, run=asked)
    assert not test.exception
    assert not test.error


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("broken", ["run.json", "config.json", "metrics.jsonl", "map.json", "map.safetensors"])
@pytest.mark.parametrize("how", ["half", "gone", "other"])
def test_a_broken_folder_never_breaks_a_page(runs: Path, finished: Path, page: str, broken: str, how: str) -> None:
    folder = Path(shutil.copytree(finished, runs / finished.name))
    if how == "gone":
        (folder / broken).unlink()
    elif how == "half":
        content = (folder / broken).read_bytes()
        (folder / broken).write_bytes(content[: len(content) // 2])
    else:
        (folder / broken).write_text(json.dumps({"unknown": 1}) + "\n")
    test = app(page, run=finished.name)
    assert not test.exception
    if broken != "metrics.jsonl":
        assert not any(BROKE in error.value for error in test.error)


def test_the_start_button_trains_and_names_its_run_in_the_address(runs: Path) -> None:
    test = app(steps="2")
    test.button(key="go").click().run()
    assert not test.exception
    [run] = [path.name for path in runs.iterdir()]
    assert run in test.query_params["run"]
    manager_for(runs).stop(run)


def test_a_folder_that_cannot_be_written_is_one_sentence(runs: Path) -> None:
    runs.write_text("a file")
    test = app()
    test.button(key="go").click().run()
    assert not test.exception
    [error] = test.error
    assert "a file stands where a folder is needed" in error.value


def test_an_address_sets_the_knobs_and_a_wrong_one_is_left_out(runs: Path) -> None:
    test = AppTest.from_file(APP, default_timeout=60).run()
    test.switch_page("pages/train.py")
    test.query_params["preset"] = "chirps"
    test.query_params["set"] = ["sampler.sigma=0.25", "sampler.sigmo=1", "optimiser.batch_size=-4", "x"]
    test.run()
    assert not test.exception
    assert test.session_state["draft"] == {"preset": "chirps", "changes": {"sampler.sigma": 0.25}}
    assert test.number_input(key="train:sampler.sigma").value == 0.25
    test.button(key="reset:train:sampler.sigma").click().run()
    assert test.session_state["draft"]["changes"] == {}
    test.toggle(key="train:sampler.cross_modal").set_value(True).run()
    assert test.button(key="start").disabled, "these data have one sense only"
    test.button(key="undo-all").click().run()
    assert not test.button(key="start").disabled


@pytest.mark.parametrize(
    ("preset", "settings", "said"),
    [
        ("audio_folder", [], ["No folder is given"]),
        ("fsdd", [], ["allow the download"]),
        ("fsdd", ["data.dataset=tones"], []),
    ],
)
def test_what_data_are_missing_is_said_once(runs: Path, preset: str, settings: list[str], said: list[str]) -> None:
    test = AppTest.from_file(APP, default_timeout=60).run()
    test.switch_page("pages/train.py")
    test.query_params["preset"], test.query_params["set"] = preset, settings
    test.run()
    texts = [one.value for one in (*test.error, *test.warning, *test.info) if "data.path" in one.value]
    assert [part in text for part, text in zip(said, texts, strict=True)] == [True] * len(said), texts


def test_a_device_is_chosen_and_forgotten(runs: Path) -> None:
    test = app("pages/train.py")
    device = test.selectbox(key="device")
    assert device.value == "auto"
    assert device.options[1].startswith("processor")
    assert "undo-all" not in [one.key for one in test.button], "to look is not to change"
    device.select("cpu").run()
    assert test.session_state["draft"]["changes"] == {"run.device": "cpu"}
    test.button(key="undo-all").click().run()
    assert test.selectbox(key="device").value == "auto"
    test.query_params["set"] = "run.device=cuda:7"
    test.run()
    assert not test.exception
    assert test.error[0].value.startswith("No device 'cuda")
    test.button(key="start").click().run()
    assert not test.exception
    assert test.error[0].value.startswith("No device 'cuda")
    assert not runs.exists(), "no run came of it"


def test_the_time_is_measured_where_no_run_tells(runs: Path) -> None:
    test = AppTest.from_file(APP, default_timeout=120).run().switch_page("pages/train.py")
    test.query_params["preset"] = "tones"
    test.query_params["set"] = [f"{path}={value}" for path, value in SMALL.items()]
    test.run()
    test.button(key="measure").click().run()
    assert not test.exception
    assert any("by a few steps that were measured" in one.value for one in test.markdown)
    assert not runs.exists(), "no run came of it"


def test_broken_folders_are_told_and_a_search_leads_on(runs: Path, finished: Path) -> None:
    for name in ("one", "two", "half"):
        shutil.copytree(finished, runs / name)
    (runs / "half" / "run.json").write_text("{")
    test = app("pages/runs.py")
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


def test_watching_nothing_shows_what_there_is(runs: Path, finished: Path) -> None:
    shutil.copytree(finished, runs / "one")
    test = app("pages/watch.py")
    assert not test.exception
    assert ("run", "one") in [pair for asked in links(test).values() for pair in asked]


def test_several_seeds_wait_in_line_and_can_be_held_still(runs: Path) -> None:
    test = AppTest.from_file(APP, default_timeout=60).run().switch_page("pages/train.py")
    test.query_params["preset"] = "tones"
    test.query_params["set"] = [f"{path}={value}" for path, value in (SMALL | {"optimiser.steps": 100_000}).items()]
    test.run()
    test.number_input(key="count").set_value(3).run()
    test.button(key="start").click().run()
    assert not test.exception
    configs = [RunFolder(path).config() for path in runs.iterdir()]
    assert sorted(config.run.seed for config in configs) == [0, 1, 2]
    shown = "".join(test.query_params["runs"])
    assert set(shown.split(",")) == {path.name for path in runs.iterdir()}, "one page shows them all"
    waiting = [label for label in links(test) if "in line" in label]
    assert [label.partition(" · ")[2][:16] for label in waiting] == ["number 1 in line", "number 2 in line"]
    test.toggle(key="held").set_value(True).run()
    assert not test.exception
    test.switch_page("pages/runs.py").run()
    assert test.toggle(key="held").value, "on every page"
    for run in manager_for(runs).active():
        manager_for(runs).stop(run)
    wait_until(lambda: not manager_for(runs).active(), "the runs to end")


def test_two_sessions_see_the_same_runs_each_with_its_own_choice(runs: Path, finished: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(finished, runs / name)
    first, second = (app("pages/compare.py", runs=name) for name in ("one", "two"))
    for test in (first, second):
        assert not test.exception
        assert len(test.multiselect(key="compare-runs").options) == 2, "both know both"
    first.multiselect(key="compare-runs").set_value(["one", "two"]).run()
    second.run()
    assert first.multiselect(key="compare-runs").value == ["one", "two"]
    assert second.multiselect(key="compare-runs").value == ["two"]
    here, there = app("pages/watch.py", run="one"), app("pages/runs.py")
    here.button(key="delete").click().run()
    there.run()
    assert not there.exception
    assert [one.key for one in there.button if one.key and one.key.startswith("restore-")] == ["restore-one"]


def test_a_run_is_deleted_and_comes_back(runs: Path, finished: Path) -> None:
    shutil.copytree(finished, runs / finished.name)
    test = app("pages/watch.py", run=finished.name)
    test.button(key="delete").click().run()
    assert not test.exception
    assert not (runs / finished.name).exists()
    test.switch_page("pages/runs.py").run()
    test.button(key=f"restore-{finished.name}").click().run()
    assert not test.exception
    assert (runs / finished.name / "weights.safetensors").is_file()


def test_examples_stand_on_the_start_page_in_their_order_with_what_they_teach(runs: Path, finished: Path) -> None:
    for name, teaches, place in (("late", "Second *lesson*", 12), ("early", "First lesson", 3), ("mine", "", 0)):
        folder = RunFolder(Path(shutil.copytree(finished, runs / name)))
        if teaches:
            folder.mark_example(teaches, place)
    shutil.copytree(runs / "late", runs / "broken")
    (runs / "broken" / "map.safetensors").write_bytes(b"half")
    config = RunFolder(runs / "early").config().replace({"data.dataset": "audio_folder", "data.path": "/not/here"})
    RunFolder(runs / "early").save_json("config", config.to_dict())  # its data are elsewhere
    test = app()
    assert not test.exception
    assert not test.error
    texts = [one.value for one in test.markdown]
    assert texts.index("First lesson") < texts.index("Second \\*lesson\\*")
    assert [one.value for one in test.header] == ["Trained examples", "Trained before", "What you can learn here"]
    assert any("From a real run" in one.value for one in test.caption)
    for page in ("pages/watch.py", "pages/runs.py"):
        assert not app(page, run="early").error


def test_an_example_is_looked_at_but_not_changed(runs: Path, finished: Path) -> None:
    folder = RunFolder(Path(shutil.copytree(finished, runs / "example-one")))
    folder.update(status="stopped")
    folder.mark_example("What it teaches", 1)
    test = app("pages/watch.py", run="example-one")
    assert not test.exception
    assert not test.error
    assert "What it teaches" in [one.value for one in test.markdown]
    assert not {"delete", "resume-example-one"} & {one.key for one in test.button}
    assert "Keep" not in [one.label for one in test.button], "nor can it be named"


def test_a_card_tells_the_seed_and_a_note_is_found(runs: Path, finished: Path) -> None:
    shutil.copytree(finished, runs / finished.name)
    RunFolder(runs / finished.name).rename("one", "the moon is round")
    other = RunFolder.create(runs, tiny(run__name="one", run__seed=7))
    test = app("pages/runs.py")
    said = [part for one in test.caption for part in one.value.split(" · ") if part.startswith("seed ")]
    assert sorted(said) == ["seed 0", "seed 7"]
    test.text_input(key="find").set_value("moon").run()
    assert [one.proto.label for one in test.get("page_link") if one.proto.label == "one"] == ["one"]
    assert other.info().note == ""


def links(test: AppTest) -> dict[str, list[tuple[str, str]]]:
    """{label: what its address asks for} of the links to pages."""
    return {one.proto.label: parse_qsl(one.proto.query_string) for one in test.get("page_link")}


def test_a_run_leads_to_one_like_it(runs: Path, finished: Path) -> None:
    shutil.copytree(finished, runs / finished.name)
    config = RunFolder(runs / finished.name).rename("A name", "and a note")
    asked = links(app("pages/watch.py", run=finished.name))["Train one like it"]
    test = AppTest.from_file(APP, default_timeout=60).run().switch_page("pages/train.py")
    test.query_params["preset"] = dict(asked)["preset"]
    test.query_params["set"] = [value for name, value in asked if name == "set"]
    test.run()
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
    test = app("pages/watch.py", run=finished.name)
    assert "collapsed" in test.warning[0].value
    assert ("set", "sampler.key_momentum=0.98") in links(test)["Set up a run with key momentum 0.98"]


def test_settings_of_an_address_that_fit_only_together_are_taken_together(runs: Path) -> None:
    test = AppTest.from_file(APP, default_timeout=60).run().switch_page("pages/train.py")
    test.query_params["preset"] = "tones"
    test.query_params["set"] = ["loss.temperature_min=1.0", "loss.temperature_max=3.0"]  # the default highest is 1.0
    test.run()
    assert not test.exception
    assert not test.toast
    assert test.session_state["draft"]["changes"] == {"loss.temperature_min": 1.0, "loss.temperature_max": 3.0}


def test_a_waiting_or_broken_mark_makes_no_example(runs: Path, finished: Path) -> None:
    folder = RunFolder(Path(shutil.copytree(finished, runs / "odd")))
    for mark in (True, {"place": 1}, {"teaches": ""}, ["teaches"]):
        folder.update(data=folder.info().data | {"example": mark})
        test = app()
        assert not test.exception
        assert "Trained examples" not in [one.value for one in test.header]
