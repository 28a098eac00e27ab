"""The CSV of an experiment: numbers stay numbers, and names that a spreadsheet would compute are text."""

from __future__ import annotations

import csv
import io
from typing import Any

from cpc_engine.experiments.report import results_csv


def test_names_that_a_spreadsheet_would_compute_are_defused() -> None:
    run: dict[str, Any] = {"arm": "=1+1", "seed": 0, "fold": "-a", "run": "@b", "status": "finished"}
    runs = [{**run, "metrics": {"+loss": -0.5, "spread": 1e-9}}, {**run, "run": None, "metrics": None}]
    lines = list(csv.reader(io.StringIO(results_csv({"experiment": "tones", "runs": runs}), newline="")))
    assert lines == [
        ["experiment", "arm", "seed", "fold", "run", "status", "metric", "value"],
        ["tones", "'=1+1", "0", "'-a", "'@b", "finished", "'+loss", "-0.5"],
        ["tones", "'=1+1", "0", "'-a", "'@b", "finished", "spread", "1e-09"],
        ["tones", "'=1+1", "0", "'-a", "", "finished", "", ""],
    ]
