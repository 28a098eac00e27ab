"""Tests of the probe features against plain loops."""

from __future__ import annotations

import numpy as np
import torch

from cpc_engine.config import RunConfig
from cpc_engine.evaluation.embed import CELLS, SEGMENTS, embed
from cpc_engine.evaluation.metrics import encode
from cpc_engine.training.initial import new_model
from tests.support.tiny_data import TINY, dataset


def test_every_feature_against_plain_loops() -> None:
    data = dataset(audio=True, image=True)
    model = new_model(RunConfig().replace(TINY), data).eval()
    features = embed(model, data.validation, batch_size=3)
    for modality, encoded in encode(model, data.validation).items():
        encoding = encoded.encoding
        latents, contexts = encoding.latents.numpy(), encoding.contexts.numpy()
        expected = {
            "mean_context": contexts.mean(1),
            "last_context": contexts[:, -1],
            "mean_latent": latents.mean(1),
            "pooled_latent": pooled(modality, latents),
            "pooled_context": pooled(modality, contexts),
            "mean_std_latent": np.concatenate([latents.mean(1), latents.std(1)], 1),
            "mean_std_context": np.concatenate([contexts.mean(1), contexts.std(1)], 1),
        }
        assert set(features[modality].names()) == set(expected)
        for name, values in expected.items():
            np.testing.assert_allclose(getattr(features[modality], name).numpy(), values, atol=1e-5, err_msg=name)


def pooled(modality: str, sequence: np.ndarray) -> np.ndarray:
    """Mean of every feature over each segment of time, or over each quarter of the grid."""
    items, length, width = sequence.shape
    if modality == "audio":
        parts = min(SEGMENTS, length)
        bounds = [(i * length // parts, -(-(i + 1) * length // parts)) for i in range(parts)]
        return np.array([[row[a:b, f].mean() for f in range(width) for a, b in bounds] for row in sequence])
    side = round(length**0.5)
    grid = sequence.reshape(items, side, side, width)
    edges = [(i * side // CELLS, -(-(i + 1) * side // CELLS)) for i in range(CELLS)]
    return np.array([[g[a:b, c:d, f].mean() for f in range(width) for a, b in edges for c, d in edges] for g in grid])


def test_a_residual_network_has_its_summary_and_first_layer() -> None:
    data = dataset(audio=True, image=True)
    changes = {"audio.encoder": "residual", "image.encoder": "residual", "audio.directions": 8, "image.directions": 8}
    model = new_model(RunConfig().replace({**TINY, **changes}), data).eval()
    features = embed(model, data.test, batch_size=3)
    for modality in model.modalities:
        values = data.test.values(modality)
        with torch.no_grad():
            encoding = model({modality: model.features[modality](values)})[modality]
        found = features[modality]
        assert found.summary is not None
        assert found.joined is not None
        assert encoding.first is not None
        torch.testing.assert_close(found.summary, encoding.summary)
        joined = torch.cat([encoding.summary, found.pooled_context, encoding.first], 1)
        torch.testing.assert_close(found.joined, joined)
        assert {"summary", "joined", "mean_context"} <= set(found.names())
