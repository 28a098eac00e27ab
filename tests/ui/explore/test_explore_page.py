"""The Explore page without a browser: maps, colors, choosing without a mouse, neighbors, and runs in bad shape."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import streamlit
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from cpc_engine.data import fsdd
from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support import paths
from tests.support.pages import tell_data
from tests.support.tiny import tiny
from ui.explore.lasso import join_numbers, split_numbers
from ui.shell.errors import BROKE

pytest_plugins = ["tests.support.explored"]

EXPLORE = "pages/explore.py"
Page = Callable[..., AppTest]


@pytest.fixture
def run(runs: Path, keypad: Path) -> Path:
    return Path(shutil.copytree(keypad, runs / keypad.name))


def sound(test: AppTest) -> None:
    assert not test.exception
    assert not test.error
    assert not test.warning


def captions(test: AppTest) -> str:
    return " ".join(one.value for one in test.caption)


def test_without_runs_one_click_leads_on(page: Page, runs: Path) -> None:
    test = page(EXPLORE)
    sound(test)
    assert "One click begins" in test.info[0].value
    assert test.button(key="go")


def test_the_map_says_how_far_it_can_be_trusted(page: Page, run: Path) -> None:
    test = page(EXPLORE)
    sound(test)
    assert run.name in test.query_params["run"]
    assert "trustworthiness 0." in captions(test)


@pytest.mark.parametrize("method", ["pca", "tsne"])
@pytest.mark.parametrize("space", ["contexts", "latents", "predictions"])
def test_every_view_can_be_drawn(page: Page, run: Path, method: str, space: str) -> None:
    test = page(EXPLORE)
    test.segmented_control(key="method").set_value(method)
    test.selectbox(key="space").set_value(space)
    test.run()
    for color in ("label", "predicted", "modality", "agreement", "purity"):
        test.selectbox(key="color").set_value(color).run()
        sound(test)
    if method == "pca":
        test.segmented_control(key="dimensions").set_value(3).run()
        sound(test)


def test_training_items_can_be_shown_and_told_apart(page: Page, run: Path) -> None:
    test = page(EXPLORE)
    assert "split" not in test.selectbox(key="color").options
    test.toggle(key="training").set_value(True).run()
    test.selectbox(key="color").set_value("split").run()
    sound(test)


def test_items_are_chosen_without_a_mouse(page: Page, run: Path) -> None:
    test = page(EXPLORE)
    test.multiselect(key="classes").set_value(["5"]).run()
    sound(test)
    table = test.dataframe[0].value
    assert set(table["Class"]) == {"5"}
    assert set(table["Kind"]) == {"sound", "picture"}
    assert f"{len(table)} items chosen" in [one.value for one in test.subheader]
    name = table["Item"][0]
    test.text_input(key="find").set_value(name.upper()).run()
    matching = test.dataframe[0].value
    assert 0 < len(matching) < len(table)
    assert all(name in item for item in matching["Item"])
    test.text_input(key="find").set_value("no such thing").run()
    assert "No item fits" in test.info[0].value


def test_one_item_has_its_true_neighbors_and_its_path(page: Page, run: Path) -> None:
    test = page(EXPLORE)
    test.selectbox(key="item").set_value(7).run()
    sound(test)
    assert any("of its 15 nearest dots are among them" in one.value for one in test.markdown)
    assert captions(test).count("cosine") >= 8
    assert test.toggle(key="path").disabled, "single contexts have no place on a t-SNE map"
    test.segmented_control(key="method").set_value("pca").run()
    test.toggle(key="path").set_value(True).run()
    sound(test)


def test_snapshots_are_stepped_through(page: Page, run: Path) -> None:
    test = page(EXPLORE)
    assert not test.toggle(key="snapshots-play").value, "paused until asked"
    slider = test.select_slider(key="snapshots-step")
    assert slider.value == 12
    slider.set_value(0).run()
    sound(test)


def test_every_map_has_its_table(page: Page, run: Path) -> None:
    test = page(EXPLORE)
    for name, columns in (
        (f"map-{run.name}-contexts-tsne", ["item", "kind", "class", "split", "x", "y"]),
        (f"snapshots-{run.name}", ["item", "kind", "class", "x", "y"]),
    ):
        before = len(test.dataframe)
        test.session_state[f"table-{name}"] = True
        test.run()
        sound(test)
        assert len(test.dataframe) == before + 1
        assert columns in [list(one.value.columns) for one in test.dataframe]


def test_without_the_data_labels_are_left(page: Page, run: Path) -> None:
    folder = RunFolder(run)
    folder.save_json("config", folder.config().replace({"data.test_items": 50}).to_dict())
    test = page(EXPLORE)
    assert not test.exception
    assert not test.error
    assert "did not learn from these data" in test.warning[0].value
    assert "Use them" not in [button.label for button in test.button], "they are made, and lie nowhere"
    assert len(test.selectbox(key="space").options) == 1
    test.selectbox(key="item").set_value(3).run()
    assert not test.exception
    assert "nothing to show or play" in captions(test)


def test_data_that_have_moved_are_shown_once_it_was_told(page: Page, runs: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (32, 32, 32, 3), dtype=np.uint8)
    for number, one in enumerate(pixels):
        place = tmp_path / "photos" / ("cats", "dogs")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(one).save(place / f"{number}.png")
    changes = {"data__dataset": "image_folder", "data__path": str(tmp_path / "photos"), "optimizer__batch_size": 8}
    folder = RunFolder.create(runs, tiny(**changes))
    assert execute(folder, Control()).status == "finished"

    def pictures(test: AppTest) -> int:
        assert not test.exception
        test.selectbox(key="item").set_value(3).run()
        return len(test.get("image"))

    assert pictures(page(EXPLORE, run=folder.id)) > 0
    (tmp_path / "photos").rename(tmp_path / "moved")
    streamlit.cache_resource.clear()
    test = page(EXPLORE, run=folder.id)
    assert pictures(test) == 0
    assert "no such folder" in test.warning[0].value.replace("\\", "").lower()
    tell_data(test, folder.id, tmp_path / "moved")
    assert not test.warning
    assert pictures(test) > 0
    shutil.copytree(tmp_path / "moved", tmp_path / "photos")
    next((tmp_path / "photos" / "cats").iterdir()).unlink()
    (tmp_path / "moved").rename(tmp_path / "again")
    streamlit.cache_resource.clear()
    test = page(EXPLORE, run=folder.id)
    assert test.warning, "something else lies where they were"
    tell_data(test, folder.id, tmp_path / "again")
    assert not test.warning
    assert pictures(test) > 0


def test_data_known_by_name_are_fetched_with_a_button(
    page: Page, runs: Path, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network is the only thing that is played: the archive is that of the recordings at hand."""
    monkeypatch.setattr(fsdd, "CACHE", tmp_path / "cache")
    lying = shared / "data" / "fsdd"
    monkeypatch.setattr(fsdd, "_fetch", lambda folder, _: Path(shutil.copytree(lying, folder)) / "recordings")
    shutil.copytree(paths.REPOSITORY / "checkpoints" / "example-spoken-digits", runs / "example-spoken-digits")
    test = page(EXPLORE, run="example-spoken-digits")
    said = test.warning[0].value
    assert "No spoken digits" in said
    assert "--" not in said.replace("\\", ""), "a page has buttons"
    [fetch] = [button for button in test.button if button.label == "Download (16 MB)"]
    fetch.click().run()
    assert not test.exception
    assert not test.error
    assert not test.warning
    test.selectbox(key="item").set_value(3).run()
    assert test.get("image")


