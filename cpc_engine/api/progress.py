"""A progress bar on stderr for a run that trains in the foreground."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from tqdm import tqdm

from ..execution.execute import Phase, Record, State


class ProgressBar:
    """Shows steps, loss and what a run does between steps; a context manager and an observer of `execute`."""

    def __init__(self, steps: int, done: int = 0) -> None:
        self.bar = tqdm(total=steps, initial=done, unit="step", file=sys.stderr, dynamic_ncols=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.bar.close()

    def __call__(self, seen: Record | Phase | State) -> None:
        if isinstance(seen, dict):
            self.bar.set_description("training", refresh=False)  # a phase before the first step is over
            loss = seen["loss"]  # None where it is not finite
            self.bar.set_postfix_str("loss –" if loss is None else f"loss {loss:.4f}", refresh=False)
            self.bar.update(seen["step"] - self.bar.n)
        elif isinstance(seen, Phase):
            self.bar.set_description(seen.text)
        else:
            self.bar.set_description(seen.status)
