"""An experiment's report folder: results.json, results.csv, figures as PNG, and report.html with all of them inside."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..runs.files import write_bytes, write_json
from ..runs.report import Image, Section, html_report
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
    measures_table,
    probes_table,
    verdicts_table,
)

PROBES = (
    "Held-out accuracy of logistic regression on frozen features; its strength and the feature are chosen on "
    "validation items, for the untrained network too. The best baseline is the best on test items, which favours it. "
    "Mean ± 95 % Student-t interval over seeds."
)
VERDICTS = (
    "Two arms differ where a 95 % interval of their difference leaves out zero. Of twenty such tests one says so by "
    "chance alone."
)
_TABLES = {
    "Geometry": "Of held-out items: mean contexts, and predictions against what came.",
    "Pairs": "From each sound to the nearest picture: has it the sound's class? The gap is the distance of centres.",
}


def write_report(document: Document, folder: Path) -> list[Path]:
    """Everything below `folder`, from the document and the runs in `folder`/runs.

    Raises:
        StorageError: the folder cannot be written.
    """
    figures = all_figures(document, folder)
    files = {f"{figure.name}.png": figure.content for figure in figures}
    files["results.csv"] = _csv(document).encode()
    files["report.html"] = html_report(f"Experiment: {document['title']}", list(_sections(document, figures))).encode()
    write_json(folder / "results.json", document)
    for name, content in files.items():
        write_bytes(folder / name, content)
    return [folder / name for name in ("results.json", *files)]


def tables(document: Document) -> Iterator[tuple[str, str, Table]]:
    """(heading, what it says, table) of everything worth reading; tables without a row are left out."""
    found = (
        ("Arms", document["question"], arms_table(document)),
        ("Runs that did not finish", "They count in no mean.", failures_table(document)),
        ("Probes", PROBES, probes_table(document)),
        ("Baselines", "What no training gives, with the same logistic regression.", baselines_table(document)),
        ("Geometry", _TABLES["Geometry"], measures_table(document, GEOMETRY)),
        ("Pairs", _TABLES["Pairs"], measures_table(document, PAIRS)),
        ("Which arm is better", VERDICTS, verdicts_table(document)),
        ("Probes of every feature", "All poolings; none was chosen here.", features_table(document)),
    )
    for heading, text, table in found:
        if len(table) > 1 and any(table.values()):
            yield heading, text, table


def _sections(document: Document, figures: Sequence[Png]) -> Iterator[Section]:
    command = [("Made by", document["command"])]
    if document["quick"]:
        yield Section("A smoke test, not a result", "Few steps and items (--quick): the figures below mean nothing.")
    for heading, text, table in tables(document):
        yield Section(heading, text, tables=[table], code=command)
    for figure in figures:
        yield Section(figure.name.capitalize(), images=[Image(figure.content, figure.alt)], code=command)


def _csv(document: Document) -> str:
    """One line per run and measure; runs without measures have one line that says how they ended."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["experiment", "arm", "seed", "fold", "run", "status", "measure", "value"])
    for run in document["runs"]:
        start = [document["experiment"], run["arm"], run["seed"], run["fold"], run["run"] or "", run["status"]]
        writer.writerows([*start, name, value] for name, value in (run["measures"] or {"": ""}).items())
    return text.getvalue()