@pytest.mark.parametrize("address", ["nothing-here", "../../etc/passwd", "<script>", "a" * 300])
def test_an_address_that_names_no_run_is_told(page: Page, run: Path, address: str) -> None:
    test = page(EXPLORE, run=address)
    assert not test.exception
    assert not test.error
    assert "not here" in test.warning[0].value


def test_an_address_with_nonsense_shows_the_usual_view(page: Page, run: Path) -> None:
    test = page(EXPLORE, method="som", dimensions="7", space="%", color="<b>", find="", training="maybe", x="y")
    sound(test)
    assert test.segmented_control(key="method").value == "tsne"


def test_a_run_without_a_map_leads_to_its_own_page(page: Page, run: Path) -> None:
    (run / "map.json").unlink()
    for address in ({}, {"run": run.name}):
        test = page(EXPLORE, **address)
        sound(test)
        assert "map" in test.info[0].value


@pytest.mark.parametrize(
    "broken", ["run.json", "config.json", "map.json", "map.safetensors", "probe.safetensors", "evolution.safetensors"]
)
@pytest.mark.parametrize("how", ["half", "gone", "other"])
def test_a_broken_folder_is_one_sentence(page: Page, run: Path, broken: str, how: str) -> None:
    content = (run / broken).read_bytes()
    if how == "gone":
        (run / broken).unlink()
    else:
        (run / broken).write_bytes(content[: len(content) // 2] if how == "half" else b'{"unknown": 1}\n')
    test = page(EXPLORE, run=run.name)
    assert not test.exception
    assert not any(BROKE in error.value for error in test.error)


def test_an_address_has_classes_and_an_item(page: Page, run: Path) -> None:
    test = page(EXPLORE)
    classes, item = test.multiselect(key="classes").options[:2], test.selectbox(key="item").options[3]
    test = page(EXPLORE, run=run.name, classes=classes, item=item)
    sound(test)
    assert test.multiselect(key="classes").value == classes
    assert test.selectbox(key="item").value == 3
    test = page(EXPLORE, run=run.name, classes=["no class"], item="none of them")
    sound(test)
    assert test.multiselect(key="classes").value == []
    assert test.selectbox(key="item").value is None


@pytest.mark.parametrize(
    ("asked", "count"),
    [("0-2,5", 4), ("5,5,4-5", 2), ("7-3", 0), ("0-999999999", None), ("x,-1,²,1e3,0x1", 0), ("", 0)],
)
def test_the_items_in_the_address_are_chosen_and_nonsense_is_passed_over(
    page: Page, run: Path, asked: str, count: int | None
) -> None:
    test = page(EXPLORE, chosen=asked)
    sound(test)
    said = [one.value for one in test.subheader]
    items = len(test.selectbox(key="item").options)
    expected = items if count is None else count
    assert (f"{expected} items chosen" in said) == bool(expected)
    if not expected:
        assert not any("chosen" in words for words in said)


def test_of_another_run_no_items_are_chosen(page: Page, run: Path, runs: Path) -> None:
    shutil.copytree(run, runs / "other")
    test = page(EXPLORE, run=run.name, chosen="1-3")
    assert "3 items chosen" in [one.value for one in test.subheader]
    test.selectbox(key="explored-run").set_value("other").run()
    sound(test)
    assert not any("chosen" in one.value for one in test.subheader)
    assert "chosen" not in test.query_params


@given(numbers=st.sets(st.integers(0, 60)), below=st.integers(0, 70))
def test_numbers_survive_the_address(numbers: set[int], below: int) -> None:
    assert split_numbers(join_numbers(numbers), below) == sorted(one for one in numbers if one < below)
