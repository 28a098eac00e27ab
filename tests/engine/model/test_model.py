"""Encoders and the network: shapes, and no leakage between positions or items."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cpc_engine.config import RunConfig
from cpc_engine.model import MultiModalCPC
from cpc_engine.terms import Modality

BASE = {"context.hidden_dim": 32, "context.latent_dim": 16, "audio.width": 16, "image.width": 16, "image.size": 64}


def network(modality: Modality, **changes: object) -> MultiModalCPC:
    torch.manual_seed(0)
    values = {**BASE, **{key.replace("__", "."): value for key, value in changes.items()}}
    return MultiModalCPC(RunConfig().replace(values), (modality,)).eval()


def affected_positions(model: MultiModalCPC, modality: Modality, features: Tensor, position: int) -> list[int]:
    """Positions of the latents that change with the input of the patch at `position`."""
    changed = features.clone()
    if modality == "audio":
        width = model.encoders["audio"].encoder.frames
        changed[:, :, position * width : (position + 1) * width] += 1
    else:
        patch = features.shape[-1] // model.encoders["image"].encoder.grid
        row, column = divmod(position, model.encoders["image"].encoder.grid)
        changed[:, :, row * patch : (row + 1) * patch, column * patch : (column + 1) * patch] += 1
    with torch.no_grad():
        difference = (model.encode(modality, features) - model.encode(modality, changed)).abs().amax((0, 2))
    return torch.nonzero(difference > 1e-6).flatten().tolist()


@pytest.mark.parametrize(("modality", "position"), [("audio", 3), ("image", 6)])
def test_patches_are_encoded_independently(modality: Modality, position: int) -> None:
    """Batch norm, group norm over a whole clip, overlapping fields, or padding would affect other positions."""
    features = torch.randn(2, 64, 101) if modality == "audio" else torch.randn(2, 3, 64, 64)
    assert affected_positions(network(modality), modality, features, position) == [position]


@pytest.mark.parametrize("modality", ["audio", "image"])
def test_latents_do_not_depend_on_the_rest_of_the_batch(modality: Modality) -> None:
    features = torch.randn(5, 64, 101) if modality == "audio" else torch.randn(5, 3, 64, 64)
    for encoder in ("patches", "convnet", "residual"):
        model = network(modality, **{f"{modality}__encoder": encoder}).train()
        with torch.no_grad():
            torch.testing.assert_close(
                model.encode(modality, features)[2:3], model.encode(modality, features[2:3]), rtol=1e-4, atol=1e-5
            )


@pytest.mark.parametrize("encoder", ["patches", "convnet"])
@pytest.mark.parametrize("modality", ["audio", "image"])
def test_batch_normalization_mixes_items_in_training_only(modality: Modality, encoder: str) -> None:
    """What `context.batch_norm` is for: the statistics are of all positions of all items; a trained network has its
    own."""
    features = torch.randn(5, 64, 101) if modality == "audio" else torch.randn(5, 3, 64, 64)
    model = network(modality, **{f"{modality}__encoder": encoder, "context__batch_norm": True})
    other = features.clone()
    other[0] += 3.0
    with torch.no_grad():
        changed = (model.train().encode(modality, features) - model.encode(modality, other)).abs().amax((1, 2))
        assert (changed > 1e-3).all()
        whole, alone = model.eval().encode(modality, features), model.encode(modality, features[2:3])
    torch.testing.assert_close(whole[2:3], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("encoder", ["patches", "convnet"])
def test_shapes(encoder: str) -> None:
    audio = network("audio", audio__encoder=encoder)
    encoding = audio({"audio": torch.randn(2, 64, 101)})["audio"]
    length = 101 // 6 if encoder == "patches" else 26
    assert encoding.latents.shape == (2, length, 16)
    assert encoding.contexts.shape == (2, length, 32)
    assert {k: tuple(p.shape) for k, p in encoding.predictions.items()} == {k: (2, length - k, 16) for k in (1, 2, 4)}
    image = network("image", image__encoder=encoder, image__grid=4)
    assert image({"image": torch.randn(2, 3, 64, 64)})["image"].latents.shape == (2, 16, 16)


def test_contexts_do_not_depend_on_the_future() -> None:
    model = network("audio")
    features = torch.randn(1, 64, 101)
    changed = features.clone()
    changed[:, :, 60:] += 1
    with torch.no_grad():
        a, b = (model({"audio": x})["audio"].contexts for x in (features, changed))
    assert torch.equal(a[:, :10], b[:, :10])
    assert not torch.equal(a[:, 10:], b[:, 10:])


@pytest.mark.parametrize("grid", [2, 4, 8])
@pytest.mark.parametrize("wrap", [False, True])
def test_images_are_predicted_within_the_picture(grid: int, wrap: bool) -> None:
    """Against a brute-force list of cells (t, t + k), k mod grid columns to the right, k // grid rows below."""
    horizons = tuple(range(1, grid**2))[:12]
    model = network("image", image__grid=grid, image__wrap=wrap, context__horizons=horizons)
    with torch.no_grad():
        encoding = model({"image": torch.randn(2, 3, 64, 64)})["image"]
    for k in horizons:
        pairs = []
        for row in range(grid):
            for column in range(grid):
                across = row * grid + column + k  # as a plain sequence
                below, right = row + k // grid, column + k % grid
                if wrap and across < grid**2:
                    pairs.append((row * grid + column, across))
                elif not wrap and below < grid and right < grid:
                    pairs.append((row * grid + column, below * grid + right))
        positions = encoding.anchors[k].tolist()
        assert [(t, t + k) for t in positions] == pairs
        assert torch.equal(encoding.futures(k), torch.stack([encoding.latents[:, t] for _, t in pairs], 1))
        mapped = model.predictors["image"].get_submodule(str(k))(encoding.contexts[:, positions])
        torch.testing.assert_close(encoding.predictions[k], mapped)
    if grid == 4 and not wrap:
        assert len(encoding.anchors[1]) == 12, "3 of 15 targets lay across a row's end"
        assert len(encoding.anchors[4]) == 12, "straight below"


def test_sounds_are_a_plain_sequence() -> None:
    with torch.no_grad():
        encoding = network("audio")({"audio": torch.randn(1, 64, 101)})["audio"]
    assert {k: anchors.tolist() for k, anchors in encoding.anchors.items()} == {
        k: list(range(16 - k)) for k in (1, 2, 4)
    }


def test_latents_have_negative_components() -> None:
    """With a ReLU after the last layer no cosine could be negative."""
    for modality in ("audio", "image"):
        features = torch.randn(64, 64, 101) if modality == "audio" else torch.randn(64, 3, 64, 64)
        for encoder in ("patches", "convnet"):
            model = network(modality, **{f"{modality}__encoder": encoder})
            with torch.no_grad():
                assert (model.encode(modality, features) < 0).any()


def test_weights_can_be_saved_and_loaded() -> None:
    a, b = network("audio"), MultiModalCPC(RunConfig().replace(BASE), ("audio",)).eval()
    b.load_weights({name: tensor.clone() for name, tensor in a.weights().items()})
    features = torch.randn(1, 64, 101)
    assert torch.equal(a({"audio": features})["audio"].contexts, b({"audio": features})["audio"].contexts)
    with pytest.raises(RuntimeError):
        b.load_weights({})
