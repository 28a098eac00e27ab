"""Explored recordings of different lengths, and training items beside held-out ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cpc_engine.evaluation.metrics import encode
from cpc_engine.maps.exploration import Exploration
from cpc_engine.storage.folder import RunFolder

pytest_plugins = ["tests.support.explored", "tests.support.recorded"]


def test_what_is_told_of_a_recording_is_of_its_own_windows(recordings: RunFolder) -> None:
    explored = Exploration(recordings)
    assert explored.data is not None
    test = explored.data.test
    assert test.lengths is not None
    assert len(set(test.lengths.tolist())) == 2
    windows = encode(explored.model, test)["audio"]
    encoding = windows.encoding
    cosines = torch.cat(
        [torch.cosine_similarity(vectors, encoding.futures(k), dim=2) for k, vectors in encoding.predictions.items()], 1
    )
    nearest = encoding.predictions[min(encoding.predictions)].mean(1)
    for row in range(len(test)):
        own = windows.items == row
        assert explored.agreement[row] == pytest.approx(float(cosines[own].mean()), abs=1e-5)
        expected = nearest[own].mean(0).numpy()
        np.testing.assert_allclose(explored.features("predictions")[row], expected, atol=1e-5)
        features = explored.model.features["audio"](test.recording(row)[None])
        latents = explored.model.encode("audio", features).shape[1]
        assert len(explored.trajectory(row)) == latents, "as long as the recording, without padding"


@pytest.mark.parametrize("pairs", [False, True])
def test_every_training_item_has_its_own_name(pairs: bool, recordings: RunFolder, keypad: Path) -> None:
    explored = Exploration(RunFolder(keypad) if pairs else recordings, training=True)
    items = explored.items
    lengths = [len(column) for column in (items.labels, items.rows, items.modalities, items.splits, items.names)]
    assert lengths == [len(items)] * 5
    assert set(items.splits) == {"train", "test"}
    for index in range(len(items)):
        split, row, _ = explored.item(index)
        assert items.names[index] == split.names[row]
        assert items.labels[index] == split.labels[row]
