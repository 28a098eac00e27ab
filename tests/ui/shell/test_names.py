"""One name for a run on every page, and what tells runs of one name apart."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cpc_engine import RunConfig
from cpc_engine.comparison.names import shown_name
from cpc_engine.storage.folder import RunFolder
from tests.support.pages import open_page
from ui.shell.names import name_of, names_of

pytest_plugins = ["tests.support.pages"]


def make(root: Path, changes: dict[str, object]) -> RunFolder:
    return RunFolder.create(root, RunConfig().replace(changes))


def test_runs_of_one_name_are_told_apart_by_what_differs(runs: Path) -> None:
    queue = make(runs, {"run.name": "Mine", "sampler.queue_size": 512, "run.device": "cpu"})
    plain = make(runs, {"run.name": "Mine", "sampler.queue_size": 0})
    other = make(runs, {"run.name": "Another"})
    infos = [folder.info() for folder in (queue, plain, other)]
    assert names_of(infos) == {
        queue.id: "Mine · Queue size 512",
        plain.id: "Mine · Queue size 0",
        other.id: "Another",
    }
    assert names_of(infos[1:]) == {plain.id: "Mine", other.id: "Another"}, "alone it needs no more"


def test_repetitions_are_told_apart_by_their_seeds_and_copies_by_their_ids(runs: Path) -> None:
    first, second = (make(runs, {"run.name": "Mine", "run.seed": seed}) for seed in (0, 1))
    assert set(names_of([first.info(), second.info()]).values()) == {"Mine · seed 0", "Mine · seed 1"}
    copy = make(runs, {"run.name": "Mine", "run.seed": 1})
    names = names_of(folder.info() for folder in (first, second, copy))
    assert len(set(names.values())) == 3
    assert names[copy.id] == f"Mine · seed 1 · {copy.id[-6:]}"


def test_a_run_that_is_renamed_or_damaged_is_named_too(runs: Path) -> None:
    folder = make(runs, {"sampler.queue_size": 512})
    assert name_of(folder.info()) == shown_name(folder.config())
    assert "Queue size 512" in name_of(folder.info())
    (folder.path / "config.json").write_text("{")
    folder.update(steps_done=1)
    assert name_of(folder.info()) == folder.id


@pytest.mark.parametrize("name", ["", "My run"])
def test_every_page_shows_the_same_name(name: str, runs: Path, finished: Path) -> None:
    shutil.copytree(finished, runs / finished.name)
    folder = RunFolder(runs / finished.name)
    if name:
        folder.rename(name, "")
    expected = name_of(folder.info())
    assert expected == (name or shown_name(folder.config()))
    train = open_page("pages/train.py", run=folder.id)
    assert train.title[0].value == f"Training: {expected}".replace(":", "\\:").replace("Training\\:", "Training:")
    for page, key in {
        "pages/explore.py": "explored-run",
        "pages/place.py": "explored-run",
        "pages/negatives.py": "negatives-run",
    }.items():
        assert open_page(page, run=folder.id).selectbox(key=key).options == [expected], page
    table = open_page("pages/runs.py").dataframe[0].value
    assert table["Run"].tolist() == [expected]
    compare = open_page("pages/compare.py", runs=folder.id)
    assert compare.multiselect(key="compare-runs").options == [expected]
