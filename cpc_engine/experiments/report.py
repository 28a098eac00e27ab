"""Report folder of an experiment: results.json, results.csv, figures as PNG, and a self-contained report.html."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..comparison.arms import MIN_SEEDS
from ..comparison.html import Image, Section, html_report
from ..csv_text import rows_csv
from ..storage.files import write_bytes, write_json
from .figures import Png, all_figures
from .results import Document
from .tables import (
    GEOMETRY,
    PAIRS,
    Table,
    arms_table,
    baselines_table,
    failures_table,
    features_table,
    metrics_table,
    probes_table,
    verdicts_table,
)

PROBES = (
    "Test accuracy of logistic regression on frozen features. C and the feature are chosen on validation items, also "
    "for the untrained network. The best baseline is the best on test items, which favors it. Mean ± half width of a "
    "95 % Student-t interval over what its column names: seeds alone do not cover the choice of test items or split, "
    "seeds × items do not cover the split, seeds × speakers cover the choice of the held-out speaker too. The verdicts "
    "are of the differences item by item where the items are kept, and corrected for being made together (Holm)."
)
VERDICTS = (
    f"A verdict needs {MIN_SEEDS} seeds of each arm. The primary metric was chosen before; it has half of the 5 % of "
    "allowed error, and the exploratory metrics share the other half (Holm's correction, over the rows of this table), "
    "so at most 1 of 20 such tables of equal arms names a better arm anywhere. Intervals are those of one test."
)
_TABLES = {
    "Geometry": "On held-out items: alignment of predictions with true futures, and geometry of mean contexts.",
    "Pairs": "Retrieval is from each audio clip to the nearest image. The gap is the distance between mean contexts.",
}


def write_report(document: Document, folder: Path) -> list[Path]:
    """Write the report folder and return the paths of its files.

    Args:
        document: results, see `results.collect`. folder: the report folder, with the runs in `folder`/runs.

    Raises:
        StorageError: the folder cannot be written.
    """
    figures = all_figures(document, folder)
    files = {f"{figure.name}.png": figure.content for figure in figures}
    files["results.csv"] = results_csv(document).encode()
    files["report.html"] = html_report(f"Experiment: {document['title']}", list(_sections(document, figures))).encode()
    write_json(folder / "results.json", document)
    for name, content in files.items():
        write_bytes(folder / name, content)
    return [folder / name for name in ("results.json", *files)]


def tables(document: Document) -> Iterator[tuple[str, str, Table]]:
    """Yield (heading, explanation, table) of every table of the report that has rows."""
    over = f"Mean ± half width of a 95 % Student-t interval over {_over(document)}."
    candidates = (
        ("Arms", document["question"], arms_table(document)),
        ("Runs that did not finish", "They are left out of all means.", failures_table(document)),
        ("Probes", PROBES, probes_table(document)),
        (
            "Baselines",
            f"Features without a trained network, with the same logistic regression. {over}",
            baselines_table(document),
        ),
        ("Geometry", f"{_TABLES['Geometry']} {over}", metrics_table(document, GEOMETRY)),
        ("Pairs", f"{_TABLES['Pairs']} {over}", metrics_table(document, PAIRS)),
        ("Which arm is better", VERDICTS, verdicts_table(document)),
        ("Probes of every feature", f"All poolings, without choosing one. {over}", features_table(document)),
    )
    for heading, text, table in candidates:
        if len(table) > 1 and any(table.values()):
            yield heading, text, table


def _over(document: Document) -> str:
    """Return what the intervals of all metrics but the accuracies per test item cover."""
    kinds = {metric["interval"] for arm in document["summary"].values() for metric in arm.values()}
    return next((kind for kind in sorted(kinds) if kind not in ("seeds", "seeds × items")), "seeds")


def _sections(document: Document, figures: Sequence[Png]) -> Iterator[Section]:
    command = [("Made by", document["command"])]
    if document["quick"]:
        yield Section("A smoke test, not a result", "Few steps and items (--quick): the numbers below mean nothing.")
    for heading, text, table in tables(document):
        yield Section(heading, text, tables=[table], code=command)
    for figure in figures:
        yield Section(figure.name.capitalize(), images=[Image(figure.content, figure.alt)], code=command)


def results_csv(document: Document) -> str:
    """Return one line per run and metric; a run without metrics has one line with its status."""
    lines: list[list[Any]] = []
    for run in document["runs"]:
        start = [document["experiment"], run["arm"], run["seed"], run["fold"], run["run"] or "", run["status"]]
        lines.extend([*start, name, value] for name, value in (run["metrics"] or {"": ""}).items())
    return rows_csv(["experiment", "arm", "seed", "fold", "run", "status", "metric", "value"], lines)
