"""Tests of the baselines: k-means patches against a slow implementation, and the features of each baseline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from cpc_engine.config import RunConfig
from cpc_engine.data import load_dataset
from cpc_engine.data.dataset import Split
from cpc_engine.evaluation import baselines
from cpc_engine.evaluation.baselines import BASELINES, _segments, baseline_rows, raw_features
from cpc_engine.model import patches as module
from cpc_engine.model.frontends import AudioFeatures
from cpc_engine.model.patches import Patches, encode_items, fit_patches
from tests.support.tiny import tiny
from tests.support.tiny_data import TINY, dataset


def slow_encode(patches: Patches, item: np.ndarray) -> np.ndarray:
    """Triangle activations (k, rows, columns) of one item (C, H, W), one patch and centroid at a time."""
    (high, wide), (_, height, width) = patches.size, item.shape
    out = np.zeros((len(patches.centroids), height - high + 1, width - wide + 1))
    for row in range(out.shape[1]):
        for column in range(out.shape[2]):
            patch = item[:, row : row + high, column : column + wide].flatten()
            patch = (patch - patch.mean()) / np.sqrt(patch.var() + patches.floor)
            white = (patch - patches.mean.numpy()) @ patches.whitening.numpy()
            distances = np.array([np.linalg.norm(white - centroid) for centroid in patches.centroids.numpy()])
            out[:, row, column] = np.maximum(0, distances.mean() - distances)
    return out


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few centroids and patches."""
    monkeypatch.setattr(baselines, "CENTROIDS", 5)
    monkeypatch.setattr(module, "SAMPLED", 600)


def maps_reader(maps: Tensor) -> module.Reader:
    return lambda rows: maps[rows]


@pytest.mark.usefixtures("small")
def test_encoding_equals_the_slow_reference() -> None:
    maps = torch.randn(70, 2, 7, 6, generator=torch.Generator().manual_seed(0))
    patches = fit_patches(maps_reader(maps), 70, (3, 2), 0.1, seed=1, centroids=5)
    assert patches.centroids.shape == (5, 12)
    expected = np.stack([slow_encode(patches, item) for item in maps[:3].numpy()])
    np.testing.assert_allclose(patches.encode(maps[:3]).numpy(), expected, atol=1e-5)
    pooled, cells = encode_items(patches, maps_reader(maps), 70, ((1, 1), (1, 5)))
    np.testing.assert_allclose(pooled[:3].numpy(), expected.mean((2, 3)), atol=1e-5)
    np.testing.assert_allclose(cells[:3].numpy().reshape(3, 5, 5), expected.mean(2), atol=1e-5)
    assert len(pooled) == 70  # more than are read at once


@pytest.mark.usefixtures("small")
def test_whitened_patches_have_no_common_direction() -> None:
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(9, 9, generator=generator)
    maps = (torch.randn(400, 9, generator=generator) @ mixing).view(400, 1, 3, 3)
    patches = fit_patches(maps_reader(maps), 400, (3, 3), 0.1, seed=0, centroids=5)
    normal = maps.flatten(1) - maps.flatten(1).mean(1, keepdim=True)
    normal = normal / (normal.square().mean(1, keepdim=True) + 0.1).sqrt()
    spread = torch.linalg.eigvalsh(torch.cov(((normal - patches.mean) @ patches.whitening).T))
    before = torch.linalg.eigvalsh(torch.cov(normal.T))
    # The mean was subtracted, so the first direction has no variance.
    assert before[-1] / before[1] > 20 > 3 > spread[-1] / spread[3]
    assert spread[-1] < 1.1


@pytest.mark.usefixtures("small")
def test_seed_determines_the_dictionary() -> None:
    maps = torch.randn(50, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    first, repeated, other = (fit_patches(maps_reader(maps), 50, (2, 2), 0.1, seed, 5).centroids for seed in (0, 0, 1))
    assert torch.equal(first, repeated)
    assert not torch.equal(first, other)


@pytest.mark.usefixtures("small")
def test_baselines_of_paired_data_are_named_and_repeatable() -> None:
    data = dataset(audio=True, image=True)
    config = RunConfig().replace(TINY | {"evaluation.strengths": [0.1]})
    rows = torch.arange(len(data.train))
    found = baseline_rows(data, config, rows)
    accuracies = {name: row.accuracy for name, row in found.items()}
    for row in found.values():
        assert len(row.correct) == len(data.test)
        assert row.accuracy == row.correct.count("1") / len(data.test)
    audio = ["log_mel", "log_mel_segments", "kmeans_global", "kmeans_segments"]
    image = ["pixels", "kmeans_global", "kmeans_quarters"]
    assert list(accuracies) == [f"audio.{name}" for name in audio] + [f"image.{name}" for name in image]
    assert set(audio) | set(image) == set(BASELINES)
    assert accuracies["audio.log_mel"] == accuracies["image.pixels"] == 1  # two pitches, two patterns
    assert baseline_rows(data, config, rows) == found


def test_segments_are_means_over_equal_stretches_of_time() -> None:
    config = tiny()
    front = AudioFeatures(config.audio)
    split = load_dataset(config).test
    bands = front.log_mel(split.audio.float() / 32768)
    features = _segments(split, front)
    assert features.shape == (len(split), 32 * 8)
    first = bands[0, 3, : -(-bands.shape[2] // 8)].mean()
    assert features[0].view(32, 8)[3, 0] == pytest.approx(first.item(), abs=1e-5)
    assert raw_features("audio", split, front).shape == (len(split), 64)


def test_log_mel_is_that_of_the_whole_recording() -> None:
    """As a user would compute it from the file, whatever length of clip the network reads."""
    front = AudioFeatures(RunConfig().replace(TINY).audio)
    draw = torch.Generator().manual_seed(0)
    lengths = torch.tensor([2000, 5000, 9000])
    audio = torch.zeros(3, 9000, dtype=torch.int16)
    for row, length in enumerate(lengths.tolist()):
        audio[row, :length] = torch.randint(-9000, 9000, (length,), generator=draw) * torch.linspace(0, 1, length)
    split = Split(audio, None, torch.zeros(3).long(), ("a", "b", "c"), ("a", "b", "c"), lengths)
    features, segments = raw_features("audio", split, front), _segments(split, front)
    for row, length in enumerate(lengths.tolist()):
        bands = front.log_mel(audio[row : row + 1, :length] / 32768)[0]
        torch.testing.assert_close(features[row], torch.cat([bands.mean(1), bands.std(1)]))
        torch.testing.assert_close(segments[row].view(16, 8)[:, -1], bands[:, bands.shape[1] * 7 // 8 :].mean(1))


@pytest.mark.slow
def test_baselines_of_photographs_reach_published_accuracies(shared: Path) -> None:
    config = RunConfig().replace(
        {
            "data.dataset": "cifar10",
            "data.path": str(shared / "data" / "cifar10_two_class.npz"),
            "data.train_items": 1200,
            "data.test_items": 500,
        }
    )
    data = load_dataset(config)
    found = baseline_rows(data, config, torch.arange(len(data.train)))
    accuracies = {name: row.accuracy for name, row in found.items()}
    assert accuracies["pixels"] > 0.79
    assert accuracies["kmeans_global"] > 0.83
    assert accuracies["kmeans_quarters"] > 0.88
