"""The benchmark of false alarms: comparisons of equal settings, judged as on the page."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import false_alarms
from benchmarks.false_alarms import Case, measure, text


def test_equal_settings_are_seldom_told_apart_and_large_differences_are_found() -> None:
    equal = measure(Case("normal", 0.5, 2, 5), 120)
    assert equal["any_verdict"]["share"] < 0.1 < equal["any_uncorrected"]["share"]
    assert measure(Case("normal", 0.5, 2, 2), 40)["any_verdict"]["share"] == 0
    assert measure(Case("normal", 0.5, 2, 10, gap=4.0), 40)["primary_found"]["share"] > 0.9


def test_the_document_says_what_was_drawn(tmp_path: Path) -> None:
    false_alarms.main(["--comparisons", "2", "--out", str(tmp_path / "found.json")])
    document = json.loads((tmp_path / "found.json").read_text())
    assert len(document["cases"]) == len(false_alarms.CASES)
    assert document["metrics"] == len(false_alarms.NAMES) == 22
    assert text(document).count("\n") == len(false_alarms.CASES) - 1
