"""The table of outcomes in docs/break-it.md, from benchmarks/results/break_it.json.

    python -m benchmarks.break_it_table [--check]

`--check` writes nothing and exits 1 where the document is not what the file says.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from statistics import fmean

from benchmarks.table_cells import table
from benchmarks.timing import ROOT
from cpc_engine.break_it.measured import measured
from cpc_engine.break_it.outcome import Outcome
from cpc_engine.evaluation.metric_info import describe_metric

DOCUMENT = ROOT / "docs" / "break-it.md"
HEAD = ["recipe", "change", "control", "predicted", "control → change", "difference", "outcome", "probe"]


def row(found: Outcome) -> list[str]:
    """One recipe."""
    recipe, verdict = found.recipe, found.verdict
    metric = recipe.prediction.metric

    def means(name: str, form: str) -> str:
        return " → ".join(format(fmean(arm.values(name).values()), form) for arm in found.arms)

    assert verdict.difference is not None
    assert verdict.low is not None
    assert verdict.high is not None
    apart = f"{-verdict.difference:+.2g} ({-verdict.high:+.2g} to {-verdict.low:+.2g})"
    predicted = f"{describe_metric(metric).title.lower()} {recipe.prediction.direction}"
    outcome = " ".join(filter(None, [f"**{found.kind}**, n = {min(verdict.counts)}.", found.collapsed]))
    control = recipe.control.title
    return [
        recipe.title,
        recipe.change,
        control,
        predicted,
        means(metric, ".3g"),
        apart,
        outcome,
        means("probe", ".1%"),
    ]


def written(document: str) -> str:
    """The document with its table renewed."""
    outcomes, command = measured()
    text = f"Measured by `{command}`.\n\n{table(HEAD, [row(found) for found in outcomes.values()])}"
    return re.sub(
        r"(<!-- outcomes -->\n).*?(<!-- /outcomes -->)",
        lambda match: f"{match[1]}{text}\n{match[2]}",
        document,
        flags=re.DOTALL,
    )


def main(arguments: Sequence[str]) -> int:
    """Exit code: 0 success, 1 stale (--check)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit 1 where the document is stale")
    given = parser.parse_args(arguments)
    document = DOCUMENT.read_text(encoding="utf-8")
    if given.check:
        return int(written(document) != document)
    DOCUMENT.write_text(written(document), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
