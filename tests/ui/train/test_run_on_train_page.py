"""A run on the Train page without a browser: names and notes, examples, alarms, live settings, what leads on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cpc_engine import PRESETS, RunConfig, manager_for
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.format import FORMAT
from tests.support.command_line import sounds
from tests.support.pages import SMALL, START, links, open_page, tell_data
from tests.support.tiny import tiny, wait_until

pytest_plugins = ["tests.support.pages"]


def test_addresses_of_earlier_versions_lead_to_the_run(runs: Path, finished: Path) -> None:
    shutil.copytree(finished, runs / "one")
    for page in ("pages/watch.py", START):
        test = open_page(page, run="one")
        assert not test.exception
        assert test.title[0].value.startswith("Training: ")
        assert "one" in test.query_params["run"]


def test_names_and_notes_are_shown_letter_by_letter(runs: Path, finished: Path) -> None:
    shutil.copytree(finished, runs / finished.name)
    RunFolder(runs / finished.name).rename("*bold* [link](x) :red[no]", "a _note_ with $x$ and <b>")
    test = open_page("pages/train.py", run=finished.name)
    assert not test.exception
    assert test.title[0].value == r"Training: \*bold\* \[link\](x) \:red\[no\]"
    texts = [element.value for element in test.markdown]
    assert r"a \_note\_ with \$x\$ and \<b\>" in texts


def test_an_example_is_looked_at_but_not_changed(runs: Path, finished: Path) -> None:
    folder = RunFolder(Path(shutil.copytree(finished, runs / "example-one")))
    folder.update(status="stopped")
    folder.mark_example("What it teaches", 1)
    test = open_page("pages/train.py", run="example-one")
    assert not test.exception
    assert not test.error
    assert "What it teaches" in [one.value for one in test.caption]
    assert not {"delete", "resume-example-one"} & {one.key for one in test.button}
    assert "Keep" not in [one.label for one in test.button], "nor can it be named"


def test_a_run_that_was_still_waiting_when_its_server_was_killed_can_go_on(runs: Path) -> None:
    folder = RunFolder.create(runs, tiny())
    facts = {**vars(folder.info()), "format": FORMAT, "pid": 2**22 + 1, "pid_started": 1}  # no such process
    folder.save_json("run", facts)
    assert folder.info().status == "interrupted"
    test = open_page("pages/train.py", run=folder.id)
    assert not test.exception
    test.button(key=f"resume-{folder.id}").click().run()
    assert not test.exception
    wait_until(lambda: folder.info().status == "finished", "the run to end")


def test_a_run_whose_data_have_moved_goes_on_once_it_was_told(runs: Path, tmp_path: Path) -> None:
    sounds(tmp_path / "mine", {"cat": 20, "dog": 20})
    changes = {"data__dataset": "audio_folder", "data__path": str(tmp_path / "mine"), "data__train_items": 0}
    folder = RunFolder.create(runs, tiny(**changes, data__test_items=0))
    folder.update(status="interrupted")
    (tmp_path / "mine").rename(tmp_path / "moved")
    test = open_page("pages/train.py", run=folder.id)
    assert not test.exception
    assert f"resume-{folder.id}" not in [one.key for one in test.button]
    assert "not here" in test.warning[0].value
    tell_data(test, folder.id, tmp_path / "moved")
    assert not test.exception
    assert not test.error, test.error[0].value
    test.button(key=f"resume-{folder.id}").click().run()
    assert not test.exception
    wait_until(lambda: folder.info().status == "finished", "the run to end")


def test_a_run_that_is_resumed_shows_its_own_settings_and_not_what_was_prepared(runs: Path) -> None:
    """Else the next edit would send all of it to the run."""
    folder = RunFolder.create(runs, tiny(optimizer__steps=100_000))
    folder.update(status="stopped")
    test = open_page("pages/train.py", run=folder.id, preset="tones", set=["sampler.perturbed=true"])
    assert not test.exception
    assert test.session_state["draft"]["changes"]["sampler.perturbed"] is True, "for the next run"
    test.button(key=f"resume-{folder.id}").click().run()
    assert not test.exception
    assert manager_for(runs).active() == [folder.id]
    draft = test.session_state["draft"]
    assert "sampler.perturbed" not in draft["changes"]
    assert PRESETS[draft["preset"]].config().replace(draft["changes"]) == folder.config()
    manager_for(runs).stop(folder.id)
    wait_until(lambda: not manager_for(runs).active(), "the run to end")


def test_a_run_leads_to_one_like_it(runs: Path, finished: Path) -> None:
    shutil.copytree(finished, runs / finished.name)
    config = RunFolder(runs / finished.name).rename("A name", "and a note")
    asked = links(open_page("pages/train.py", run=finished.name))["Train one like it"]
    test = open_page(
        "pages/train.py", preset=dict(asked)["preset"], set=[value for name, value in asked if name == "set"]
    )
    assert not test.exception
    test.button(key="start").click().run()
    [new] = [path for path in runs.iterdir() if path.name != finished.name and path.is_dir()]
    assert RunFolder(new).config() == config.replace({"run.name": "", "run.note": ""})


def collapsed(finished: Path, runs: Path) -> RunFolder:
    """A finished run whose records say that it has collapsed by a queue."""
    folder = RunFolder(Path(shutil.copytree(finished, runs / finished.name)))
    rows = [record | {"geometry": {"spread": 0.01}} for record in folder.records()]
    for row in rows:
        row["modalities"]["audio"]["sources"]["queue"] = row["modalities"]["audio"]["sources"]["in_batch"]
    (folder.path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_one_click_trains_again_with_what_an_alarm_advises(runs: Path, finished: Path) -> None:
    folder = collapsed(finished, runs)
    test = open_page("pages/train.py", run=folder.id)
    assert any("collapsed" in one.value for one in test.markdown)
    test.button(key=f"fix-{folder.id}").click().run()
    assert not test.exception
    [new] = [path for path in runs.iterdir() if path.name != folder.id and path.is_dir()]
    assert RunFolder(new).config().sampler.key_momentum == 0.98
    assert new.name in test.query_params["run"]


LIVE = {"sampler.perturbed": True, "sampler.sigma": 0.7, "loss.temperature": 0.5, "optimizer.learning_rate": 0.001}


def steered(folder: RunFolder) -> RunConfig:
    """Write that settings of a run were changed while it trained, and return what they came to."""
    for path, value in LIVE.items():
        folder.append_event({"kind": "change", "setting": path, "value": value, "step": 1, "seconds": 0.1, "old": None})
    assert len(folder.events()) == len(LIVE)
    return folder.config().replace(LIVE)


def test_what_leads_on_from_a_run_has_what_was_changed_while_it_trained(runs: Path, finished: Path) -> None:
    folder = collapsed(finished, runs)
    now = steered(folder)
    test = open_page("pages/train.py", run=folder.id)
    asked = links(test)["Train one like it"]
    base = PRESETS[dict(asked)["preset"]].config()
    assert base.replace(dict(value.split("=", 1) for name, value in asked if name == "set")) == now
    test.button(key=f"fix-{folder.id}").click().run()
    assert not test.exception
    [new] = [path for path in runs.iterdir() if path.name != folder.id and path.is_dir()]
    assert set(RunFolder(new).config().differences(now)) == {"sampler.key_momentum"}


def test_a_fix_that_cannot_be_made_does_not_cost_the_run(
    runs: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = collapsed(finished, runs)
    monkeypatch.setattr("ui.train.notice._fixes", lambda raised, run: [{"sampler.key_momentum": 7.0}])
    stopped: list[str] = []
    monkeypatch.setattr(manager_for(runs), "active", lambda: [folder.id])
    monkeypatch.setattr(manager_for(runs), "stop", stopped.append)
    test = open_page("pages/train.py", run=folder.id)
    test.button(key=f"fix-{folder.id}").click().run()
    assert "MoCo m" in test.error[0].value
    assert not stopped


def test_an_alarm_leads_to_the_chart_that_proves_it(runs: Path, finished: Path) -> None:
    folder = collapsed(finished, runs)
    asked = dict(links(open_page("pages/train.py", run=folder.id))["See it"])
    assert asked == {"run": folder.id, "see": "similarity", "loss": "prediction-audio"}
    folder.save_json("config", folder.config().replace({"sampler.perturbed": True, "sampler.sigma": 0.01}).to_dict())
    rows = [record | {"geometry": {"spread": 0.9}} for record in folder.records()]
    for row in rows:
        row["modalities"]["audio"]["sources"]["perturbed"] = row["modalities"]["audio"]["sources"]["in_batch"]
    (folder.path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = dict(links(open_page("pages/train.py", run=folder.id))["See it"])
    assert asked == {"run": folder.id, "see": "safety", "loss": "prediction-audio"}


def test_what_a_run_has_already_is_not_advised(runs: Path, finished: Path) -> None:
    folder = collapsed(finished, runs)
    folder.save_json("config", folder.config().replace({"sampler.key_momentum": 0.98}).to_dict())
    test = open_page("pages/train.py", run=folder.id)
    assert any("collapsed" in one.value for one in test.markdown)
    assert f"fix-{folder.id}" not in [one.key for one in test.button]


def test_the_notice_is_there_with_and_without_an_alarm(runs: Path, finished: Path) -> None:
    """A place that is always taken cannot make anything below it move."""
    shutil.copytree(finished, runs / "well")
    for run in ("well", collapsed(finished, runs).id):
        test = open_page("pages/train.py", run=run)
        assert [one for one in test.markdown if ":material/tune:" in one.value or ":material/warning:" in one.value]


def test_settings_are_turned_while_a_run_trains(runs: Path) -> None:
    test = open_page(
        "pages/train.py",
        preset="tones",
        set=[f"{path}={value}" for path, value in (SMALL | {"optimizer.steps": 100_000}).items()],
    )
    test.button(key="start").click().run()
    assert not test.exception
    [run] = manager_for(runs).active()
    folder = RunFolder(runs / run)
    try:
        wait_until(lambda: folder.records(), "the first record")
        test.run()
        assert test.select_slider(key="slide:loss.temperature").value == 0.2
        test.select_slider(key="slide:loss.temperature").set_value(0.5).run()
        assert not test.exception
        changed = {"kind": "change", "setting": "loss.temperature", "value": 0.5}
        wait_until(lambda: any(changed.items() <= event.items() for event in folder.events()), "the change")
        assert test.select_slider(key="slide:loss.temperature").value == 0.5
        assert not test.select_slider(key="slide:loss.temperature").disabled
        assert test.toggle(key="switch-queue").disabled, "a queue cannot be made on the way"
        assert test.toggle(key="switch-cross_modal").disabled, "sounds alone have no other modality"
        test.toggle(key="switch-perturbed").set_value(True).run()
        wait_until(lambda: any(event.get("setting") == "sampler.perturbed" for event in folder.events()), "the switch")
        again = open_page("pages/train.py", run=run)
        assert again.select_slider(key="slide:loss.temperature").value == 0.5, "another session sees it as it is"
        assert again.toggle(key="switch-perturbed").value
    finally:
        manager_for(runs).stop(run)
        wait_until(lambda: not manager_for(runs).active(), "the run to end", 120)


def test_an_ended_run_is_the_beginning_of_the_next(runs: Path, finished: Path) -> None:
    shutil.copytree(finished, runs / finished.name)
    test = open_page("pages/train.py", run=finished.name)
    test.toggle(key="switch-queue").set_value(True).run()
    assert any(one.value.startswith("Changed: Queue size") for one in test.caption)
    assert "sampler.queue_size=1024" in test.query_params["set"]
    test.button(key="undo-all").click().run()
    assert not test.toggle(key="switch-queue").value
    test.toggle(key="switch-perturbed").set_value(True).run()
    test.button(key="start").click().run()
    assert not test.exception
    [new] = [path for path in runs.iterdir() if path.name != finished.name and path.is_dir()]
    assert set(RunFolder(new).config().differences(RunFolder(runs / finished.name).config())) == {"sampler.perturbed"}


def test_the_slider_of_a_temperature_that_nothing_reads_is_gray_and_says_why(runs: Path, finished: Path) -> None:
    weights = {"loss.prediction_weight": 0.0, "loss.item_weight": 1.0}
    test = open_page(
        "pages/train.py",
        preset="tones",
        set=[f"{path}={value}" for path, value in weights.items()],
        settings="loss.temperature",
    )
    assert test.select_slider(key="slide:loss.temperature").disabled
    assert not test.select_slider(key="slide:optimizer.learning_rate").disabled
    [reason] = [one.value for one in test.caption if one.value.startswith("Without effect")]
    assert reason == "Without effect: “Prediction weight” is 0 and “Global–local loss” is 0."
    test.selectbox(key="group").set_value("Objective").run()
    test.number_input(key="train:loss.prediction_weight").set_value(0.5).run()
    assert not test.exception
    assert not test.select_slider(key="slide:loss.temperature").disabled
    assert not [one.value for one in test.caption if one.value.startswith("Without effect")]
