"""Multinomial logistic regression that converges: L-BFGS in the principal axes of the features, all strengths at once.

The objective is that of scikit-learn: C · Σ_i cross-entropy_i + ½‖w‖², with a free intercept; two classes share one
weight vector. It is minimized divided by C · N, a mean over items. In the principal axes of the features its curvature
is nearly diagonal, so an axis of variance v is scaled by (v/4 + 1/(C·N))^-½, and a few dozen steps of L-BFGS suffice at
any C. Nearly all of the time goes into passes over the features, so the problems of all strengths share each pass: it
evaluates one trial point of each, and a problem whose trial does not lower its objective enough tries a shorter step in
the next pass, while the others go on.

Shapes: N items, F features, K classes, S strengths, A axes, M = K weight vectors (1 for two classes).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-8}  # largest component of the gradient, in the scaled axes
MOST_PASSES = 3000
HISTORY = 20  # steps that L-BFGS remembers
_DECREASE = 1e-4  # share of the decrease that the slope promises which a step must reach (Armijo)
_ROUNDING = 8  # units of rounding within which two values of the objective count as equal


@dataclass(frozen=True, eq=False)
class Fit:
    """Weights at one strength.

    Attributes:
        strength: inverse regularization strength C.
        weight: (K, F). bias: (K,), sums to 0. Both float64.
        gradient: largest component of the gradient of the mean objective, in the scaled axes.
        converged: whether `gradient` is within `TOLERANCE`.
        passes: evaluations of the objective.
    """

    strength: float
    weight: Tensor
    bias: Tensor
    gradient: float
    converged: bool
    passes: int


class LogisticRegression:
    """Logistic regression on given items, to be fitted at any strengths, on the device of the features.

    Args:
        x: (N, F) float32 or float64; passes over the features are computed in this type, all else in float64.
        y: (N,) int64 below `classes`; every class has an item.
        classes: K ≥ 2.

    Example:
        >>> x = torch.tensor([[-2.0], [-1.0], [1.0], [2.0]])
        >>> [fit] = LogisticRegression(x, torch.tensor([0, 0, 1, 1]), 2).fit([1.0])
        >>> fit.converged, fit.weight.shape, bool(fit.weight[1, 0] > 0)
        (True, torch.Size([2, 1]), True)
    """

    def __init__(self, x: Tensor, y: Tensor, classes: int) -> None:
        self.mean = x.mean(0, dtype=torch.float64)
        self.points, self.axes, self.variances = _principal_axes(x)
        self.targets = F.one_hot(y, classes).to(x.dtype).T.contiguous()
        self.tolerance = TOLERANCE[x.dtype]

    def fit(self, strengths: Sequence[float]) -> list[Fit]:
        """Fit at every strength.

        Args:
            strengths: inverse regularization strengths C > 0, in any order.

        Returns:
            One fit per strength, in the order of `strengths`. It does not depend on the other strengths.
        """
        classes, items = self.targets.shape
        penalties = [1 / (strength * items) for strength in strengths]
        problems = [_Problem(self.variances, self.targets, penalty, self.tolerance) for penalty in penalties]
        for _ in range(MOST_PASSES):
            active = [problem for problem in problems if not problem.done]
            if not active:
                break
            _evaluate(active, self.points, self.targets)
        fits = []
        for strength, problem in zip(strengths, problems, strict=True):
            weight, bias = problem.solution()
            weight = weight @ self.axes.double().T
            bias = bias - weight @ self.mean
            if classes == 2:  # the log odds of the second class
                weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
            converged = problem.largest <= self.tolerance
            fits.append(Fit(strength, weight, bias - bias.mean(), problem.largest, converged, problem.passes))
        return fits


def _principal_axes(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return (points (N, A), axes (F, A), variances (A,) float64): centered points = (x − mean) @ axes."""
    axes: Tensor | None = None
    if x.shape[1] > len(x):  # the items span no more than N axes
        axes, triangle = torch.linalg.qr(x.T)
        x = triangle.T
    mean = x.mean(0, dtype=torch.float64)
    gram = (x.T @ x).double() / len(x) - mean[:, None] * mean
    variances, vectors = torch.linalg.eigh(gram.to(x.dtype))
    points = x @ vectors
    points -= (mean @ vectors.double()).to(x.dtype)
    return points, vectors if axes is None else axes @ vectors, variances.double().clamp(min=0)


def _evaluate(problems: Sequence[_Problem], points: Tensor, targets: Tensor) -> None:
    """Evaluate one trial point of each problem in one pass over the points, and tell the problems."""
    classes, items = targets.shape
    trials = torch.stack([problem.weights() for problem in problems])  # (S, M, 1 + A)
    flat = trials.flatten(0, 1).to(points.dtype)
    scores = torch.addmm(flat[:, :1], flat[:, 1:], points.T).unflatten(0, trials.shape[:2])  # (S, M, N)
    if classes == 2:
        margins = scores * (2 * targets[1] - 1)
        losses = F.softplus(-margins)[:, 0].sum(1, dtype=torch.float64) / items
        errors = scores.sigmoid() - targets[1]
    else:
        logs = scores.log_softmax(1)
        losses = -(logs * targets).sum((1, 2), dtype=torch.float64) / items
        errors = logs.exp() - targets
    errors = errors.flatten(0, 1)
    slopes = torch.cat([errors.sum(1, keepdim=True, dtype=torch.float64), (errors @ points).double()], 1) / items
    values = losses.tolist()
    for problem, value, slope in zip(problems, values, slopes.unflatten(0, trials.shape[:2]), strict=True):
        problem.receive(value, slope)


