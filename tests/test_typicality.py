"""The percentile of a new item against held-out ones."""

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
from cpc_engine.evaluation.typicality import (
    TRAINING_ITEMS,
    VALIDATION_ITEMS,
    Typicality,
    _View,
    fit_typicality,
    input_statistics,
    verdict,
)
from cpc_engine.training.trainer import new_model
from tests.tiny_data import TINY, dataset


def views(items: int, seed: int, offset: float = 0.0, widths: tuple[int, int] = (12, 20)) -> tuple[Tensor, Tensor]:
    """Correlated Gaussians, the same ones for every seed."""
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
def known() -> Typicality:
    return Typicality.fit(views(800, 1), views(1500, 2))


def test_held_out_items_are_spread_evenly_over_the_percentiles(known: Typicality) -> None:
    found = known.percentile(*views(4000, 3)).numpy()
    assert found.min() >= 0
    assert found.max() <= 100
    for percentile in (1, 5, 25, 50, 75):
        assert (found < percentile).mean() == pytest.approx(percentile / 100, abs=0.04)


def test_what_is_strange_to_either_view_is_untypical(known: Typicality) -> None:
    near, far = views(50, 4), views(50, 4, offset=20.0)
    assert known.percentile(*far).max() < 1
    assert known.percentile(far[0], near[1]).max() < 1
    assert known.percentile(near[0], far[1]).max() < 1
    assert known.percentile(*near).mean() > 30


@settings(max_examples=40, deadline=None)
@given(st.integers(4, 40), st.integers(1, 30), st.integers(0, 99))
def test_percentiles_follow_their_definition(train: int, validation: int, seed: int) -> None:
    """Against a slow count over validation items, at every size down to one."""
    held, new = views(validation, seed + 1), views(7, seed + 2, offset=0.3)
    found = Typicality.fit(views(train, seed), held)

    def both(items: tuple[Tensor, Tensor]) -> list[float]:
        total = np.zeros(len(items[0]))
        for view, mine, theirs in zip((found.inputs, found.latents), items, held, strict=True):
            logs, known = (np.log(np.maximum(view.strangeness(x).numpy(), 1e-9)) for x in (mine, theirs))
            middle = np.sort(known)[(validation - 1) // 2]
            total += np.maximum((logs - middle) / max(np.quantile(known, 0.84) - middle, 1e-3), -1)
        return total.tolist()

    own = both(held)
    slow = [100 * sum(one >= score - 1e-4 for one in own) / validation for score in both(new)]
    np.testing.assert_allclose(found.percentile(*new).numpy(), slow, atol=1e-3)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 60), st.integers(1, 8), st.integers(0, 99))
def test_strangeness_is_the_distance_to_the_nearest_training_items(items: int, width: int, seed: int) -> None:
    """Against numpy's eigenvectors and scikit-learn's neighbours, where few directions are kept and where all are."""
    train, new = (views(n, seed + n, widths=(width, 1))[0] for n in (items, 9))
    standard = StandardScaler().fit(train)
    known, asked = standard.transform(train), standard.transform(new)
    variances, vectors = np.linalg.eigh(known.T @ known / items)
    order = np.argsort(-variances)[: min(items, width)]
    kept = order[: max(1, min(32, items // 4, width))]
    along = vectors[:, kept] / np.maximum(variances[kept], 1e-6) ** 0.25
    near = NearestNeighbors(n_neighbors=min(5, items)).fit(known @ along).kneighbors(asked @ along)[0]
    inside = vectors[:, kept] @ vectors[:, kept].T
    outside = np.square(asked - asked @ inside).sum(1) / max(variances[order[len(kept) :]].sum(), 1e-3)
    found = _View.fit(train, new).strangeness(new).numpy()
    np.testing.assert_allclose(found, np.square(near).mean(1) + outside, rtol=0.03, atol=0.03)


def test_a_constant_column_and_equal_items_do_no_harm() -> None:
    flat = (torch.ones(20, 3), torch.zeros(20, 4))
    found = Typicality.fit(flat, flat)
    assert torch.equal(found.percentile(*flat), torch.full((20,), 100.0))
    assert found.percentile(flat[0] + 5, flat[1]).max() == 0


def test_it_survives_storage_exactly_and_is_small() -> None:
    sizes = (4 * RunConfig().audio.mel_bands - 1, 8 * RunConfig().context.latent_dim)
    draw = torch.Generator().manual_seed(0)
    train, held = (
        [torch.randn(items, size, generator=draw) for size in sizes] for items in (TRAINING_ITEMS, VALIDATION_ITEMS)
    )
    found = Typicality.fit((train[0], train[1]), (held[0], held[1]))
    tensors = found.to_tensors()
    assert sum(t.numel() * t.element_size() for t in tensors.values()) < 200_000
    again = Typicality.from_tensors(tensors)
    assert torch.equal(again.percentile(held[0], held[1]), found.percentile(held[0], held[1]))


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(DataError, match="validation items"):
        Typicality.fit(views(9, 0), views(0, 0))
    broken = views(9, 0)
    broken[1][3, 3] = torch.nan
    with pytest.raises(DataError, match="not finite"):
        Typicality.fit(broken, views(9, 0))


@pytest.mark.parametrize(
    ("percentile", "says"), [(0, "unlike"), (0.99, "unlike"), (1, "borderline"), (4.99, "borderline"), (5, "typical")]
)
def test_verdicts(percentile: float, says: str) -> None:
    assert verdict(percentile).startswith(says)


def test_statistics_of_noise_silence_and_flat_colours_stand_apart() -> None:
    data = dataset(audio=True, image=True)
    model = new_model(RunConfig().replace(TINY), data).eval()
    found = fit_typicality(model, data.train, data.validation)
    assert set(found) == {"audio", "image"}
    for modality in ("audio", "image"):
        statistics = input_statistics(modality, data.test, model)
        assert statistics.shape[0] == len(data.test)
        assert torch.isfinite(statistics).all()
        values = data.test.values(modality)
        assert values is not None
        values[0] = 0
        draw = torch.Generator().manual_seed(0)
        values[1] = 6000 * torch.randn(values[1].shape, generator=draw) if modality == "audio" else 90
        strange = found[modality].inputs.strangeness(input_statistics(modality, data.test, model))
        assert strange[:2].min() > 3 * strange[2:].max()
