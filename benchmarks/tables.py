"""README's performance section, from the files in benchmarks/results/.

    python -m benchmarks.tables [--check] [--readme FILE] [--results FOLDER]

`--check` writes nothing and exits 1 where the section is not what the files say, or a file was measured with settings
that have changed since, or does not say how it was measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

if not __package__:  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks import speed_tables, trust_tables
from benchmarks.learning import report as learning
from benchmarks.table_cells import Document, table
from benchmarks.timing import ROOT
from cpc_engine.experiments.definitions import EXPERIMENTS
from cpc_engine.experiments.outdated import outdated
from cpc_engine.experiments.prose import APART
from cpc_engine.experiments.report import PROBES
from cpc_engine.experiments.results import gpus
from cpc_engine.experiments.tables import Table, interval, probes_table

BEGIN, END = "<!-- performance -->", "<!-- /performance -->"
PAIRS_TEXT = (
    "Do sounds and pictures share one space? In how many cases the picture nearest to a held-out sound has its class, "
    "and the sound nearest to a picture, how far the centers of the two modalities lie apart, of unit vectors, and in "
    "how many cases a linear classifier still tells sounds from pictures. To share a space means here that neighbors "
    f"of the same class are found, not that the modalities mix: told apart in less than {APART:.0%} of cases was the "
    "goal. Pairs are drawn within a class, so the pairing is a label. Mean ± half width of a 95 % Student-t interval "
    "over seeds; it does not cover the choice of test items or split."
)
_PAIRS = ("retrieval_class", "retrieval_class_reverse", "modality_gap", "modality_accuracy", "modality_gap_ratio")
_PAIRS_HEAD = ["data", "picture's class", "sound's class", "gap", "told apart", "gap ÷ gap without the pair term"]


def section(results: Path) -> str:
    """The text between the markers, from the files in `results`: `loss-*.json` and `training-*.json` (one pair per
    machine), `experiment-*.json`, `folders.json`, and one file each for `learning`, `speed_tables` and
    `trust_tables`."""
    parts = [
        "## Performance",
        "Written by `python -m benchmarks.tables` from the files in `benchmarks/results/`; never edited by hand.",
        *_features(results),
    ]
    for kind, tables in (("loss", speed_tables.loss), ("training", speed_tables.training)):
        for file in sorted(results.glob(f"{kind}-*.json")):
            parts += tables(json.loads(file.read_text()))
    kinds = {
        "learning": learning.tables,
        "presets": speed_tables.presets,
        "ui": speed_tables.app,
        "place": speed_tables.placing,
        "typicality": trust_tables.typicality,
        "false_alarms": trust_tables.false_alarms,
        "coverage": trust_tables.coverage,
        "ordering": trust_tables.ordering,
        "leaks": trust_tables.leaks,
        "evaluate": trust_tables.evaluation,
        "patches": trust_tables.patches,
    }
    for name, tables in kinds.items():
        file = results / f"{name}.json"
        if file.exists():
            parts += tables(json.loads(file.read_text()))
    if not any(results.glob("*-cuda.json")):
        parts.append("These speeds are of processors; what the CUDA path reaches was not measured.")
    return "\n\n".join(parts)


def with_section(readme: str, text: str) -> str:
    """The README with its performance section replaced.

    Raises:
        ValueError: it does not hold the two markers, in order.
    """
    head, begin, rest = readme.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the README needs {BEGIN} and, below it, {END}")
    return f"{head}{BEGIN}\n{text}\n{END}{tail}"


def _features(results: Path) -> list[str]:
    """Our arm of every experiment that was measured, and the presets for folders."""
    rows: list[list[str]] = []
    pairs: list[list[str]] = []
    on_gpu: dict[str, list[str]] = {}
    for title, ours, found in _recipes(results):
        for gpu in gpus(found):
            on_gpu.setdefault(gpu, []).append(title)
        rows += [[title, *row[1:]] for row in _rows(probes_table(found)) if row[0] == ours]
        if "retrieval_class" in found["summary"][ours]:
            pairs.append([title, *(interval(found["summary"][ours], metric) for metric in _PAIRS)])
    if not rows:
        return []
    return [
        "### What the features are worth",
        f"{PROBES} Of each experiment our recipe, trained on processors{_of_gpus(on_gpu)}. "
        "[docs/experiments.md](docs/experiments.md) has all arms, with the reference recipe's, and what they mean "
        "(`python -m cpc_engine experiment NAME`, `python -m benchmarks.folders`).",
        table(["data", *list(probes_table({"summary": {}}))[1:]], rows),
        *([PAIRS_TEXT, table(_PAIRS_HEAD, pairs)] if pairs else []),
    ]


def _of_gpus(titles: dict[str, list[str]]) -> str:
    return "".join(f"; on {gpu} instead: {', '.join(of)}" for gpu, of in titles.items())


def _recipes(results: Path) -> Iterator[tuple[str, str, Document]]:
    """(what it learned from, our arm, what was measured) of every experiment, and of the presets for folders."""
    for experiment in EXPERIMENTS.values():
        file = results / f"experiment-{experiment.name}.json"
        if file.exists() and not experiment.name.startswith("negatives_"):  # whose arms are no recipe
            yield experiment.title, experiment.arms[0].label, json.loads(file.read_text())
    if (results / "folders.json").exists():
        for name, found in json.loads((results / "folders.json").read_text())["tasks"].items():
            yield f"`{found['preset']}`: {name} of `benchmarks.folders`", found["preset"], found


def _rows(table: Table) -> list[list[str]]:
    return [list(row) for row in zip(*table.values(), strict=True)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit 1 where the README is stale")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    given = parser.parse_args()
    before = given.readme.read_text()
    after = with_section(before, section(given.results))
    if given.check:
        errors = outdated(given.results)
        if before != after:
            errors.append("README's performance section is stale: run `python -m benchmarks.tables`")
        for line in errors:
            print(line, file=sys.stderr)
        return int(bool(errors))
    given.readme.write_text(after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
