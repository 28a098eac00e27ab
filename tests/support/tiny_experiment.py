"""Experiments of runs that take a second."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from cpc_engine.experiments.definitions import Experiment, PlannedArm
from tests.support.tiny import CHANGES

SMALL = {name: value for name, value in CHANGES.items() if name != "data.dataset"} | {"evaluation.every": 1}


PAIR = {**SMALL, "image.size": 64}


TINY = Experiment(
    "keypad",
    "Tiny pairs",
    "Does it run?",
    (PlannedArm("pair", "keypad", PAIR), PlannedArm("no-pair", "keypad", {**PAIR, "loss.pair_weight": 0.0})),
    without_pair="no-pair",
)


FOLDED = Experiment(
    "tones",
    "Tiny tones",
    "Does it run?",
    (PlannedArm("ours", "tones", SMALL), PlannedArm("broken", "fsdd", {**SMALL, "data.path": "/nowhere"})),
    folds={"first": {"data.seed": 0}, "second": {"data.seed": 1}},
)


Run = Callable[..., tuple[int, str, str]]


def read_csv(folder: Path) -> list[dict[str, str]]:
    with open(folder / "results.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
