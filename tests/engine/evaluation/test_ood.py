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
    BORDERLINE,
    TRAINING_ITEMS,
    UNLIKE,
    VALIDATION_ITEMS,
    OODReference,
    _View,
    fit_ood_reference,
    input_statistics,
    validation_items_needed,
    verdict,
)
from cpc_engine.training.initial import new_model
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


@pytest.mark.parametrize("validation", [9, 30, 100])
def test_so_low_a_typicality_is_as_rare_as_it_says(validation: int) -> None:
    """Conformal validity, over the draw of validation and new items: at most a share α is at most 100·α.

    The views are nearly flat in one direction and have outliers, and training items are few, as in small data.
    """
    draw = torch.Generator().manual_seed(validation)

    def items(count: int) -> tuple[Tensor, Tensor]:
        heavy = 1 / torch.rand(count, 1, generator=draw).clamp(min=0.01)
        return torch.randn(count, 3, generator=draw) * heavy, torch.randn(count, 40, generator=draw)

    rounds = 300
    shares = {0.05: np.zeros(rounds), 0.2: np.zeros(rounds)}
    for each in range(rounds):
        fitted = OODReference.fit(items(25), items(validation))
        percentiles = fitted.percentile(*items(40)).numpy()
        for alpha, found in shares.items():
            found[each] = (percentiles <= 100 * alpha).mean()
    for alpha, found in shares.items():
        error = 3 * found.std() / rounds**0.5
        assert found.mean() <= alpha + error
        # On the steps of 1 / (n + 1) and without ties the share is exact, so nothing is lost either.
        assert found.mean() == pytest.approx(np.floor(alpha * (validation + 1)) / (validation + 1), abs=error + 1e-9)


def test_the_score_does_not_depend_on_the_items_it_is_compared_with() -> None:
    train, new = views(30, 1), views(9, 2)
    one, other = (OODReference.fit(train, views(9, seed)) for seed in (3, 4))
    assert torch.equal(one.score(*new), other.score(*new))


def _slow_logs(train: Tensor, items: Tensor) -> np.ndarray:
    return np.log(np.maximum(_View.fit(train).distance(items).numpy(), 1e-9))


@settings(max_examples=25)
@given(st.integers(4, 30), st.integers(1, 30), st.integers(0, 99))
def test_typicality_follows_its_definition(train: int, validation: int, seed: int) -> None:
    """Against a slow count over validation items and a slow cross-fit, at every size down to one item."""
    known, held, new = views(train, seed), views(validation, seed + 1), views(7, seed + 2, offset=0.3)
    fitted = OODReference.fit(known, held)

    def scores(items: tuple[Tensor, Tensor]) -> list[float]:
        total = np.zeros(len(items[0]))
        for columns, own in zip(items, known, strict=True):
            parts = [[row for row in range(train) if row % 5 == fold] for fold in range(min(5, train))]
            left_out = np.concatenate(
                [_slow_logs(own[[row for row in range(train) if row not in part]], own[part]) for part in parts]
            )
            median = np.sort(left_out)[(train - 1) // 2]
            usual = max(np.quantile(left_out, 0.84) - median, 0.1)
            total += np.maximum((_slow_logs(own, columns) - median) / usual, -1)
        return total.tolist()

    held_scores = scores(held)
    np.testing.assert_allclose(fitted.score(*new).numpy(), scores(new), rtol=1e-3, atol=1e-3)
    exact = fitted.score(*new).tolist()
    slow = [100 * (1 + sum(v >= score for v in fitted.score(*held).tolist())) / (validation + 1) for score in exact]
    np.testing.assert_allclose(fitted.percentile(*new).numpy(), slow, rtol=1e-6)
    np.testing.assert_allclose(fitted.validation_scores.numpy(), sorted(held_scores), rtol=1e-3, atol=1e-3)


@settings(max_examples=20)
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
    distances = _View.fit(train).distance(new).numpy()
    np.testing.assert_allclose(distances, np.square(near).mean(1) + outside, rtol=0.03, atol=0.03)


def test_constant_columns_and_equal_items_give_finite_percentiles() -> None:
    flat = (torch.ones(20, 3), torch.zeros(20, 4))
    fitted = OODReference.fit(flat, flat)
    assert torch.equal(fitted.percentile(*flat), torch.full((20,), 100.0))
    assert fitted.percentile(flat[0] + 5, flat[1]).max() == pytest.approx(100 / 21)


def test_ties_are_conservative() -> None:
    """Equal items are called fully typical, so a low value is rarer than it says, never more frequent."""
    same = (torch.zeros(12, 3), torch.zeros(12, 4))
    assert OODReference.fit(same, same).percentile(*same).min() == 100


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


def test_too_few_training_items_are_refused() -> None:
    with pytest.raises(DataError, match="two training items"):
        OODReference.fit(views(1, 0), views(9, 0))
    assert torch.isfinite(OODReference.fit(views(2, 0), views(9, 0)).validation_scores).all()


@pytest.mark.parametrize(
    ("percentile", "start"), [(0.2, "unlike"), (1, "unlike"), (1.2, "borderline"), (5, "borderline"), (5.2, "typical")]
)
def test_verdicts(percentile: float, start: str) -> None:
    assert verdict(percentile, 500).startswith(start)


@pytest.mark.parametrize("items", [1, 2, 9, 18, 19, 20, 50, 98, 99, 100, 600])
def test_no_verdict_says_more_than_the_validation_items_can(items: int) -> None:
    """Over all values that typicality can take: each call is as rare as it says, or is not made."""
    values = [100 * (r + 1) / (items + 1) for r in range(items + 1)]
    calls = [verdict(value, items) for value in values]
    assert sum(call.startswith("unlike") for call in calls) / len(calls) <= 0.01
    assert sum(call != "typical" for call in calls if "told" not in call) / len(calls) <= 0.05
    assert calls[0].startswith("cannot be told") == (items < 19)
    assert calls[0].startswith("unlike") == (items >= 99)
    assert not any("told" in call for call in calls[1:])
    assert validation_items_needed(BORDERLINE) == 19
    assert validation_items_needed(UNLIKE) == 99


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