class _Problem:
    """One strength: where its minimization stands, and the point that it asks to have evaluated next.

    Variables are (M, 1 + A) float64: the intercept, then the weight along each axis, divided by `scale`.
    """

    def __init__(self, variances: Tensor, targets: Tensor, penalty: float, tolerance: float) -> None:
        classes = len(targets)
        self.tolerance, self.rounding = tolerance, _ROUNDING * torch.finfo(targets.dtype).eps
        curvature = torch.cat([variances.new_tensor([0.25]), variances / 4 + penalty])
        self.scale = curvature.rsqrt()
        self.penalty = penalty * self.scale.square()
        self.penalty[0] = 0
        shares = targets.double().mean(1).log()
        start = shares[1:] - shares[:1] if classes == 2 else shares - shares.mean()
        self.trial = torch.zeros(
            1 if classes == 2 else classes, len(self.scale), dtype=torch.float64, device=variances.device
        )
        self.trial[:, 0] = start / self.scale[0]
        self.best, self.value, self.gradient = self.trial, float("inf"), torch.zeros_like(self.trial)
        self.direction, self.slope, self.length = torch.zeros_like(self.trial), 0.0, 1.0
        self.history = _History(self.trial)
        self.largest, self.passes, self.done = float("inf"), 0, False

    def weights(self) -> Tensor:
        """Return the point to evaluate, (M, 1 + A), not scaled."""
        return self.trial * self.scale

    def solution(self) -> tuple[Tensor, Tensor]:
        """Return (weight (M, A), bias (M,)) of the best point so far."""
        weights = self.best * self.scale
        return weights[:, 1:], weights[:, 0]

    def receive(self, loss: float, slope: Tensor) -> None:
        """Take the mean cross-entropy and its gradient at the trial point, and choose the next one."""
        self.passes += 1
        pull = self.trial * self.penalty
        value = loss + 0.5 * float((pull * self.trial).sum())
        gradient = slope * self.scale + pull
        if math.isfinite(value) and self._accepts(value, gradient):
            if self.passes > 1:
                step, change = (self.trial - self.best).flatten(), (gradient - self.gradient).flatten()
                self.history.update(step, change, gradient.flatten())
            self.best, self.value, self.gradient = self.trial, value, gradient
            self.largest = float(gradient.abs().max())
            self.done = self.largest <= self.tolerance
            self.direction = -self.history.newton(gradient.flatten()).view_as(gradient)
            self.slope = float((self.direction * gradient).sum())
            self.length = 1.0
        else:
            self.length *= 0.5
            if self.length < 1e-10:
                self.done = True
        self.trial = self.best + self.length * self.direction

    def _accepts(self, value: float, gradient: Tensor) -> bool:
        """Whether the objective fell enough; where rounding hides the fall, the slopes decide (Hager & Zhang 2005)."""
        if value <= self.value + _DECREASE * self.length * self.slope:
            return True
        flat = value <= self.value + self.rounding * abs(self.value)
        return flat and float((self.direction * gradient).sum()) <= (2 * _DECREASE - 1) * self.slope


class _History:
    """The newest steps of a minimization and the changes of its gradient, for the inverse Hessian of L-BFGS.

    In the compact form of Byrd, Nocedal & Schnabel 1994; D variables. Row i of every attribute is the same step.
    """

    def __init__(self, gradient: Tensor) -> None:
        size = gradient.numel()
        self.steps, self.changes = (gradient.new_zeros(HISTORY, size) for _ in range(2))
        self.products, self.squares = (gradient.new_zeros(HISTORY, HISTORY) for _ in range(2))  # s_i · y_j, y_i · y_j
        self.along = self.steps @ gradient.flatten(), self.changes @ gradient.flatten()  # s_i · g, y_i · g
        self.order: list[int] = []  # rows in use, oldest first

    def update(self, step: Tensor, change: Tensor, gradient: Tensor) -> None:
        """Remember a step and the change of the gradient along it, (D,), which led to `gradient`."""
        before, self.along = self.along, (self.steps @ gradient, self.changes @ gradient)
        curvature, square = torch.stack([step @ change, change @ change]).tolist()
        if curvature <= 1e-14 * square:
            return  # rounding hides the curvature
        row = len(self.order) if len(self.order) < HISTORY else self.order.pop(0)
        self.order.append(row)
        self.products[:, row] = self.along[0] - before[0]
        self.squares[:, row] = self.squares[row] = self.along[1] - before[1]
        self.products[row, row], self.squares[row, row] = curvature, square
        self.steps[row], self.changes[row] = step, change
        self.along[0][row], self.along[1][row] = step @ gradient, change @ gradient

    def newton(self, gradient: Tensor) -> Tensor:
        """Return the inverse Hessian times `gradient`, (D,), the one of the last update."""
        if not self.order:
            return gradient
        order = torch.tensor(self.order, device=gradient.device)
        products, squares = self.products[order][:, order], self.squares[order][:, order]
        along_steps, along_changes = self.along[0][order, None], self.along[1][order, None]
        gamma = products[-1, -1] / squares[-1, -1]
        upper = products.triu()
        a = torch.linalg.solve_triangular(upper, along_steps, upper=True)
        inner = products.diagonal()[:, None] * a + gamma * (squares @ a - along_changes)
        b = torch.linalg.solve_triangular(upper.T, inner, upper=False)
        weights = gradient.new_zeros(2, HISTORY)
        weights[0, order], weights[1, order] = b[:, 0], gamma * a[:, 0]
        result: Tensor = gamma * gradient + weights[0] @ self.steps - weights[1] @ self.changes
        return result
