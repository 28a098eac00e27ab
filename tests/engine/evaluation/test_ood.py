"""Tests of the out-of-distribution score and its percentile among validation items."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from cpc_engine.config import RunConfig
from cpc_engine.errors import DataError
from cpc_engine.evaluation.ood import (
    TRAINING_ITEMS,
    VALIDATION_ITEMS,
    OODReference,
    _View,
    fit_ood_reference,
    input_statistics,
    verdict,
)
from cpc_engine.training.trainer import new_model
from tests.support.tiny_data import TINY, dataset


def views(items: int, seed: int, offset: float = 0.0, widths: tuple[int, int] = (12, 20)) -> tuple[Tensor, Tensor]:
    """Two views of correlated Gaussian items; the correlation is the same for every seed."""
    draw = torch.Generator().manual_seed(seed)
    mixing = torch.Generator().manual_seed(0)
    columns = [
        torch.randn(items, 6, generator=draw) @ torch.randn(6, width, generator=mixing)
        + 0.1 * torch.randn(items, width, generator=draw)
        + offset
        for width in widths
    ]
    return columns[0], columns[1]


@pytest.fixture(scope="module")
def reference() -> OODReference:
    return OODReference.fit(views(800, 1), views(1500, 2))


def test_percentiles_of_held_out_items_are_uniform(reference: OODReference) -> None:
    percentiles = reference.percentile(*views(4000, 3)).numpy()
    assert percentiles.min() >= 0
    assert percentiles.max() <= 100
    for percentile in (1, 5, 25, 50, 75):
        assert (percentiles < percentile).mean() == pytest.approx(percentile / 100, abs=0.04)


def test_an_item_far_off_in_either_view_has_a_low_percentile(reference: OODReference) -> None:
    near, far = views(50, 4), views(50, 4, offset=20.0)
    assert reference.percentile(*far).max() < 1
    assert reference.percentile(far[0], near[1]).max() < 1
    assert reference.percentile(near[0], far[1]).max() < 1
    assert reference.percentile(*near).mean() > 30


@settings(max_examples=40, deadline=None)
@given(st.integers(4, 40), st.integers(1, 30), st.integers(0, 99))
def test_percentiles_follow_their_definition(train: int, validation: int, seed: int) -> None:
    """Against a slow count over validation items, at every size down to one item."""
    held, new = views(validation, seed + 1), views(7, seed + 2, offset=0.3)
    fitted = OODReference.fit(views(train, seed), held)

    def scores(items: tuple[Tensor, Tensor]) -> list[float]:
        total = np.zeros(len(items[0]))
        for view, columns, held_columns in zip((fitted.inputs, fitted.latents), items, held, strict=True):
            logs, held_logs = (np.log(np.maximum(view.distance(x).numpy(), 1e-9)) for x in (columns, held_columns))
            median = np.sort(held_logs)[(validation - 1) // 2]
            total += np.maximum((logs - median) / max(np.quantile(held_logs, 0.84) - median, 1e-3), -1)
        return total.tolist()

    held_scores = scores(held)
    slow = [100 * sum(value >= score - 1e-4 for value in held_scores) / validation for score in scores(new)]
    np.testing.assert_allclose(fitted.percentile(*new).numpy(), slow, atol=1e-3)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 60), st.integers(1, 8), st.integers(0, 99))
def test_distance_is_that_to_the_nearest_training_items(items: int, width: int, seed: int) -> None:
    """Against numpy's eigenvectors and scikit-learn's neighbors, for few kept directions and for all."""
    train, new = (views(n, seed + n, widths=(width, 1))[0] for n in (items, 9))
    standard = StandardScaler().fit(train)
    references, queries = standard.transform(train), standard.transform(new)
    variances, vectors = np.linalg.eigh(references.T @ references / items)
    order = np.argsort(-variances)[: min(items, width)]
    kept = order[: max(1, min(32, items // 4, width))]
    along = vectors[:, kept] / np.maximum(variances[kept], 1e-6) ** 0.25
    near = NearestNeighbors(n_neighbors=min(5, items)).fit(references @ along).kneighbors(queries @ along)[0]
    inside = vectors[:, kept] @ vectors[:, kept].T
    outside = np.square(queries - queries @ inside).sum(1) / max(variances[order[len(kept) :]].sum(), 1e-3)
    distances = _View.fit(train, new).distance(new).numpy()
    np.testing.assert_allclose(distances, np.square(near).mean(1) + outside, rtol=0.03, atol=0.03)


def test_constant_columns_and_equal_items_give_finite_percentiles() -> None:
    flat = (torch.ones(20, 3), torch.zeros(20, 4))
    fitted = OODReference.fit(flat, flat)
    assert torch.equal(fitted.percentile(*flat), torch.full((20,), 100.0))
    assert fitted.percentile(flat[0] + 5, flat[1]).max() == 0


def test_stored_reference_gives_the_same_percentiles_and_is_small() -> None:
    sizes = (4 * RunConfig().audio.mel_bands - 1, 8 * RunConfig().context.latent_dim)
    draw = torch.Generator().manual_seed(0)
    train, held = (
        [torch.randn(items, size, generator=draw) for size in sizes] for items in (TRAINING_ITEMS, VALIDATION_ITEMS)
    )
    fitted = OODReference.fit((train[0], train[1]), (held[0], held[1]))
    tensors = fitted.to_tensors()
    assert sum(t.numel() * t.element_size() for t in tensors.values()) < 200_000
    loaded = OODReference.from_tensors(tensors)
    assert torch.equal(loaded.percentile(held[0], held[1]), fitted.percentile(held[0], held[1]))


def test_missing_or_non_finite_items_are_refused() -> None:
    with pytest.raises(DataError, match="validation items"):
        OODReference.fit(views(9, 0), views(0, 0))
    broken = views(9, 0)
    broken[1][3, 3] = torch.nan
    with pytest.raises(DataError, match="not finite"):
        OODReference.fit(broken, views(9, 0))


@pytest.mark.parametrize(
    ("percentile", "start"), [(0, "unlike"), (0.99, "unlike"), (1, "borderline"), (4.99, "borderline"), (5, "typical")]
)
def test_verdicts(percentile: float, start: str) -> None:
    assert verdict(percentile).startswith(start)


def test_noise_silence_and_flat_colors_are_far_from_training_items() -> None:
    data = dataset(audio=True, image=True)
    model = new_model(RunConfig().replace(TINY), data).eval()
    references = fit_ood_reference(model, data.train, data.validation, seed=0)
    assert set(references) == {"audio", "image"}
    for modality in ("audio", "image"):
        statistics = input_statistics(modality, data.test, model)
        assert statistics.shape[0] == len(data.test)
        assert torch.isfinite(statistics).all()
        values = data.test.values(modality)
        assert values is not None
        values[0] = 0
        draw = torch.Generator().manual_seed(0)
        values[1] = 6000 * torch.randn(values[1].shape, generator=draw) if modality == "audio" else 90
        distances = references[modality].inputs.distance(input_statistics(modality, data.test, model))
        assert distances[:2].min() > 3 * distances[2:].max()
