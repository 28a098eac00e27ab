"""Tests of the linear probe against scikit-learn, and of confidence intervals against published values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import load, save
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from cpc_engine.errors import DataError
from cpc_engine.evaluation.intervals import half_widths, mean_interval, wilson_interval
from cpc_engine.evaluation.probes.probe import WIDEST, Probe, fit_probe

Data = tuple[NDArray[np.float32], NDArray[np.int64]]


def blobs(n: int, classes: int, seed: int, features: int = 12, noise: float = 2.0) -> Data:
    """Overlapping clusters on badly scaled axes; the clusters are the same for every seed."""
    centers = np.random.default_rng(1234).normal(size=(classes, features))
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    x = (centers[y] + noise * rng.normal(size=(n, features))) * np.logspace(-3, 3, features) + 5
    return x.astype(np.float32), y


@settings(max_examples=10)
@given(classes=st.integers(2, 5), strength=st.sampled_from([0.01, 0.1, 1.0]), seed=st.integers(0, 99))
def test_fit_equals_scikit_learns(classes: int, strength: float, seed: int) -> None:
    (x, y), (held_x, held_y) = blobs(300, classes, seed), blobs(200, classes, seed + 100)
    probe = fit_probe(x, y, held_x, held_y, [1e-4, strength / 10, strength], classes)
    scaler = StandardScaler().fit(x.astype(np.float64))
    oracle = LogisticRegression(C=probe.strength, tol=1e-8, max_iter=10_000).fit(scaler.transform(x), y)
    expected = oracle.predict_log_proba(scaler.transform(held_x.astype(np.float64)))
    logits = probe.logits(held_x).astype(np.float64)
    log_probabilities = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    np.testing.assert_allclose(log_probabilities, expected, rtol=0.01, atol=0.02)
    assert probe.validation_accuracy == probe.accuracy(held_x, held_y)


def test_c_is_the_one_with_the_best_validation_accuracy() -> None:
    (x, y), held = blobs(100, 3, 0, features=50, noise=3), blobs(1000, 3, 1, features=50, noise=3)
    strengths = [10.0, 1e-5, 0.01]
    each = {c: fit_probe(x, y, *held, [c], 3).validation_accuracy for c in strengths}
    probe = fit_probe(x, y, *held, strengths, 3)
    shuffled = fit_probe(x, y, *held, strengths[::-1], 3)
    np.testing.assert_array_equal(shuffled.predict(held[0]), probe.predict(held[0]))
    assert max(each, key=lambda c: each[c]) == 0.01  # the training items alone would favor the weakest regularization
    assert probe.strength == 0.01
    assert probe.validation_accuracy == pytest.approx(max(each.values()), abs=0.005)


def test_the_grid_is_widened_while_its_edge_is_the_best() -> None:
    (x, y), held = blobs(100, 3, 0, features=50, noise=3), blobs(1000, 3, 1, features=50, noise=3)
    each = {10.0**e: fit_probe(x, y, *held, [10.0**e], 3).validation_accuracy for e in range(-6, 5)}

    def chosen(low: int, high: int) -> float:
        best = max(range(low, high + 1), key=lambda e: (each[10.0**e], -e))
        if best == low > -6 and each[10.0**low] > each[10.0 ** (low + 1)]:
            return chosen(low - 1, high)
        better = best == high and each[10.0**high] > each[10.0 ** (high - 1)]
        return chosen(low, high + 1) if better else 10.0**best

    assert chosen(-5, -4) > 1e-4
    for low, high in ((-6, -5), (-5, -4), (-2, -1), (0, 2), (2, 3)):
        grid = [10.0**e for e in range(low, high + 1)]
        assert fit_probe(x, y, *held, grid, 3).strength == pytest.approx(chosen(low, high))
    assert fit_probe(x, y, *held, [100.0], 3).strength == 100.0  # a single one is no grid


def test_at_equal_accuracy_the_smallest_c_wins_and_a_bound_is_named() -> None:
    easy = np.eye(3).repeat(20, axis=0), np.arange(3).repeat(20)
    probe = fit_probe(*easy, *easy, [0.1, 1.0, 10.0], 3)
    assert probe.validation_accuracy == 1
    assert probe.strength == 0.1  # no better than the one beside it, so nothing is looked for beyond
    assert not probe.at_bound
    assert replace(probe, strength=WIDEST[0]).at_bound
    assert not fit_probe(*easy, *easy, [1.0], 3).at_bound


def test_temperature_is_optimal_and_does_not_change_predictions() -> None:
    (x, y), (held_x, held_y) = blobs(80, 3, 0, features=50, noise=6), blobs(1000, 3, 1, features=50, noise=6)
    probe = fit_probe(x, y, held_x, held_y, [10.0], 3)  # badly overfitted, so overconfident

    def loss(temperature: float) -> float:
        other = Probe(probe.mean, probe.scale, probe.weight, probe.bias, temperature, 10.0, 0.0)
        return -float(np.log(other.probabilities(held_x)[np.arange(len(held_y)), held_y]).mean())

    assert probe.temperature > 2
    best = loss(probe.temperature)
    assert best < min(loss(probe.temperature * 1.02), loss(probe.temperature / 1.02), loss(1.0) - 0.1)
    probabilities = probe.probabilities(held_x)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    np.testing.assert_array_equal(probabilities.argmax(1), probe.predict(held_x))


@pytest.mark.parametrize("trained", [[1, 3], [0, 1, 4]])
def test_a_class_without_training_items_is_never_predicted_and_counts_as_wrong(trained: list[int]) -> None:
    (x, y), (held_x, held_y) = blobs(400, 5, 0), blobs(300, 5, 1)
    kept = np.isin(y, trained)
    probe = fit_probe(x[kept], y[kept], held_x, held_y, [0.1], 5)
    probabilities = probe.probabilities(held_x)
    assert probabilities.shape == (300, 5)
    assert np.isfinite(probabilities).all()
    assert set(probe.predict(held_x)) == set(trained)
    assert (probabilities[:, sorted(set(range(5)) - set(trained))] == 0).all()
    assert probe.validation_accuracy == np.mean(probe.predict(held_x) == held_y) < np.isin(held_y, trained).mean()
    never = held_y[~np.isin(held_y, trained)]
    assert fit_probe(x[kept], y[kept], held_x[: len(never)], never, [0.1], 5).temperature == 1


def test_two_classes_give_the_log_odds_of_scikit_learn() -> None:
    x, y = blobs(200, 2, 0)
    probe = fit_probe(x, y, x, y, [0.1], 2)
    scaled = StandardScaler().fit_transform(x.astype(np.float64))
    odds = LogisticRegression(C=0.1, tol=1e-8).fit(scaled, y).decision_function(scaled)
    np.testing.assert_allclose(np.diff(probe.logits(x), axis=1)[:, 0], odds, atol=0.02)


def test_constant_features_are_ignored() -> None:
    x, y = blobs(200, 3, 0)
    constant = np.full((200, 2), 0.1, np.float32)
    padded = np.hstack([x, constant])
    probe = fit_probe(padded, y, padded, y, [0.1], 3)
    assert probe.accuracy(padded, y) == fit_probe(x, y, x, y, [0.1], 3).accuracy(x, y)
    np.testing.assert_array_equal(probe.scale[-2:], 1)
    collapsed = fit_probe(constant, y, constant, y, [0.1], 3)
    assert collapsed.validation_accuracy == np.bincount(y).max() / 200  # only the most common class


def test_a_probe_is_the_same_after_safetensors() -> None:
    x, y = blobs(100, 4, 0)
    probe = fit_probe(x[y < 3], y[y < 3], x, y, [0.1, 1.0], 4)
    loaded = Probe.from_tensors(load(save(probe.to_tensors())))
    np.testing.assert_array_equal(loaded.probabilities(x), probe.probabilities(x))
    old = {name: tensor for name, tensor in probe.to_tensors().items() if name != "gradient"}  # as it was stored before
    assert not Probe.from_tensors(old).converged
    np.testing.assert_array_equal(Probe.from_tensors(old).predict(x), probe.predict(x))
    for name in ("temperature", "strength", "validation_accuracy"):
        assert getattr(loaded, name) == getattr(probe, name)


def test_invalid_inputs_raise_clear_errors() -> None:
    x, y = blobs(20, 3, 0)
    with pytest.raises(DataError, match="two classes"):
        fit_probe(x, y * 0, x, y, [1.0], 3)
    with pytest.raises(DataError, match="validation"):
        fit_probe(x, y, x[:0], y[:0], [1.0], 3)
    with pytest.raises(DataError, match="diverged"):
        fit_probe(x * np.nan, y, x, y, [1.0], 3)
    with pytest.raises(ValueError, match="strengths"):
        fit_probe(x, y, x, y, [1.0, 0.0], 3)
    with pytest.raises(ValueError, match="between 0 and 1"):
        fit_probe(x, y, x, y, [1.0], 2)
    with pytest.raises(ValueError, match="one label"):
        fit_probe(x, y[1:], x, y, [1.0], 3)
    with pytest.raises(ValueError, match="12"):
        fit_probe(x, y, x, y, [1.0], 3).predict(x[:, 1:])


def test_wilson_interval_has_published_values() -> None:
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)  # Newcombe 1998, table I, method 3
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)
    assert wilson_interval(20, 20) == pytest.approx((0.8389, 1.0), abs=5e-5)
    assert wilson_interval(0, 0) == (0, 1)
    with pytest.raises(ValueError, match="no share"):
        wilson_interval(3, 2)


def test_mean_interval_is_that_of_students_t() -> None:
    mean, half = mean_interval([1.0, 2.0, 3.0])
    assert mean == 2
    assert half == pytest.approx(4.30265 / 3**0.5, rel=1e-5)  # t(0.975; 2) from the table
    assert mean_interval([0.5]) == (0.5, None)
    with pytest.raises(ValueError, match="no values"):
        mean_interval([])


def test_half_widths_are_those_of_each_column() -> None:
    values = np.random.default_rng(0).normal(size=(4, 5))
    assert half_widths(values) == pytest.approx([mean_interval(list(column))[1] for column in values.T])
