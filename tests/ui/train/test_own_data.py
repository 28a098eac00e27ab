"""One's own data on the Train page: from an upload to a run, and what is told before there is any."""

from __future__ import annotations

from pathlib import Path

import pytest

from cpc_engine import manager_for
from cpc_engine.presets import preset
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.listing import list_runs
from tests.engine.execution.test_own_data import two_classes, zipped
from tests.support.data_files import write_image
from tests.support.pages import SMALL, open_page
from tests.support.tiny import wait_until
from ui.train.own_data import look

pytest_plugins = ["tests.support.pages"]

OWN = {path: value for path, value in SMALL.items() if not path.startswith("data.")} | {"evaluation.items": 16}


def test_from_a_zip_to_a_run(runs: Path) -> None:
    test = open_page("pages/train.py")
    assert not test.exception
    content = zipped(two_classes(64) | {"notes.txt": b"?"}).getvalue()
    test.file_uploader(key="upload").set_value(("mine.zip", content, "application/zip")).run()
    assert not test.exception
    assert not test.error
    assert test.selectbox(key="preset").value == "audio_folder"
    said = [one.value for one in (*test.markdown, *test.caption)]
    assert any(text.startswith("**2 classes**") for text in said)
    assert any("notes.txt" in text for text in said)
    for path, value in OWN.items():
        test.session_state["draft"]["changes"][path] = value
    test.run()
    test.button(key="start").click().run()
    assert not test.exception
    [run] = [info.id for info in list_runs(runs)]
    wait_until(lambda: not manager_for(runs).active(), "the run to end", 120)
    assert RunFolder(runs / run).info().status == "finished"


def test_the_preview_tells_what_the_run_will_do(runs: Path, tmp_path: Path) -> None:
    for name, content in two_classes(14).items():
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    own = {path: value for path, value in OWN.items() if path not in ("audio.clip_seconds", "audio.sample_rate")}
    own |= {"optimizer.batch_size": 64, "data.path": str(tmp_path / "mine"), "sampler.queue_size": 30}
    test = open_page("pages/train.py", preset="audio_folder", set=[f"{path}={value}" for path, value in own.items()])
    assert not test.exception
    said = " ".join(one.value for one in (*test.markdown, *test.warning))
    test.button(key="start").click().run()
    assert not test.error
    [run] = [info.id for info in list_runs(runs)]
    wait_until(lambda: not manager_for(runs).active(), "the run to end", 120)
    folder = RunFolder(runs / run)
    items = folder.info().data["items"]["train"]
    assert items < 64, "a batch has all of them"
    last = folder.records()[-1]["modalities"]["audio"]
    in_batch = last["sources"]["in_batch"]["count"]
    assert in_batch == items * last["latents_per_item"]
    assert f"**Sounds**: {last['latents_per_item'] + 1} latents per item" in said
    assert f"each against {in_batch + 30:,} candidates" in said
    assert f"{items} training items make less than two batches" in said


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.zip", b"no zip", "not a zip file"),
        ("a.zip", zipped({}).getvalue(), "no sounds and no pictures"),
        ("a.zip", zipped({"../out.wav": b"a"}).getvalue(), "leads out of it"),
    ],
)
def test_an_upload_that_is_refused_changes_nothing(runs: Path, name: str, content: bytes, words: str) -> None:
    test = open_page("pages/train.py")
    test.file_uploader(key="upload").set_value((name, content, "application/zip")).run()
    assert not test.exception
    assert words in test.error[0].value
    assert test.selectbox(key="preset").value == "tones"


def test_a_wrong_path_and_too_few_items_are_told_and_make_no_run(runs: Path, tmp_path: Path) -> None:
    for title in ("dog", "frog"):
        (tmp_path / "few" / title).mkdir(parents=True)
        (tmp_path / "few" / title / "1.wav").write_bytes(two_classes(1)[f"{title}/0.wav"])
    for path, words in (("/not/here", "o such folder"), (str(tmp_path / "few"), "too few items")):
        test = open_page("pages/train.py", preset="audio_folder", set=f"data.path={path}")
        assert not test.exception
        assert [words in one.value for one in test.error] == [True], [one.value for one in test.error]
        assert test.button(key="start").disabled
        said = [one.value for one in (*test.markdown, *test.caption)]
        assert not any("latents per item" in text for text in said), "what a step does is not known"
        assert any("once they can be read" in text for text in said)
        assert "in-batch" not in said
    assert not [path for path in runs.glob("*") if not path.name.startswith(".")]


@pytest.mark.parametrize("typed", ["{}", '"{}"', "file://{}"])
def test_a_look_at_folders_sees_what_changed_in_them(typed: str, tmp_path: Path) -> None:
    for title in ("cat", "dog"):
        for number in range(10):
            write_image(tmp_path / title / "inside" / f"{number}.png", 9 * number + 100 * (title == "dog"))
    config = preset("image_folder").config().replace({"data.path": typed.format(tmp_path)})
    first = look(config)
    assert first.items
    assert look(config).data is first.data, "nothing has changed"
    for title in ("cat", "dog"):
        for number in range(10, 14):
            write_image(tmp_path / title / "inside" / f"{number}.png", 9 * number + 100 * (title == "dog"))
    more = look(config)
    assert more.items
    assert more.items > first.items
    for number in range(1, 14):
        (tmp_path / "cat" / "inside" / f"{number}.png").unlink()
    assert "too few items of class 'cat'" in look(config).problem
