"""Where items lie at each kept step: PCA as a library has it, and any item placed where it would be fitted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from cpc_engine.anatomy.opened import Opened
from cpc_engine.anatomy.places import contexts, places
from cpc_engine.evaluation.embed import embed
from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.tiny import tiny


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> list[Opened]:
    folder = RunFolder.create(tmp_path_factory.mktemp("placed"), tiny(data__dataset="keypad", optimizer__steps=12))
    assert execute(folder, Control()).status == "finished"
    now = Opened(folder)
    return [now.at(2), now.at(8), now]


@pytest.mark.parametrize("modality", ["audio", "image"])
def test_contexts_are_those_of_the_probes(steps: list[Opened], modality: str) -> None:
    rows = [0, 3, steps[0].training_items + 1]
    for opened in steps:
        expected = embed(opened.trainer.model, opened.items.take(torch.tensor(rows)))[modality].mean_context  # type: ignore[index]
        expected = torch.nn.functional.normalize(expected, dim=1)
        assert contexts(opened, modality, rows) == pytest.approx(expected.numpy(), abs=1e-5)  # type: ignore[arg-type]


def test_every_step_is_its_own_pca_turned_onto_the_one_before(steps: list[Opened]) -> None:
    found = places(steps, "audio", count=20)
    assert found.layouts.shape == (3, 20, 2)
    assert len(set(found.rows.tolist())) == 20
    before = None
    for opened, layout in zip(steps, found.layouts, strict=True):
        plain = PCA(2).fit_transform(contexts(opened, "audio", found.rows.tolist()))
        between = [np.linalg.norm(each[:, None] - each[None], axis=2) for each in (layout, plain)]
        assert between[0] == pytest.approx(between[1], abs=1e-6), "turned or mirrored, never stretched"
        if before is not None:
            angles = np.linspace(0, 2 * np.pi, 721)
            turns = [np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) for a in angles]
            turns += [turn @ np.diag([1, -1]) for turn in turns]
            best = min(float(((plain @ turn - before) ** 2).sum()) for turn in turns)
            assert float(((layout - before) ** 2).sum()) <= best + 1e-9
        before = layout


def test_an_item_of_the_map_is_placed_on_its_own_point_and_others_anywhere(steps: list[Opened]) -> None:
    found = places(steps, "image", count=20)
    assert found.way(int(found.rows[7])) == pytest.approx(found.layouts[:, 7], abs=1e-5)
    assert found.way(0).shape == (3, 2)
    assert np.isfinite(found.way(0)).all()
