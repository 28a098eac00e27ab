"""The Negatives page without a browser: the answer, every way to an anchor, other settings, and runs in bad shape."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from cpc_engine import RunConfig
from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.explored import what_if
from tests.support.pages import links, tell_data
from tests.support.tiny import tiny
from ui.negatives.answer import warning

if TYPE_CHECKING:
    from cpc_engine.anatomy.lineup import Lineup

pytest_plugins = ["tests.support.explored"]

NEGATIVES = "pages/negatives.py"
Page = Callable[..., AppTest]


@pytest.fixture
def run(runs: Path, keypad: Path) -> Path:
    return Path(shutil.copytree(keypad, runs / keypad.name))


@pytest.fixture
def photographs(runs: Path, tmp_path: Path) -> RunFolder:
    """A run on a folder of pictures, with a queue, whose item-level term is looked at."""
    draw = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(16):
            pixels = draw.integers(0, 255, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{name}_{number}.png")
    changes = {"data__dataset": "image_folder", "data__path": str(tmp_path / "photos"), "loss__item_weight": 1.0}
    config = tiny(**changes, sampler__queue_size=64, optimizer__batch_size=8)
    folder = RunFolder.create(runs, config)
    assert execute(folder, Control()).status == "finished"
    return folder


def sound(test: AppTest) -> str:
    """What the page says; it must not have failed."""
    assert not test.exception
    assert not test.error
    return " ".join(one.value for one in test.markdown)


def test_without_runs_one_click_leads_on(page: Page, runs: Path) -> None:
    test = page(NEGATIVES)
    assert "One click begins" in test.info[0].value


def test_the_answer_is_there_at_once_and_every_way_leads_to_one(page: Page, run: Path) -> None:
    test = page(NEGATIVES)
    words = sound(test)
    assert "In-batch negatives pull hardest on this anchor:** 100%" in words
    assert "a false negative" in words
    assert run.name in test.query_params["run"]
    for way in ("margin", "false_share"):
        test.segmented_control(key="negatives-way").set_value(way).run()
        assert "pull hardest on this anchor" in sound(test)
    test.selectbox(key=f"negatives-class-{run.name}").set_value(3).run()
    assert "class “3”" in sound(test)
    test.selectbox(key="negatives-loss").set_value("prediction-image").run()
    assert "pull hardest on this anchor" in sound(test)


def test_an_item_of_the_map_in_the_address_is_the_anchor(page: Page, run: Path) -> None:
    test = page(NEGATIVES, run=run.name, item="7")
    words = sound(test)
    assert test.segmented_control(key="negatives-way").value == "map"
    assert test.selectbox(key=f"negatives-item-{run.name}").value == 7
    assert "Anchor:** test/" in words
    test.selectbox(key=f"negatives-item-{run.name}").set_value(2).run()
    assert "pull hardest" in sound(test)
    assert "2" in test.query_params["item"]


def test_a_picture_of_the_map_in_the_address_is_the_anchor_of_the_loss_of_pictures(page: Page, run: Path) -> None:
    test = page(NEGATIVES, run=run.name, item="67")  # 60 sounds come first
    assert "Anchor:** test/" in sound(test)
    assert test.selectbox(key="negatives-loss").value == "prediction-image"
    assert test.selectbox(key=f"negatives-item-{run.name}").value == 67
    assert "67" in test.query_params["item"]
    assert page(NEGATIVES, run=run.name, item="7").selectbox(key="negatives-loss").value == "prediction-audio"
    assert page(NEGATIVES, run=run.name, item="700").selectbox(key="negatives-loss").value == "prediction-audio"


def test_a_copied_link_opens_the_same_anchor_and_back_leads_to_the_one_before(page: Page, run: Path) -> None:
    test = page(NEGATIVES, run=run.name)
    first = dict(test.query_params)
    test.segmented_control(key="negatives-way").set_value("margin").run()
    test.selectbox(key=f"negatives-class-{run.name}").set_value(3).run()
    test.selectbox(key="negatives-loss").set_value("prediction-image").run()
    words = sound(test)
    address = dict(test.query_params)
    assert address == {"run": run.name, "anchor": "margin", "class": "3", "loss": "prediction-image"}

    copied = page(NEGATIVES, **address)
    assert sound(copied) == words

    for name in list(test.query_params):
        del test.query_params[name]
    for name, value in first.items():  # what Back does: an earlier address in the same session
        test.query_params[name] = value
    test.run()
    assert test.segmented_control(key="negatives-way").value == "losses"
    assert test.selectbox(key=f"negatives-class-{run.name}").value is None
    assert test.selectbox(key="negatives-loss").value == "prediction-audio"
    assert sound(test) != words


def test_an_item_of_one_run_is_not_chosen_in_another(page: Page, run: Path, runs: Path) -> None:
    other = shutil.copytree(run, runs / "keypad-20200101-000000-abcdef")
    test = page(NEGATIVES, run=run.name, item="17", piece="1", see="false")
    assert test.selectbox(key=f"negatives-item-{run.name}").value == 17
    test.selectbox(key="negatives-run").set_value(other.name).run()
    sound(test)
    assert test.selectbox(key=f"negatives-item-{other.name}").value == 0
    again = page(NEGATIVES, run=other.name, item="0")
    for name in ("item", "piece"):
        assert test.query_params[name] == again.query_params[name], "as if nothing had been chosen before"
    assert "see" not in test.query_params


def test_the_address_does_not_keep_an_item_when_another_way_is_chosen(page: Page, run: Path) -> None:
    test = page(NEGATIVES, run=run.name, item="7")
    [pieces] = [one for one in test.selectbox if one.label == "Piece"]
    last = pieces.options[-1].rpartition(" ")[2]
    assert test.query_params["piece"] != last
    again = page(NEGATIVES, run=run.name, item="7", piece=last)
    assert [one.value for one in again.selectbox if one.label == "Piece"] == [last]
    test.segmented_control(key="negatives-way").set_value("losses").run()
    assert "item" not in test.query_params
    assert "piece" not in test.query_params


def test_other_settings_follow_at_once_and_can_be_trained_with(page: Page, run: Path) -> None:
    test = page(NEGATIVES, run=run.name)
    assert "(now " not in sound(test)
    what_if(test, "loss.temperature").set_value(1.0).run()
    words = sound(test)
    assert "loss (batch): **" in words
    assert "(now " in words
    assert "cosine to the present one" in words
    assert ("set", "loss.temperature=1.0") in links(test)["Train with these settings"]
    what_if(test, "sampler.perturbed").set_value(True).run()
    assert "**Noise-perturbed**" in sound(test)
    what_if(test, "sampler.queue_size").set_value(256).run()
    assert "**Queue**" in sound(test)


def test_every_source_and_debiasing_can_be_tried(page: Page, run: Path) -> None:
    test = page(NEGATIVES, run=run.name)
    assert "closer than the positive" in sound(test)
    what_if(test, "shuffled").set_value("batch").run()
    assert any("the in-batch negatives a second time" in one.value for one in test.caption)
    assert what_if(test, "sampler.in_batch").disabled
    what_if(test, "shuffled").set_value("input").run()
    assert "**Shuffled**" in sound(test)
    assert not any("a second time" in one.value for one in test.caption)
    what_if(test, "sampler.in_batch").set_value(False).run()
    assert "**Shuffled negatives pull hardest on this anchor:** 100%" in sound(test)
    what_if(test, "sampler.mixed").set_value(64).run()
    assert "**Mixed (MoCHi)**" in sound(test)
    what_if(test, "sampler.class_prior").set_value(0.1).run()
    asked = links(test)["Train with these settings"]
    assert {("set", "sampler.mixed=64"), ("set", "sampler.class_prior=0.1"), ("set", "sampler.in_batch=false")} <= {
        (name, value.lower()) for name, value in asked
    }
    what_if(test, "sampler.perturbed").set_value(False).run()
    what_if(test, "shuffled").set_value("off").run()
    what_if(test, "sampler.mixed").set_value(0).run()
    assert "No source pulls on this anchor" in sound(test), "all are off"


def test_why_there_is_no_fork_is_told(page: Page, run: Path) -> None:
    (run / "checkpoint.safetensors").unlink()
    test = page(NEGATIVES, run=run.name)
    what_if(test, "loss.temperature").set_value(1.0).run()
    assert any("without a checkpoint" in one.value for one in test.caption)
    assert all(button.key != f"fork-{run.name}" for button in test.button)


def test_a_run_of_ones_own_folder_and_its_data_moved_away(page: Page, photographs: RunFolder, tmp_path: Path) -> None:
    test = page(NEGATIVES, run=photographs.id)
    words = sound(test)
    assert "Queue negatives pull hardest" in words or "In-batch negatives pull hardest" in words
    assert "stop-gradient: they are not pushed themselves" in words
    (tmp_path / "photos").rename(tmp_path / "moved")
    moved = page(NEGATIVES, run=photographs.id)
    import streamlit

    streamlit.cache_resource.clear()
    moved.run()
    assert not moved.exception
    assert moved.warning
    tell_data(moved, photographs.id, tmp_path / "elsewhere")
    assert "No such folder" in moved.error[0].value
    tell_data(moved, photographs.id, tmp_path / "moved")
    assert "pull hardest" in sound(moved)


def test_a_chart_that_the_address_asks_for_comes_first(page: Page, run: Path) -> None:
    def order(test: AppTest) -> list[str]:
        assert not test.exception
        captions = [one.value for one in test.caption]
        return [one for one in captions if one.startswith(("Ruler:", "Solid: part of each source's", "Band:"))]

    ruler, band, false = order(page(NEGATIVES, run=run.name))
    assert order(page(NEGATIVES, run=run.name, see="false")) == [false, ruler, band]
    asked = page(NEGATIVES, run=run.name, see="similarity")
    assert order(asked) == [band, ruler, false]
    assert order(page(NEGATIVES, run=run.name, see="nothing")) == [ruler, band, false]


def shuffling(test: AppTest) -> str:
    """What the page says below the chart of shuffled negatives."""
    assert not test.exception
    [found] = [one.value for one in test.caption if "Near 1 shuffling changes nothing" in one.value]
    return str(found)


def test_what_shuffling_changes_is_told_of_runs_without_it_too(page: Page, run: Path) -> None:
    test = page(NEGATIVES, run=run.name)
    words = shuffling(test)
    assert words.startswith("This run has no shuffled negatives")
    assert "A latent of the shuffled input against the one at the same place of the input." in words
    assert words.endswith("leave “Shuffled” off.")
    titles = [popover.proto.popover.help for popover in test.get("popover")]
    assert "Shuffled: cosine to the original: table" in titles


@pytest.mark.parametrize(
    ("shuffled", "same_item", "what", "way_out"),
    [
        ("input", True, "of the shuffled input", "switch off “Shuffled” or “Negatives from the same item”."),
        ("input", False, "of the shuffled input", "a copy of the positive: switch off “Shuffled”."),
        ("time", True, "that a permutation of its item can put", "“Negatives from the same item”."),
        ("batch", True, "that a permutation of the batch can put", "“Negatives from the same item”."),
    ],
)
def test_each_way_of_shuffling_says_what_is_compared(
    page: Page, runs: Path, shuffled: str, same_item: bool, what: str, way_out: str
) -> None:
    config = tiny(sampler__shuffled=shuffled, sampler__same_item=same_item, loss__item_weight=1.0)
    folder = RunFolder.create(runs, config)
    assert execute(folder, Control()).status == "finished"
    test = page(NEGATIVES, run=folder.id)
    assert "embedding" in shuffling(test)
    test.selectbox(key="negatives-loss").set_value("prediction-audio").run()
    words = shuffling(test)
    assert words.startswith("A latent")
    assert what in words
    assert words.endswith(way_out)


def test_the_ways_out_of_false_negatives_are_those_of_this_run() -> None:
    def strip(false_share: float, number: float) -> Any:
        return SimpleNamespace(total=0.5, false_share=false_share, false_negatives=number)

    def told(changes: dict[str, Any], **strips: Any) -> str:
        return warning(cast("Lineup", SimpleNamespace(strips=strips)), RunConfig().replace(changes))

    own = told({}, in_batch=strip(0.9, 0.1))
    assert "In-batch (90%)" in own
    assert "Negatives from the same item" in own
    assert "Noise" not in own, "no noise is on"
    taken = {"sampler.same_item": False, "sampler.same_class": False, "sampler.class_prior": 0.1}
    other = told(taken, perturbed=strip(0.9, 0.1))
    assert "same" not in other, "it is done"
    assert "Raise “Debiasing τ⁺”" in other
    assert "Noise σ" in other
    assert "sampler" not in own + other
    assert not told({}, in_batch=strip(1.0, 1.0)), "without labels all have one class, and nothing is false"
    assert not told({}, in_batch=strip(0.6, 0.5)), "of two classes half are false by chance"


def test_a_run_without_weights_is_told(page: Page, run: Path) -> None:
    other = Path(shutil.copytree(run, run.with_name("other")))
    (other / "weights.safetensors").unlink()
    for status, told in {
        "running": "no weights yet",
        "failed": "ended without them (failed: no space left)",
        "stopped": "ended without them (stopped",
    }.items():
        message = "no space left." if status == "failed" else ""
        RunFolder(other).update(status=status, message=message)
        assert told in page(NEGATIVES, run="other").info[0].value


def test_an_earlier_step_is_looked_at(page: Page, run: Path) -> None:
    test = page(NEGATIVES, run=run.name)
    steps, now = test.selectbox(key=f"negatives-step-{run.name}"), sound(test)
    assert steps.options == ["1", "2", "4", "8", "12 (now)"]
    assert steps.value == 12
    assert "step" not in test.query_params
    test.selectbox(key=f"negatives-step-{run.name}").set_value(2).run()
    then = sound(test)
    assert "pull hardest on this anchor" in then
    assert then != now
    assert "2" in test.query_params["step"]
    what_if(test, "loss.temperature").set_value(1.0).run()
    assert "(now " in sound(test)
    assert "A fork begins at the present step." in [one.value for one in test.caption]
    assert all(button.key != f"fork-{run.name}" for button in test.button)
    assert page(NEGATIVES, run=run.name, step="2").selectbox(key=f"negatives-step-{run.name}").value == 2
    assert page(NEGATIVES, run=run.name, step="3").selectbox(key=f"negatives-step-{run.name}").value == 12


def test_a_run_without_snapshots_shows_its_one_step_and_a_damaged_one_is_told(page: Page, run: Path) -> None:
    (run / "snapshot-1.safetensors").write_bytes(b"half")
    test = page(NEGATIVES, run=run.name)
    assert "snapshot-1.safetensors is damaged" in test.warning[0].value
    assert "pull hardest on this anchor" in sound(test)
    for path in run.glob("snapshot-*"):
        path.unlink()
    test = page(NEGATIVES, run=run.name)
    assert test.selectbox(key=f"negatives-step-{run.name}").options == ["12 (now)"]
    assert not test.warning


def steered(runs: Path, first: dict[str, Any], changes: dict[str, Any]) -> RunFolder:
    """A run of eight steps whose settings are changed live after the fourth; it keeps earlier steps."""
    config = tiny(optimizer__steps=8, run__snapshots=3, **{path.replace(".", "__"): to for path, to in first.items()})
    folder, control = RunFolder.create(runs, config), Control()

    def steer(observed: object) -> None:
        if isinstance(observed, dict) and observed["step"] == 4:
            for path, to in changes.items():
                control.change(folder.config(), path, to)

    assert execute(folder, control, steer).status == "finished"
    assert folder.events()
    return folder


ON_THE_WAY = (
    ({}, {"sampler.perturbed": True, "loss.temperature": 0.5, "sampler.hardness": 1.0}),
    ({"sampler.perturbed": True, "sampler.shuffled": "time"}, {"sampler.perturbed": False, "sampler.shuffled": "off"}),
    (
        {"sampler.in_batch": False, "sampler.perturbed": True, "sampler.mixed": 64},
        {"sampler.shuffled": "input", "sampler.mixed": 0},
    ),
    ({"loss.learnable_temperature": True}, {"sampler.class_prior": 0.1, "sampler.perturbed": True}),
)


@pytest.mark.parametrize(("first", "changes"), ON_THE_WAY)
def test_every_step_of_a_run_that_was_changed_live_begins_with_its_own_settings(
    page: Page, runs: Path, first: dict[str, Any], changes: dict[str, Any]
) -> None:
    folder = steered(runs, first, changes)
    test = page(NEGATIVES, run=folder.id)
    steps = test.selectbox(key=f"negatives-step-{folder.id}")
    assert int(steps.options[0]) < 4 < steps.value == 8
    for step in (8, int(steps.options[0]), 8):
        test.selectbox(key=f"negatives-step-{folder.id}").set_value(step).run()
        assert "(now " not in sound(test), "nobody asked what if"
        settings = folder.config().flat() | (changes if step == 8 else {})
        for path in changes:
            control = what_if(test, path.removeprefix("sampler.") if path == "sampler.shuffled" else path)
            assert control.value == settings[path]
    what_if(test, "sampler.queue_size").set_value(256).run()
    assert "(now " in sound(test)
