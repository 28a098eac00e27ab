"""The verbs at the door: train, open, list, compare and place runs. The command line and the pages use the same."""

from __future__ import annotations

from .run import Evaluation, Run
from .verbs import compare, open_run, place, runs, train

__all__ = ["Evaluation", "Run", "compare", "open_run", "place", "runs", "train"]
