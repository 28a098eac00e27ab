"""The logistic regression against scikit-learn's, run to convergence in float64."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression as Oracle

from cpc_engine.evaluation.probes import logistic as module
from cpc_engine.evaluation.probes.logistic import TOLERANCE, Fit, LogisticRegression

Data = tuple[torch.Tensor, torch.Tensor]


def blobs(items: int, features: int, classes: int, seed: int, spread: float) -> Data:
    """Clusters with badly scaled columns that are not centered; every class has an item."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(classes), rng.integers(0, classes, items - classes)])
    x = rng.normal(size=(classes, features))[y] + spread * rng.normal(size=(items, features)) + 0.5
    x[:, features // 2 :] *= 10.0 ** rng.uniform(-2, 1)
    return torch.from_numpy(x), torch.from_numpy(y)


def objective(weight: np.ndarray, bias: np.ndarray, x: np.ndarray, y: np.ndarray, strength: float) -> float:
    """scikit-learn's, divided by C · N; two classes have one weight vector."""
    scores = x @ weight.T + bias
    losses = np.logaddexp.reduce(scores, 1) - scores[np.arange(len(y)), y]
    square = np.square(weight[1] - weight[0] if len(weight) == 2 else weight).sum()
    return float(losses.mean() + square / (2 * strength * len(y)))


def oracle(x: np.ndarray, y: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    model = Oracle(C=strength, solver="newton-cg", tol=1e-10, max_iter=10_000)
    with warnings.catch_warnings():  # its line search ends where rounding hides that the loss still falls
        warnings.simplefilter("ignore")
        model.fit(x, y)
    weight, bias = model.coef_, model.intercept_
    if len(weight) == 1:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return weight, bias - bias.mean()


def one(data: Data, strength: float) -> Fit:
    x, y = data
    [fit] = LogisticRegression(x, y, int(y.max()) + 1).fit([strength])
    return fit


@settings(max_examples=40)
@given(
    st.integers(12, 60),
    st.integers(1, 80),
    st.integers(2, 5),
    st.integers(0, 10**6),
    st.floats(0.2, 3),
    st.sampled_from([1e-6, 1e-4, 0.01, 1.0, 10.0]),
)
def test_fits_are_those_of_a_converged_scikit_learn(
    items: int, features: int, classes: int, seed: int, spread: float, strength: float
) -> None:
    x, y = data = blobs(items, features, classes, seed, spread)
    fit = one(data, strength)
    assert fit.converged
    assert fit.gradient <= TOLERANCE[torch.float64]
    weight, bias = oracle(x.numpy(), y.numpy(), strength)
    ours = objective(fit.weight.numpy(), fit.bias.numpy(), x.numpy(), y.numpy(), strength)
    theirs = objective(weight, bias, x.numpy(), y.numpy(), strength)
    assert ours <= theirs * (1 + 1e-6) + 1e-9
    mine, other = (x.numpy() @ w.T + b for w, b in ((fit.weight.numpy(), fit.bias.numpy()), (weight, bias)))
    mine, other = mine - mine.mean(1, keepdims=True), other - other.mean(1, keepdims=True)
    assert np.abs(mine - other).max() < 0.01 * max(1.0, np.abs(other).max())


@settings(max_examples=20)
@given(
    st.integers(12, 60), st.integers(1, 80), st.integers(2, 5), st.integers(0, 10**6), st.sampled_from([1e2, 1e4, 1e6])
)
def test_where_items_can_be_separated_the_objective_is_as_low_as_scikit_learns(
    items: int, features: int, classes: int, seed: int, strength: float
) -> None:
    """Almost nothing holds the weights back there, so that weights far apart are equally good."""
    x, y = data = blobs(items, features, classes, seed, 2.0)
    fit = one(data, strength)
    assert fit.converged == (fit.gradient <= TOLERANCE[torch.float64])
    assert fit.gradient <= 1e-4
    weight, bias = oracle(x.numpy(), y.numpy(), strength)
    ours = objective(fit.weight.numpy(), fit.bias.numpy(), x.numpy(), y.numpy(), strength)
    assert ours <= objective(weight, bias, x.numpy(), y.numpy(), strength) + 1e-5


@settings(max_examples=20)
@given(st.integers(20, 80), st.integers(1, 120), st.integers(2, 5), st.integers(0, 10**6), st.floats(0.5, 3))
def test_float32_reaches_its_tolerance(items: int, features: int, classes: int, seed: int, spread: float) -> None:
    x, y = blobs(items, features, classes, seed, spread)
    x = (x - x.mean(0)) / x.std(0)
    strengths = [1e-6, 1e-4, 1e-2, 1.0]
    low = LogisticRegression(x.float(), y, classes).fit(strengths)
    high = LogisticRegression(x, y, classes).fit(strengths)
    for a, b in zip(low, high, strict=True):
        assert a.converged
        assert a.gradient <= TOLERANCE[torch.float32]
        scores = [x @ fit.weight.T + fit.bias for fit in (a, b)]
        assert float((scores[0] - scores[1]).abs().max()) < 0.02 * max(1.0, float(scores[1].abs().max()))


@pytest.mark.parametrize("classes", [2, 4])
def test_other_strengths_change_nothing(classes: int) -> None:
    x, y = blobs(80, 40, classes, 0, 2.0)
    regression = LogisticRegression(x, y, classes)
    [alone] = regression.fit([10.0])
    for strengths in ([1e-4, 1e-2, 10.0], [10.0, 1e-4], [1e3, 10.0, 0.1]):
        fits = regression.fit(strengths)
        assert [fit.strength for fit in fits] == strengths
        among = fits[strengths.index(10.0)]
        assert torch.allclose(alone.weight, among.weight, atol=1e-6)
        assert torch.allclose(alone.bias, among.bias, atol=1e-6)


@pytest.mark.parametrize("items", [30, 200])
def test_equal_columns_share_their_weight_and_constant_ones_have_none(items: int) -> None:
    x, y = blobs(items, 20, 2, 1, 1.0)
    doubled = torch.cat([x, x, torch.zeros(items, 90)], 1)
    for fit in LogisticRegression(doubled, y, 2).fit([0.1, 1.0]):
        assert fit.converged
        assert torch.allclose(fit.weight[:, :20], fit.weight[:, 20:40], atol=1e-5)
        assert float(fit.weight[:, 40:].abs().max()) < 1e-9


@pytest.mark.parametrize("strength", [1.0, 1e3, 1e6])
def test_separable_classes_converge(strength: float) -> None:
    x, y = blobs(100, 30, 3, 2, 0.05)
    fit = one((x, y), strength)
    assert fit.converged
    assert bool(((x @ fit.weight.T + fit.bias).argmax(1) == y).all())


def test_what_did_not_converge_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PASSES", 3)
    fit = one(blobs(80, 40, 3, 0, 2.0), 10.0)
    assert not fit.converged
    assert fit.gradient > TOLERANCE[torch.float64]
    assert fit.passes == 3


def test_the_gradient_is_that_of_the_objective() -> None:
    """The tolerance is measured where the problem is well conditioned; in weights it means a gradient as small."""
    x, y = blobs(60, 10, 3, 0, 2.0)
    fit = one((x, y), 1.0)
    weight, bias = fit.weight.clone().requires_grad_(), fit.bias.clone().requires_grad_()
    loss = torch.nn.functional.cross_entropy(x @ weight.T + bias, y) + weight.square().sum() / (2 * len(y))
    loss.backward()
    assert weight.grad is not None
    assert float(weight.grad.abs().max()) < 1e-6
