"""The Train page without a browser: settings of an address and of the form, data, device, time, and several seeds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cpc_engine import manager_for
from cpc_engine.datasets import DATASETS, own_settings
from cpc_engine.storage.folder import RunFolder
from tests.support.pages import SMALL, links, open_page
from tests.support.tiny import wait_until

pytest_plugins = ["tests.support.pages"]


def test_an_address_sets_the_settings_and_a_wrong_one_is_left_out(runs: Path) -> None:
    wrong = ["sampler.sigmo=1", "optimizer.batch_size=-4", "x"]
    test = open_page(
        "pages/train.py", preset="chirps", set=["sampler.sigma=0.25", *wrong], settings="sampler.cross_modal"
    )
    assert not test.exception
    assert test.session_state["draft"] == {"preset": "chirps", "changes": {"sampler.sigma": 0.25}}
    assert test.number_input(key="train:sampler.sigma").value == 0.25
    test.button(key="reset:train:sampler.sigma").click().run()
    assert test.session_state["draft"]["changes"] == {}
    assert test.toggle(key="train:sampler.cross_modal").disabled, "no effect on data of one modality"
    test = open_page("pages/train.py", preset="chirps", set="sampler.cross_modal=true")
    assert test.button(key="start").disabled, "these data have one modality only"
    test.button(key="undo-all").click().run()
    assert not test.button(key="start").disabled


def test_all_settings_are_drawn_once_they_are_opened(runs: Path) -> None:
    test = open_page("pages/train.py")
    assert "group" not in [box.key for box in test.selectbox], "they would slow down every edit"
    test.session_state["every-setting"] = True
    test.run()
    assert not test.exception
    assert test.selectbox(key="group").value == "Negatives"
    test.toggle(key="train:sampler.perturbed").set_value(True).run()
    assert test.session_state["draft"]["changes"] == {"sampler.perturbed": True}
    assert test.toggle(key="train:sampler.perturbed").value, "they stay open"


def test_settings_are_kept_across_pages_and_the_address_tells_them_again(runs: Path) -> None:
    test = open_page("pages/train.py", preset="chirps", set=["sampler.sigma=0.25"])
    for page in ("pages/runs.py", "pages/compare.py"):
        test.switch_page(page).run()
        assert not test.exception
    test.query_params.clear()
    test.switch_page("pages/train.py").run()
    assert not test.exception
    assert test.session_state["draft"] == {"preset": "chirps", "changes": {"sampler.sigma": 0.25}}
    assert (test.query_params["preset"], test.query_params["set"]) == ("chirps", "sampler.sigma=0.25")


def test_a_preset_without_changes_is_kept_across_pages_too(runs: Path) -> None:
    test = open_page("pages/train.py", preset="chirps")
    test.switch_page("pages/runs.py").run()
    test.query_params.clear()
    test.switch_page("pages/train.py").run()
    assert not test.exception
    assert test.session_state["draft"] == {"preset": "chirps", "changes": {}}
    assert "".join(test.query_params["preset"]) == "chirps"


def test_one_click_follows_the_advice_of_a_warning(runs: Path) -> None:
    test = open_page("pages/train.py", preset="tones", set=["sampler.queue_size=4096", "sampler.key_momentum=0"])
    [advised] = [button for button in test.button if button.label.startswith("Use ")]
    assert advised.label == "Use Momentum encoder (MoCo m) 0.98"
    advised.click().run()
    assert not test.exception
    assert test.session_state["draft"]["changes"] == {"sampler.queue_size": 4096, "sampler.key_momentum": 0.98}
    assert "sampler.key_momentum=0.98" in test.query_params["set"]
    assert not [button for button in test.button if button.label.startswith("Use ")]


def test_an_old_address_of_the_train_page_is_understood(runs: Path) -> None:
    test = open_page(
        "pages/train.py", preset="seed_tones", set=["optimiser.steps=5", "audio.centre=true", "sampler.sigma=0.2"]
    )
    assert not test.exception
    assert not test.toast
    changes = {"optimizer.steps": 5, "audio.center": True, "sampler.sigma": 0.2}
    assert test.session_state["draft"] == {"preset": "reference_tones", "changes": changes}
    assert test.selectbox(key="preset").value == "reference_tones"
    assert not test.code, "a closed part is not drawn"
    test.session_state["command-line"] = True
    test.run()
    assert "--preset reference_tones --set" in test.code[0].value
    assert "optimizer.steps=5" in test.code[0].value
    test.query_params["preset"], test.query_params["set"] = "tones", "sampler.mode=seed"
    test.run()
    assert test.session_state["draft"] == {"preset": "tones", "changes": {"sampler.mode": "reference"}}


def test_settings_of_an_address_that_fit_only_together_are_taken_together(runs: Path) -> None:
    together = ["loss.temperature_min=1.0", "loss.temperature_max=3.0"]  # the default highest is 1.0
    test = open_page("pages/train.py", preset="tones", set=together)
    assert not test.exception
    assert not test.toast
    assert test.session_state["draft"]["changes"] == {"loss.temperature_min": 1.0, "loss.temperature_max": 3.0}


def test_settings_that_only_other_data_read_are_hidden(runs: Path) -> None:
    test = open_page("pages/train.py", settings="data.path")

    def shown() -> set[str]:
        boxes = (*test.selectbox, *test.text_input, *test.number_input, *test.toggle)
        return {box.key.removeprefix("train:") for box in boxes if box.key and box.key.startswith("train:data.")}

    assert {"data.dataset", "data.path", "data.train_items"} <= shown()
    assert not own_settings() & shown()
    test.selectbox(key="train:data.dataset").select("fsdd").run()
    assert not test.exception
    assert own_settings() & shown() == set(DATASETS["fsdd"].own_settings)
    test.selectbox(key="train:data.dataset").select("paired_folders").run()
    assert own_settings() & shown() == set(DATASETS["paired_folders"].own_settings)


@pytest.mark.parametrize(
    ("preset", "settings", "said"),
    [
        ("audio_folder", [], ["No folder is given"]),
        ("fsdd", ["data.path=/not/here"], ["The data are not in /not/here"]),
        ("fsdd", ["data.dataset=tones"], []),
    ],
)
def test_what_data_are_missing_is_said_once(runs: Path, preset: str, settings: list[str], said: list[str]) -> None:
    test = open_page("pages/train.py", preset=preset, set=settings)
    texts = [one.value for one in (*test.error, *test.warning, *test.info)]
    texts = [text for text in texts if "No folder" in text or "The data are" in text]
    assert [part in text for part, text in zip(said, texts, strict=True)] == [True] * len(said), texts
    assert test.button(key="start").disabled == bool(said)


@pytest.mark.parametrize("preset", ["fsdd", "cifar10"])
def test_data_that_are_not_here_are_fetched_or_named(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preset: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # where nothing was fetched
    test = open_page("pages/train.py", preset=preset)
    assert not test.exception
    assert "The data are not on this machine" in test.warning[0].value
    assert test.button(key="start").disabled
    assert test.button(key="download").label == f"Download ({DATASETS[preset].megabytes} MB)"
    test.button(key="download").click().run()
    assert not test.exception
    assert test.session_state["draft"]["changes"] == {"data.download": True}
    assert not test.button(key="start").disabled
    test.button(key="undo-all").click().run()
    test.text_input(key="own:data.path").input(f"{tmp_path}/none.npz").run()
    assert not test.exception
    assert test.button(key="start").disabled
    assert test.button(key="download").disabled == (preset == "cifar10"), "a named file is not fetched"
    assert not runs.exists(), "no run came of it"


def test_data_that_go_before_the_start_make_no_run(runs: Path, finished: Path) -> None:
    """The page of a run that has ended does not look at the data; Start does."""
    shutil.copytree(finished, runs / "one")
    settings = ["data.path=/not/here"]
    test = open_page("pages/train.py", run="one", preset="fsdd", set=settings)
    assert not test.exception
    test.button(key="start").click().run()
    assert not test.exception
    assert "The data are not in /not/here" in test.error[0].value
    assert [path.name for path in runs.iterdir()] == ["one"]


def test_a_device_is_chosen_and_forgotten(runs: Path) -> None:
    test = open_page("pages/train.py", settings="run.device")
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
    test = open_page("pages/train.py", preset="tones", set=[f"{path}={value}" for path, value in SMALL.items()])
    test.button(key="measure").click().run(timeout=120)
    assert not test.exception
    assert any("by a few steps that were measured" in one.value for one in test.markdown)
    assert not runs.exists(), "no run came of it"


def test_several_seeds_wait_in_line_and_can_be_held_still(runs: Path) -> None:
    test = open_page(
        "pages/train.py",
        preset="tones",
        set=[f"{path}={value}" for path, value in (SMALL | {"optimizer.steps": 100_000}).items()],
    )
    test.number_input(key="count").set_value(3).run()
    test.button(key="start").click().run()
    assert not test.exception
    configs = [RunFolder(path).config() for path in runs.iterdir()]
    assert sorted(config.run.seed for config in configs) == [0, 1, 2]
    shown = "".join(test.query_params["runs"])
    assert set(shown.split(",")) == {path.name for path in runs.iterdir()}, "one page shows them all"
    first = manager_for(runs).active()[0]
    wait_until(lambda: manager_for(runs).progress_of(first).status == "running", "the first run to begin")
    test.switch_page("pages/compare.py").run()
    waiting = [label for label in links(test) if "in line" in label]
    assert [label.partition(" · ")[2][:16] for label in waiting] == ["number 1 in line", "number 2 in line"]
    assert all(label.endswith(" · in this app") for label in waiting)
    test.toggle(key="held").set_value(True).run()
    assert not test.exception
    test.switch_page("pages/runs.py").run()
    assert test.toggle(key="held").value, "on every page"
    for run in manager_for(runs).active():
        manager_for(runs).stop(run)
    wait_until(lambda: not manager_for(runs).active(), "the runs to end")
