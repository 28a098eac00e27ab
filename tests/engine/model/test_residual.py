"""The residual encoder and its first layer: against a slow implementation, for inputs of any size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from cpc_engine.config import ImageConfig, RunConfig
from cpc_engine.model.dictionary import SIDE, STRIDE, Dictionary
from cpc_engine.model.frontends import ImageFeatures
from cpc_engine.model.patches import fit_patches
from cpc_engine.model.residual import ResidualEncoder
from cpc_engine.training.initial import new_model
from tests.support.tiny_data import TINY, dataset


@pytest.fixture(autouse=True)
def _few_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cpc_engine.model.patches.SAMPLED", 2000)


def maps(count: int, channels: int = 2, side: int = 11) -> Tensor:
    smooth = torch.randn(count, channels, side, side, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.avg_pool2d(smooth, 3, 1, 1) * 2 + 0.3


def test_the_first_layer_projects_whitened_patches_on_directions() -> None:
    x = maps(60)
    layer = Dictionary(2, directions=5, floor=0.05)
    layer.fit(lambda rows: x[rows], 60, seed=3)
    patches = fit_patches(lambda rows: x[rows], 60, (SIDE, SIDE), 0.05, 3, 5)
    directions = patches.centroids.numpy() / np.linalg.norm(patches.centroids.numpy(), axis=1, keepdims=True)
    plain = np.zeros((60, 5, 3, 3))
    for item in range(60):
        for row in range(3):
            for column in range(3):
                top, left = row * STRIDE, column * STRIDE
                patch = x[item, :, top : top + SIDE, left : left + SIDE].numpy().flatten()
                patch = (patch - patch.mean()) / np.sqrt(patch.var() + 0.05)
                white = (patch - patches.mean.numpy()) @ patches.whitening.numpy()
                plain[item, :, row, column] = np.maximum(0, directions @ white)
    expected = plain / plain.std(axis=(0, 2, 3), keepdims=True, ddof=1)
    np.testing.assert_allclose(layer(x).numpy(), expected, atol=2e-4)


def test_brightness_and_contrast_of_a_patch_change_little() -> None:
    x = maps(60)
    layer = Dictionary(2, directions=5, floor=1e-6)
    layer.fit(lambda rows: x[rows], 60, seed=0)
    torch.testing.assert_close(layer(3 * x + 7), layer(x), atol=2e-3, rtol=2e-3)


def test_a_network_has_the_first_layer_of_its_data_and_seed() -> None:
    data = dataset(audio=True, image=True)
    changes = {"audio.encoder": "residual", "image.encoder": "residual", "audio.directions": 8, "image.directions": 8}
    config = RunConfig().replace({**TINY, **changes})
    first, again, other = (new_model(config.replace({"run.seed": seed}), data) for seed in (0, 0, 1))
    for modality in ("audio", "image"):
        layers = [model.encoders[modality].encoder.first for model in (first, again, other)]
        assert torch.equal(layers[0].filters, layers[1].filters)
        assert not torch.equal(layers[0].filters, layers[2].filters)
        features = first.features[modality](data.train.values(modality))
        features = features if modality == "image" else features[:, None]
        spread = layers[0](features).std((0, 2, 3))
        assert ((spread > 0.5) & (spread < 2)).all()
        assert not any("first" in name for name, _ in first.encoders[modality].named_parameters())


@pytest.mark.parametrize("side", [24, 32, 45])
def test_pictures_of_any_size_have_one_grid(side: int) -> None:
    encoder = ResidualEncoder(3, width=16, directions=8, floor=0.01, dim=4, grid=3).eval()
    encoded = encoder(torch.randn(2, 3, side, side))
    assert encoded.latents.shape == (2, 9, 4)
    assert encoded.summary is not None
    assert encoded.first is not None
    assert (encoded.summary.shape, encoded.first.shape) == ((2, 48), (2, 32))
    mean, _, spread = encoded.summary.split(16, 1)
    assert (mean >= 0).all()
    assert (spread >= 0).all()


@pytest.mark.parametrize("frames", [51, 101, 202])
def test_sounds_have_the_latents_that_the_settings_say(frames: int) -> None:
    config = RunConfig().replace({"audio.encoder": "residual"}).audio
    encoder = ResidualEncoder(1, width=16, directions=8, floor=0.1, dim=4, grid=None, bands=64)
    assert encoder(torch.randn(2, 1, 64, frames)).latents.shape == (2, config.latents(frames), 4)


def test_views_are_cut_out_at_whole_pixels() -> None:
    config = ImageConfig(
        size=32, encoder="residual", view_share=0.75, crop=0, flip=False, jitter=0, color_drop=0, grid=3
    )
    pictures = torch.randint(0, 256, (40, 3, 32, 32), dtype=torch.uint8)
    generator = torch.Generator().manual_seed(0)
    views = ImageFeatures(config)(pictures, generator) * 0.25 + 0.5
    assert views.shape == (40, 3, 24, 24)
    places = set()
    for picture, view in zip(pictures, views, strict=True):
        windows = (picture.float() / 255).unfold(1, 24, 1).unfold(2, 24, 1)  # (3, 9, 9, 24, 24)
        errors = (windows - view[:, None, None]).abs().amax((0, 3, 4))
        assert errors.min() < 1e-3
        places.add(int(errors.argmin()))
    assert len(places) > 15
    assert max(place // 9 for place in places) == max(place % 9 for place in places) == 8
    assert min(place // 9 for place in places) == min(place % 9 for place in places) == 0
