"""Progress of an evaluation by its cost: a share of time, guessed first and measured as the parts are done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

SOON = 0.03  # share from which the remaining time can be estimated
Kind = Literal["embedding", "probe"]
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Part:
    """A part of the work.

    Attributes:
        text: what is shown while it is done.
        kind: parts of one kind take time in proportion to their guesses.
        guess: seconds that it may take.
    """

    text: str
    kind: Kind
    guess: float


def time_left(seconds: float, share: float) -> str:
    """Return the estimated time that is left in words; empty before there is an estimate, and at the end.

    Args:
        seconds: time that has passed. share: share of the time that has passed, 0 to 1.

    Example:
        >>> time_left(20, 1 / 3), time_left(100, 0.2), time_left(1, 0.01)
        ('about 40 s left', 'about 7 min left', '')
    """
    if not SOON <= share < 1:
        return ""
    left = seconds * (1 - share) / share
    return f"about {left:.0f} s left" if left < 100 else f"about {left / 60:.0f} min left"


class Plan:
    """Parts that are done one after another.

    The guesses of a kind are corrected by what its finished parts took; the share may stand still but never falls.

    Example:
        >>> lines = []
        >>> plan = Plan([Part("embedding", "embedding", 1.0)], lambda text, share: lines.append((text, share)))
        >>> with plan.next() as inside:
        ...     inside(1.0)  # all of this part is done
        >>> lines[0], lines[1][0]
        (('embedding', 0.0), 'embedding')
    """

    def __init__(self, parts: Sequence[Part], progress: Progress) -> None:
        self.waiting = list(parts)
        self.progress = progress
        self.share = 0.0
        self._guessed = dict.fromkeys([part.kind for part in parts], 0.0)  # of what is done, by kind
        self._taken = dict(self._guessed)

    @contextmanager
    def next(self) -> Iterator[Callable[[float], None]]:
        """Do the next part; yields a function that takes the share of it that is done, 0 to 1."""
        part = self.waiting.pop(0)
        began = time.perf_counter()
        guessed, taken = self._guessed[part.kind], self._taken[part.kind]

        def inside(done: float) -> None:
            self._guessed[part.kind] = guessed + done * part.guess
            self._taken[part.kind] = taken + time.perf_counter() - began
            elapsed = sum(self._taken.values())
            left = sum(self._rate(other.kind) * other.guess for other in self.waiting)
            left += self._rate(part.kind) * part.guess * (1 - done)
            self.share = max(self.share, elapsed / (elapsed + left)) if elapsed + left else self.share
            self.progress(part.text, self.share)

        self.progress(part.text, self.share)
        yield inside
        inside(1.0)

    def _rate(self, kind: Kind) -> float:
        """Seconds taken by second guessed."""
        guessed = self._guessed[kind]
        return self._taken[kind] / guessed if guessed else 1.0
