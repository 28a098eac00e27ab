"""Training within a budget of seconds: a clock that can be stopped, and a number of steps that is fitted to it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from cpc_engine.data.dataset import Split

MOMENTS = (0.25, 0.5, 1.0)  # shares of the budget after which the network is looked at, with the clock stopped
FIRST, FIRST_SHARE = 3, 0.2  # steps whose time the first plan is made from, or fewer that take so much of the budget
MARKS = 20  # times in a budget at which the number of steps is fitted again to what is left of it
OPEN_END = 1_000_000  # steps planned before the first few are timed


class Learner(Protocol):
    """Something that learns step by step, with a learning rate that depends on the planned number of steps."""

    @property
    def parameters(self) -> int:
        """Number of parameters that features need."""

    @property
    def rate(self) -> float:
        """Learning rate of the last step as a share of the highest."""

    def plan(self, steps: int) -> None:
        """Set the number of steps, those already taken included, after which the learning rate is at its end."""

    def step(self) -> None:
        """Train on one batch."""

    def features(self, split: Split) -> dict[str, Tensor]:
        """Return (N, …) features by name, float32."""


class Clock:
    """Seconds since it was made, without those in which it was stopped."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._began

    @contextmanager
    def stopped(self) -> Iterator[None]:
        since = time.perf_counter()
        yield
        self._began += time.perf_counter() - since


@dataclass
class Trained:
    """What came out of a budget.

    Attributes:
        steps: taken. seconds: that learning took, with all that making the learner took.
        moments: (seconds, steps, what was seen) for each of `MOMENTS`.
    """

    learner: Learner
    steps: int
    seconds: float
    moments: list[tuple[float, int, float]] = field(default_factory=list)


def train(make: Callable[[], Learner], budget: float, look: Callable[[Learner], float]) -> Trained:
    """Train for `budget` seconds; with 0 seconds the learner is only made.

    The clock runs from before the learner is made, as a network may take its first layer from the data. The number of
    steps follows from the time of the first few, and is fitted again whenever a twentieth of the budget has passed, so
    that the learning rate ends its course with the budget even if steps become slower.

    Args:
        make: makes the learner. look: what to know of it at `MOMENTS`, while the clock is stopped.
    """
    clock = Clock()
    learner = make()
    if budget == 0:
        return Trained(learner, 0, clock.seconds)
    learner.plan(OPEN_END)
    done, total, mark = 0, OPEN_END, 0
    moments: list[tuple[float, int, float]] = []
    recent: deque[float] = deque(maxlen=20)
    while done < total and (clock.seconds < budget or not done):
        began = clock.seconds
        learner.step()
        done += 1
        recent.append(clock.seconds - began)
        share = clock.seconds / budget
        if (done >= FIRST or share >= FIRST_SHARE) and int(share * MARKS) >= mark:
            mark = int(share * MARKS) + 1
            left = max(0.0, budget - clock.seconds)
            total = done + round(left * len(recent) / sum(recent))
            learner.plan(total)
        if len(moments) < len(MOMENTS) - 1 and share >= MOMENTS[len(moments)]:
            moments.append(_seen(clock, done, learner, look))
    last = _seen(clock, done, learner, look)
    moments += [last] * (len(MOMENTS) - len(moments))  # a step that is longer than a quarter passes several at once
    return Trained(learner, done, last[0], moments)


def _seen(clock: Clock, done: int, learner: Learner, look: Callable[[Learner], float]) -> tuple[float, int, float]:
    seconds = clock.seconds
    with clock.stopped():
        return seconds, done, look(learner)
