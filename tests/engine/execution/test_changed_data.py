"""A folder of data that changed since training: nothing measures held-out items that the run has learned from."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cpc_engine as cpc
from cpc_engine.anatomy.opened import Opened
from cpc_engine.data import load_dataset
from cpc_engine.errors import DataError
from cpc_engine.execution.execute import execute
from cpc_engine.exports.embeddings import collect_embeddings
from cpc_engine.maps.exploration import Exploration
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.tiny import tiny

MEASURE: dict[str, Callable[[RunFolder], Any]] = {
    "evaluate": lambda folder: cpc.open(folder.path).evaluate(),
    "embed": lambda folder: cpc.open(folder.path).embed("test"),
    "export": collect_embeddings,
    "explore": lambda folder: Exploration(folder, training=True),
    "open a step": Opened,
}


def noise(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(path)


def trained(root: Path, steps: int = 3, stop_at: int = 0, **changes: Any) -> tuple[RunFolder, Path]:
    """A run of pictures, stopped after a step if one is given, and the folder of its pictures."""
    data = root / "pictures"
    for title in "ab":
        for number in range(20):
            noise(data / title / f"{number}.png", number + 100 * ord(title))
    usual: dict[str, Any] = {"data__dataset": "image_folder", "optimizer__batch_size": 8}
    config = tiny(**usual | changes, data__path=str(data), optimizer__steps=steps)
    folder, control = RunFolder.create(root / "runs", config), Control()

    def observe(observed: object) -> None:
        if isinstance(observed, dict) and observed["step"] == stop_at:
            control.stop()

    assert execute(folder, control, observe).status == ("stopped" if stop_at else "finished")
    return folder, data


def add(data: Path) -> None:
    noise(data / "a" / "new.png", 7)


def remove(data: Path) -> None:
    for number in range(4, 9):
        (data / "b" / f"{number}.png").unlink()


def rename(data: Path) -> None:
    for number in range(0, 20, 2):
        (data / "b" / f"{number}.png").rename(data / "b" / f"x{number}.png")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, Path]:
    folder, data = trained(tmp_path_factory.mktemp("measured"))
    for measure in MEASURE.values():
        measure(folder)
    return folder, data


@pytest.fixture
def measured(made: tuple[RunFolder, Path], tmp_path: Path) -> Iterator[tuple[RunFolder, Path]]:
    """A run that everything has measured, and its pictures, which are put back after the test."""
    folder, data = made
    kept = shutil.copytree(data, tmp_path / "kept")
    yield folder, data
    shutil.rmtree(data)
    shutil.copytree(kept, data)


@pytest.mark.parametrize("change", [add, remove, rename])
def test_what_measures_items_refuses_other_items(
    change: Callable[[Path], None], measured: tuple[RunFolder, Path]
) -> None:
    folder, data = measured
    learned = set(load_dataset(folder.config()).train.names)
    change(data)
    if change is add:
        assert learned & set(load_dataset(folder.config()).test.names), "no leak would have been found"
    for name, measure in MEASURE.items():
        with pytest.raises(
            DataError, match=r"changed since training.*put the files back as they were, or train"
        ) as told:
            measure(folder)
        assert "\n" not in str(told.value), name
    assert "changed since training" in Exploration(folder).missing


def test_the_difference_is_named(tmp_path: Path) -> None:
    folder, data = trained(tmp_path)
    items = load_dataset(folder.config())
    rename(data)
    with pytest.raises(DataError, match=r"\(other train items, other validation items, other test items\)"):
        cpc.open(folder.path).evaluate()
    for path in data.glob("b/x*.png"):
        path.rename(path.with_name(path.name[1:]))
    assert cpc.open(folder.path).evaluate().document["test_items"] == len(items.test)  # put back as they were
    for name in "cde":
        noise(data / "a" / f"{name}.png", ord(name))
    with pytest.raises(DataError, match=rf"\d+ train items instead of {len(items.train)}"):
        cpc.open(folder.path).evaluate()


@pytest.mark.parametrize("change", [add, remove, rename])
def test_a_run_does_not_go_on_with_other_items(change: Callable[[Path], None], tmp_path: Path) -> None:
    folder, data = trained(tmp_path, steps=6, stop_at=3)
    facts = folder.facts()
    kept = {path: path.read_bytes() for path in data.glob("*/*")}
    change(data)
    state = execute(folder, Control(), resume=True)
    assert state.status == "failed"
    assert not state.unexpected
    assert "changed since training" in state.message
    assert folder.facts() == facts
    for path in data.glob("*/*"):
        path.unlink()
    for path, content in kept.items():
        path.write_bytes(content)
    assert execute(folder, Control(), resume=True).status == "finished"


def test_a_run_that_has_made_no_step_begins_with_what_is_there(tmp_path: Path) -> None:
    folder, data = trained(tmp_path)
    (folder.path / "checkpoint.safetensors").unlink()
    add(data)
    assert execute(folder, Control(), resume=True).status == "finished"


def test_runs_of_earlier_versions_are_known_by_their_counts(tmp_path: Path) -> None:
    folder, data = trained(tmp_path)
    facts = {key: value for key, value in folder.facts().items() if key != "digests"}
    folder.update(data=facts)
    cpc.open(folder.path).evaluate()
    remove(data)
    with pytest.raises(DataError, match="instead of"):
        cpc.open(folder.path).evaluate()
    folder.update(data={key: value for key, value in facts.items() if key != "items"})
    cpc.open(folder.path).embed("test")


@pytest.mark.parametrize("lie", ["other classes", "one of them"])
def test_data_are_found_where_they_are_now_whatever_lies_at_the_old_place(tmp_path: Path, lie: str) -> None:
    folder, data = trained(tmp_path, stop_at=2, data__classes=["a", "b"], run__checkpoint_every=1)
    run, moved = cpc.open(folder.path), data.rename(tmp_path / "moved")
    for number in range(20):
        noise(data / ("c" if lie == "other classes" else "a") / f"{number}.png", number)
        noise(data / "d" / f"{number}.png", number)
    run.locate_data(str(moved))
    for measure in MEASURE.values():
        measure(folder)
    shutil.rmtree(moved)
    with pytest.raises(DataError, match=f"no such folder: {moved}"):
        run.embed()


WHERE = {"cifar10": "cifar10_two_class.npz", "fsdd": "fsdd"}  # below the folder of real data


@pytest.mark.parametrize(
    "folder", sorted(Path(__file__).parents[3].glob("checkpoints/example-*")), ids=lambda path: path.name
)
def test_shipped_examples_know_their_items(folder: Path, request: pytest.FixtureRequest) -> None:
    run = cpc.open(folder.resolve())
    place = WHERE.get(run.config.data.dataset)
    data = None if place is None else str(request.getfixturevalue("shared") / "data" / place)
    assert len(run.embed("test", data=data)[0])
