"""Tests of the geometry metrics against naive loops, numpy, scipy, and lightly."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightly.utils.debug import std_of_l2_normalized
from torch import Tensor

from cpc_engine.config import RunConfig
from cpc_engine.errors import DataError
from cpc_engine.evaluation import geometry as g
from cpc_engine.evaluation.alarms import alarms
from cpc_engine.evaluation.metric_info import METRICS

SIZES = {"n": st.integers(2, 40), "d": st.integers(1, 20), "seed": st.integers(0, 99)}
quick = settings(max_examples=25)


def rows(n: int, d: int, seed: int, offset: float = 0.3) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + offset


def unit(vector: Tensor) -> np.ndarray:
    wide = vector.double().numpy()
    return wide / np.linalg.norm(wide)


@quick
@given(**SIZES)
def test_alignment_is_the_mean_over_pairs(n: int, d: int, seed: int) -> None:
    p, z = rows(n, d, seed), rows(n, d, seed + 100)
    naive = np.mean([((unit(a) - unit(b)) ** 2).sum() for a, b in zip(p, z, strict=True)])
    assert g.alignment(p, z) == pytest.approx(naive, rel=1e-9, abs=1e-12)


@quick
@given(t=st.sampled_from([0.5, 2.0, 3.0]), chunk=st.integers(1, 50), **SIZES)
def test_uniformity_is_the_mean_over_distinct_pairs_at_any_chunk(
    n: int, d: int, seed: int, t: float, chunk: int
) -> None:
    x = rows(n, d, seed)
    pairs = [math.exp(-t * ((unit(x[i]) - unit(x[j])) ** 2).sum()) for i in range(n) for j in range(n) if i != j]
    assert g.uniformity(x, t, chunk) == pytest.approx(math.log(np.mean(pairs)), rel=1e-9, abs=1e-12)


def test_uniformity_floor_is_the_value_of_a_uniform_sphere() -> None:
    assert g.uniformity_floor(64) == pytest.approx(-3.875, abs=5e-4)
    assert g.uniformity_floor(256) == pytest.approx(-3.969, abs=5e-4)
    assert g.uniformity(rows(4000, 64, 0, offset=0)) == pytest.approx(g.uniformity_floor(64), abs=2e-3)


@quick
@given(centered=st.booleans(), **SIZES)
def test_effective_rank_is_the_entropy_of_singular_values(n: int, d: int, seed: int, centered: bool) -> None:
    x = rows(n, d, seed)
    wide = x.double().numpy()
    values = np.linalg.svd(wide - wide.mean(0) if centered else wide, compute_uv=False)
    shares = values[values > 1e-9] / values.sum()
    assert g.effective_rank(x, centered) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-6)


@given(st.integers(1, 900), st.integers(1, 200))
def test_subsets_are_disjoint_equal_in_size_and_the_same_every_time(count: int, size: int) -> None:
    subsets = g.item_subsets(count, size)
    rows = torch.cat(subsets).tolist()
    assert len(set(rows)) == len(rows)
    assert set(rows) <= set(range(count))
    assert {len(subset) for subset in subsets} == {min(size, count)}
    assert len(subsets) == max(1, min(4, count // size))
    assert all(map(torch.equal, subsets, g.item_subsets(count, size)))


def test_collapse_with_a_little_noise_has_uncentered_rank_1_and_any_centered_rank() -> None:
    """A constant vector and tiny noise: only spread and the uncentered rank tell; the alarm is raised."""
    draw = torch.Generator().manual_seed(0)
    collapsed = torch.randn(1, 64, generator=draw) + 1e-4 * torch.randn(128, 64, generator=draw)
    assert g.effective_rank(collapsed, centered=False) == pytest.approx(1, abs=0.1)
    assert g.effective_rank(collapsed) > 50
    part = {"sources": {}, "queue": 0, "latents_per_item": 16}
    geometry = {"spread": g.spread(collapsed), "effective_rank": g.effective_rank(collapsed)}
    (alarm,) = alarms(
        [{"step": 50, "loss": 2.1, "modalities": {"audio": part}, "geometry": geometry}], 200, RunConfig()
    )
    assert alarm.kind == "collapse"
    assert "collapsed network can have a high value" in METRICS["effective_rank"].meaning
    assert "1 means" in METRICS["effective_rank_uncentered"].meaning


def test_effective_rank_of_known_sets() -> None:
    assert g.effective_rank(torch.eye(8), centered=False) == pytest.approx(8)
    assert g.effective_rank(torch.eye(8)) == pytest.approx(7)
    # A common offset hides the other directions unless it is subtracted.
    offset = rows(500, 16, 0, offset=0) + 100 * torch.ones(16)
    assert g.effective_rank(offset, centered=False) < 2 < 15 < g.effective_rank(offset)
    # Rounding errors must not give a collapsed set a high rank.
    equal = rows(1, 64, 0).repeat(100, 1)
    nudged = torch.where(rows(100, 64, 1) > 0, equal, torch.nextafter(equal, torch.tensor(9.0)))
    assert g.effective_rank(equal) == g.effective_rank(nudged) == 0
    assert g.effective_rank(torch.zeros(5, 4), centered=False) == 0


@quick
@given(n=st.integers(2, 40), d=st.integers(1, 20), seed=st.integers(0, 99))
def test_spread_is_lightlys_collapse_metric_times_root_d(n: int, d: int, seed: int) -> None:
    x = rows(n, d, seed)
    assert g.spread(x) == pytest.approx(float(std_of_l2_normalized(x)) * math.sqrt(d), rel=1e-4, abs=1e-5)


def test_spread_is_0_for_collapse_and_1_for_an_even_sphere() -> None:
    assert g.spread(rows(1, 64, 0).repeat(50, 1)) == pytest.approx(0, abs=1e-12)
    assert g.spread(rows(4000, 64, 0, offset=0)) == pytest.approx(1, abs=0.01)


def test_information_bound_is_log_k_at_zero_loss_and_zero_at_chance() -> None:
    assert g.information_bound(0.0, 64) == math.log(64)
    assert g.information_bound(math.log(64), 64) == 0


def test_modality_gap_between_the_means_of_directions() -> None:
    a = torch.tensor([[3.0, 0.0], [0.0, 0.5]])  # mean direction (½, ½)
    b = torch.tensor([[-2.0, 0.0], [-7.0, 0.0], [0.0, -1.0], [0.0, -4.0]])  # (−½, −½)
    assert g.modality_gap(a, b) == pytest.approx(math.sqrt(2))
    assert g.modality_gap(a, 5 * a) == pytest.approx(0, abs=1e-12)


@quick
@given(m=st.integers(1, 30), chunk=st.integers(1, 40), **SIZES)
def test_retrieval_counts_queries_whose_nearest_shares_their_label(
    m: int, n: int, d: int, seed: int, chunk: int
) -> None:
    queries, gallery = rows(m, d, seed), rows(n, d, seed + 100)
    labels = torch.randint(0, 3, (m + n,), generator=torch.Generator().manual_seed(seed))
    query_labels, gallery_labels = labels[:m], labels[m:]
    cosines = np.array([[unit(q) @ unit(s) for s in gallery] for q in queries])
    if d == 1:  # every cosine is ±1: which of the equal ones is nearest is not defined
        return
    naive = (gallery_labels.numpy()[cosines.argmax(1)] == query_labels.numpy()).mean()
    assert g.retrieval_at_1(queries, gallery, query_labels, gallery_labels, chunk) == pytest.approx(naive)


def test_modality_accuracy_is_chance_without_a_gap_and_1_with_one() -> None:
    a, b = rows(100, 8, 0, offset=0), rows(40, 8, 1, offset=0)
    # Balanced accuracy: 0.5 and not 100/140, the share of the larger modality.
    assert g.modality_accuracy(a, b, seed=0) == pytest.approx(0.5, abs=0.1)
    assert g.modality_accuracy(a + 3, b - 3, seed=0) > 0.98
    assert g.modality_accuracy(a, b, seed=0) == g.modality_accuracy(a, b, seed=0)
    assert g.modality_accuracy(torch.ones(6, 3), torch.ones(6, 3), seed=0) == 0.5


def test_drift_is_the_mean_cosine_row_by_row() -> None:
    x = rows(30, 8, 0)
    assert g.drift(x, 4 * x) == pytest.approx(1)
    assert g.drift(x, -x) == pytest.approx(-1)
    assert g.drift(torch.eye(4), torch.eye(4).roll(1, 0)) == pytest.approx(0)


def test_half_precision_and_gradients_do_not_change_the_result() -> None:
    x = rows(50, 16, 0).bfloat16()
    assert g.uniformity(x.requires_grad_()) == pytest.approx(g.uniformity(x.detach().float()), rel=1e-12)


def test_invalid_inputs_raise_clear_errors() -> None:
    row = torch.ones(1, 4)
    for metric in (g.uniformity, g.spread, g.effective_rank):
        with pytest.raises(ValueError, match="at least 2 rows, got 1"):
            metric(row)
    with pytest.raises(ValueError, match="one row per item"):
        g.spread(torch.ones(2, 3, 4))
    with pytest.raises(ValueError, match="pairs"):
        g.alignment(torch.ones(2, 4), torch.ones(1, 4))  # would broadcast
    with pytest.raises(ValueError, match="same width"):
        g.modality_gap(torch.ones(2, 4), torch.ones(2, 5))
    with pytest.raises(ValueError, match="one label"):
        g.retrieval_at_1(row, row, torch.zeros(2), torch.zeros(1))
    with pytest.raises(ValueError, match="at least two"):
        g.modality_accuracy(row, row, 0)
    with pytest.raises(DataError, match="diverged"):
        g.uniformity(torch.full((3, 2), float("nan")))


@pytest.mark.gpu
def test_every_metric_is_the_same_on_a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    x, y, labels = rows(300, 64, 0), rows(300, 64, 1), torch.arange(300) % 7
    on_gpu = x.cuda(), y.cuda(), labels.cuda()
    for metric in (g.alignment, g.modality_gap, g.drift):
        assert metric(*on_gpu[:2]) == pytest.approx(metric(x, y), rel=1e-9)
    for single in (g.uniformity, g.effective_rank, g.spread):
        assert single(on_gpu[0]) == pytest.approx(single(x), rel=1e-9)
    assert g.retrieval_at_1(*on_gpu[:2], on_gpu[2], on_gpu[2]) == g.retrieval_at_1(x, y, labels, labels)
