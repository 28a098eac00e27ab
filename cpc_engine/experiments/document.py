"""docs/experiments.md from the experiments' committed results.

    python -m cpc_engine.experiments.document [FOLDER ...] [--results DIR] [--out FILE] [--check]

Each FOLDER is an experiment's report folder, whose results are kept in DIR (benchmarks/results) and whose figures are
kept beside FILE first. `--check` writes nothing and exits 1 where FILE is not what the results say.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import CpcError, RunError
from ..runs.files import read_json, storing, write_bytes, write_json
from .definitions import EXPERIMENTS, Experiment
from .figures import ALT
from .prose import READINGS, measured
from .report import tables
from .results import Document
from .tables import Table

SHOWN = ("Probes", "Pairs")  # tables that are not folded away
INTRODUCTION = """# Experiments

What the original recipe claimed, what was measured, where the two agree and differ, and why. Written by
`python -m cpc_engine.experiments.document` from the files in `benchmarks/results/`; never edited by hand.

An arm is one setting. `ours` are this project's presets, `seed` the original recipe to the letter. Every arm was
trained with the same seeds. Accuracies are of logistic regression on frozen features, on test items; ± is the half
width of a 95 % Student-t interval over seeds. Two things are called different only where the 95 % interval of their
difference leaves out zero, and of twenty such verdicts one is wrong by chance alone."""


def keep_results(folder: Path, results: Path) -> Path:
    """Copy what a report folder found to `results`/experiment-NAME.json, without the runs' single measures.

    Raises:
        RunError: there is no report in it, or only a smoke test's.
    """
    document = _read(folder / "results.json")
    document["runs"] = [{name: run[name] for name in run if name != "measures"} for run in document["runs"]]
    with storing(results):
        results.mkdir(parents=True, exist_ok=True)
    path = results / f"experiment-{document['experiment']}.json"
    write_json(path, document)
    return path


def keep_figures(folder: Path, name: str, figures: Path) -> None:
    """Copy a report folder's figures to `figures`/NAME-FIGURE.png."""
    with storing(figures):
        figures.mkdir(parents=True, exist_ok=True)
        for figure in ALT:
            if (folder / f"{figure}.png").is_file():
                shutil.copyfile(folder / f"{figure}.png", figures / f"{name}-{figure}.png")


def markdown(results: Path, figures: Path) -> str:
    """The whole document, for a file beside the folder `figures`; experiments that have no results yet say so.

    Raises:
        RunError: a file of results is damaged, of a smoke test, or lacks an arm.
    """
    parts = [INTRODUCTION]
    for experiment in EXPERIMENTS.values():
        path = results / f"experiment-{experiment.name}.json"
        document = _read(path) if path.is_file() else None
        parts += _chapter(experiment, document, figures)
    return "\n\n".join(parts) + "\n"


def _read(path: Path) -> Document:
    document: Document = read_json(path)
    name = document.get("experiment")
    if name not in EXPERIMENTS:
        raise RunError(f"{path} holds no results of a known experiment")
    if document["quick"]:
        raise RunError(f"{path} is a smoke test (--quick), not a result")
    missing = [arm.label for arm in EXPERIMENTS[name].arms if not document["summary"].get(arm.label)]
    if missing:
        raise RunError(f"{path} lacks results of the arm {missing[0]!r}")
    return document


def _chapter(experiment: Experiment, document: Document | None, figures: Path) -> Iterator[str]:
    reading = READINGS[experiment.name]
    yield f"## {experiment.title}"
    yield experiment.question
    yield f"**What the seed claimed.** {reading.claim}"
    if document is None:
        yield f"Not measured yet: `python -m cpc_engine experiment {experiment.name}`."
        return
    yield f"**What we measured.** Seeds {', '.join(map(str, document['seeds']))} (`{document['command']}`)."
    yield _bullets(measured(document))
    yield "**Where they agree and differ.**"
    yield _bullets(reading.judge(document))
    yield f"**Why.** {reading.why}"
    for figure, alt in ALT.items():
        path = figures / f"{experiment.name}-{figure}.png"
        if path.is_file():
            yield f"![{alt}]({figures.name}/{path.name})"
    shown: list[str] = []
    folded: list[str] = []
    for heading, text, table in tables(document):
        lines = (f"### {heading}: {experiment.title.lower()}", text, _markdown_table(table))
        (shown if heading in SHOWN else folded).extend(lines)
    yield from shown
    yield "<details><summary>Arms, baselines, geometry, verdicts, every feature</summary>"
    yield from folded
    yield "</details>"


def _bullets(sentences: Iterator[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _markdown_table(table: Table) -> str:
    lines = [list(table), ["---"] * len(table), *zip(*table.values(), strict=True)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments: Sequence[str]) -> int:
    """Exit code: 0 success, 1 stale (--check), 2 bad input (one clear line)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help="report folders to take results from")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--out", type=Path, default=Path("docs/experiments.md"))
    parser.add_argument("--check", action="store_true", help="exit 1 where the document is stale")
    given = parser.parse_args(arguments)
    try:
        figures = given.out.with_suffix("")
        for folder in given.folders:
            name = keep_results(folder, given.results).stem.removeprefix("experiment-")
            keep_figures(folder, name, figures)
        text = markdown(given.results, figures)
        if given.check:
            stale = not given.out.is_file() or given.out.read_text(encoding="utf-8") != text
            if stale:
                print(f"{given.out} is stale: run python -m cpc_engine.experiments.document", file=sys.stderr)
            return int(stale)
        write_bytes(given.out, text.encode())
    except CpcError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
