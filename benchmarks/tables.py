"""README's performance section, from the files in benchmarks/results/.

    python -m benchmarks.tables [--check] [--readme FILE] [--results FOLDER]

`--check` writes nothing and exits 1 where the section is not what the files say, or a file was measured with settings
that have changed since; it warns of files that do not say how they were measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if not __package__:  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.timing import ROOT
from cpc_engine.experiments.definitions import EXPERIMENTS
from cpc_engine.experiments.outdated import outdated
from cpc_engine.experiments.report import PROBES
from cpc_engine.experiments.tables import Table, metrics_table, probes_table

BEGIN, END = "<!-- performance -->", "<!-- /performance -->"
Document = dict[str, Any]
PAIRS_TEXT = (
    "Do sounds and pictures share one space? In how many cases the picture nearest to a held-out sound has its class, "
    "how far the centers of the two modalities lie apart, of unit vectors, and in how many cases a linear classifier "
    "still tells sounds from pictures. To share a space means here that neighbors of the same class are found, not "
    "that the modalities mix; and pairs are drawn within a class, so the pairing is a label. Mean ± half width of a "
    "95 % Student-t interval over seeds; it does not cover the choice of test items or split."
)
_PAIRS = ("retrieval_class", "modality_gap", "modality_accuracy", "modality_gap_ratio")


def section(results: Path) -> str:
    """The text between the markers, from `loss-*.json` and `training-*.json` (one pair per machine), `presets.json`,
    `ui.json`, `place.json`, `typicality.json`, `false_alarms.json`, `coverage.json`, `leaks.json`, `evaluate.json`,
    `patches.json`,
    `experiment-*.json` and `folders.json`."""
    parts = [
        "## Performance",
        "Written by `python -m benchmarks.tables` from the files in `benchmarks/results/`; never edited by hand.",
        *_features(results),
    ]
    for kind, tables in (("loss", _loss), ("training", _training)):
        for file in sorted(results.glob(f"{kind}-*.json")):
            parts += tables(json.loads(file.read_text()))
    kinds = {
        "presets": _presets,
        "ui": _app,
        "place": _placing,
        "typicality": _typicality,
        "false_alarms": _false_alarms,
        "coverage": _coverage,
        "leaks": _leaks,
        "evaluate": _evaluation,
        "patches": _patches,
    }
    for name, tables in kinds.items():
        file = results / f"{name}.json"
        if file.exists():
            parts += tables(json.loads(file.read_text()))
    if not any(results.glob("*-cuda.json")):
        parts.append("No GPU was at hand for these measurements; what the CUDA path reaches is not known.")
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
    for title, ours, found in _recipes(results):
        rows += [[title, *row[1:]] for row in _rows(probes_table(found)) if row[0] == ours]
        if "retrieval_class" in found["summary"][ours]:
            metrics = metrics_table({"summary": {title: found["summary"][ours]}}, _PAIRS)
            pairs += [row + ["–"] * (1 + len(_PAIRS) - len(row)) for row in _rows(metrics)]
    if not rows:
        return []
    return [
        "### What the features are worth",
        f"{PROBES} Of each experiment our recipe; [docs/experiments.md](docs/experiments.md) has all of them, with the "
        "reference recipe's, and what they mean (`python -m cpc_engine experiment NAME`, "
        "`python -m benchmarks.folders`).",
        _table(
            ["data", "of", "trained", "untrained", "best baseline", "± over", "against untrained", "against baseline"],
            rows,
        ),
        *(
            [PAIRS_TEXT, _table(["data", "class found", "gap", "told apart", "gap ÷ gap without the pair term"], pairs)]
            if pairs
            else []
        ),
    ]


def _recipes(results: Path) -> Iterator[tuple[str, str, Document]]:
    """(what it learned from, our arm, what was measured) of every experiment, and of the presets for folders."""
    for experiment in EXPERIMENTS.values():
        file = results / f"experiment-{experiment.name}.json"
        if file.exists() and "ablation" not in experiment.name:  # whose arms are no recipe
            yield experiment.title, experiment.arms[0].label, json.loads(file.read_text())
    if (results / "folders.json").exists():
        for name, found in json.loads((results / "folders.json").read_text())["tasks"].items():
            yield f"`{found['preset']}`: {name} of `benchmarks.folders`", found["preset"], found


def _rows(table: Table) -> list[list[str]]:
    return [list(row) for row in zip(*table.values(), strict=True)]


def _loss(d: Document) -> list[str]:
    shape, memory = d["shape"], d["memory_mb"]
    whole = f"{_ms(d['ours_ms'])}, one forward and backward pass"
    rows = [["ours", d["ours_ms"], "", memory.get("ours"), "every source, nothing masked (reference mode)"]]
    for name, words in (
        ("ours_stats", "the same, with source statistics"),
        ("ours_masked", "copies of the positive masked, with source statistics"),
        ("ours_shifted", "τ so small that exponentials need a shift"),
    ):
        rows.append([name.replace("_", ", "), d[f"{name}_ms"], "", memory.get(name), words])
    naive_words = "concatenate, multiply, cross-entropy: no masks, no source statistics"
    rows.append(["naive", d["naive_ms"], f"{d['speedup_naive']:.1f} ×", memory.get("naive"), naive_words])
    folded = {"linear_cross_entropy (folded)": d["linear_cross_entropy_folded"]}
    for name, peer in {**d["peers"], **folded}.items():
        subset = f"N = {peer['N']}, M = {peer['M']}: {peer['subset']}"
        rows.append([f"`{name}`", peer["ms"], f"{peer['speedup_vs']:.1f} ×", memory.get(name), subset])
    cells = [[name, _ms(ms), gain, _mb(used), words] for name, ms, gain, used, words in rows]
    growth = [[str(r["M"]), _ms(r["ms"]), f"{r['ms_per_1k_candidates']:.3g}", _mb(r["peak_mb"])] for r in d["sweep"]]
    errors = ", ".join(f"{case} {error:.1e}" for case, error in d["gradient_error"].items())
    return [
        f"### The loss, {_where(d)}",
        f"N = {shape['N']} anchors, M = {shape['M']} candidates, d = {shape['d']}: {whole}. Medians of {d['rounds']} "
        f"alternating rounds (`{d['command']}`). *Ours is faster* compares within the same rounds and on the same part "
        "of the problem; memory is the peak beyond the inputs, in a process of its own.",
        _table(["loss", "time", "ours is faster", "extra memory", "what it expresses"], cells),
        f"Ours takes {d['roofline_ratio']:.2f} × the time of its bare matrix products ({_ms(d['products_ms'])}); the "
        f"source statistics cost {d['stats_overhead'] - 1:+.1%}. Gradients against float64, ‖Δ‖ ÷ ‖ref‖: {errors}.",
        _table(["M", "time", "ms per 1000 candidates", "extra memory"], growth),
    ]


def _training(d: Document) -> list[str]:
    rows = []
    for name, p in d["presets"].items():
        on, off = p["records_on"], p["records_off"]
        speed = [f"{on['steps_per_s']:.2f}", f"{off['steps_per_s']:.2f}", f"{off['items_per_s']:.0f}"]
        gpu = [f"{p['gpu_utilisation']:.0%}"] if "gpu_utilisation" in p else []
        shares = [f"{on['loss_share']:.0%}", f"{on['encoder_share']:.0%}"]
        rows.append([f"`{name}`", str(p["batch_size"]), *speed, *shares, *gpu])
    head = ["preset", "batch", "steps/s", "steps/s without records", "items/s without records", "loss", "encoders"]
    if any("gpu_utilisation" in p for p in d["presets"].values()):
        head.append("GPU busy")
    return [
        f"### Training, {_where(d)}",
        f"The last columns are shares of a step's time, records on (`{d['command']}`).",
        _table(head, rows),
    ]


def _presets(d: Document) -> list[str]:
    rows = []
    for name, found in d["presets"].items():
        ranks = [f"{m} {rank['mean']:.1f} ± {rank['half'] or 0:.1f}" for m, rank in found["effective_rank"].items()]
        times = [f"{found[key]:.0f} s" for key in ("seconds_to_first_map", "seconds")]
        rows.append([f"`{name}`", ", ".join(ranks), f"{found['bar']:g}", *times])
    seeds, threads = next(iter(d["presets"].values()))["seeds"], d["machine"]["threads"]
    return [
        "### Presets that make their own data: spread, and the first map",
        "Effective rank of mean contexts of held-out items, their mean subtracted, mean ± half width of a 95 % "
        f"Student-t interval over {seeds} seeds; the slowest seed's times, from the start of the run, with {threads} "
        f"thread{'s' * (threads > 1)} "
        f"(`{d['command']}`). A first map within 60 s was asked for.",
        _table(["preset", "effective rank", "bar", "first map", "whole run"], rows),
    ]


def _app(d: Document) -> list[str]:
    training, click, payload, paint, points = (
        d[name] for name in ("training", "click", "payload", "first_paint", "map")
    )
    sizes = payload["kb_by_recorded_steps"]
    kept = ", ".join(f"{kb:.0f} KB at {int(steps):,}" for steps, kb in sizes.items())
    waits = ", ".join(f"{page} {seconds:.2f} s" for page, seconds in paint["median_s"].items())
    rows = [
        ["training speed with its page open, of that with it closed", f"{training['share']:.1%}", "≥ 95 %"],
        ["click to paint while a run trains, median", _ms(click["p50_ms"]), "≤ 350 ms"],
        ["the same, 9 of 10", _ms(click["p90_ms"]), "≤ 700 ms"],
        ["one refresh of a run's page, by recorded steps", kept, "≤ 100 KB, flat"],
        [f"first card with {paint['runs']} stored runs", waits, "≤ 1.5 s"],
        [f"a map of {points['points']:,} points is drawn in", f"{points['drawn_s']:.1f} s", ""],
        ["a frame while panning over it", _ms(points["pan_ms"]), ""],
    ]
    return [
        f"### The app, {_where(d)}",
        f"In Chromium on the same processor, which renders in software (`{d['command']}`).",
        _table(["what", "measured", "bar"], rows),
    ]


def _placing(d: Document) -> list[str]:
    bars = {"idle": "nothing else runs", "training": "a run trains"}
    rows = [
        [words, _ms(d["page"][state]["p50_ms"]), _ms(d["page"][state]["p90_ms"]), f"≤ {d['bars_p50_s'][state]:g} s"]
        for state, words in bars.items()
    ]
    return [
        "### From the end of a recording to the lit point",
        f"On the page Place with `{d['run']}`, {d['page']['idle']['recordings']} recordings each (`{d['command']}`).",
        _table(["while", "median", "9 of 10", "bar (median)"], rows),
    ]


def _typicality(d: Document) -> list[str]:
    rows = []
    for one in d["runs"]:
        for kind, found in {**one["kinds"], "all of them": one["overall"]}.items():
            low, high = found["interval"]
            measured = [f"{found['auroc']:.3f}", f"{low:.3f} to {high:.3f}", f"{found['called_unlike']:.0%}"]
            rows.append([f"`{one['run']}`", kind, *measured])
        known = one["held_out"]
        rows.append([f"`{one['run']}`", "held-out items themselves", "", "", f"{known['called_unlike']:.1%}"])
    return [
        "### Does a run know what it never learned from?",
        "AUROC of typicality, held-out items against unlike items, with 95 % bootstrap intervals over items of one run "
        "each (`python -m benchmarks.typicality`; the bar is 0.9).",
        _table(["run", "unlike items", "AUROC", "95 % interval", 'called "unlike"'], rows),
    ]


def _evaluation(d: Document) -> list[str]:
    rows = [
        [
            name,
            str(found["items"][0]),
            f"{found['probes']['seconds']:.1f} s",
            f"{found['probes']['before_seconds']:.1f} s",
            f"{found['total']['seconds']:.1f} s",
            f"{found['total']['before_seconds']:.1f} s",
            f"{100 * found['largest_gap']:.2f} points",
        ]
        for name, found in d["tasks"].items()
    ]
    head = ["data", "training items", "probes", "by scikit-learn", "with embedding", "by scikit-learn", "largest error"]
    return [
        "### Evaluation",
        "Time of all probes and nearest neighbors of a run, beside the probes by scikit-learn as they were before, and "
        "the largest difference in test accuracy from a converged regression (`python -m benchmarks.evaluate`).",
        _table(head, rows),
    ]


def _patches(d: Document) -> list[str]:
    rows = [
        [name, count, f"{row['kmeans_global']:.1%}", f"{row['kmeans_quarters']:.1%}"]
        for name, found in d["tasks"].items()
        for count, row in found.items()
    ]
    return [
        "### k-means patches",
        "Test accuracy by the number of centroids (`python -m benchmarks.evaluate --centroids 128 512 1600`).",
        _table(["data", "centroids", "pooled globally", "pooled 2 × 2"], rows),
    ]


def _false_alarms(d: Document) -> list[str]:
    def share(found: Document) -> str:
        low, high = found["interval"]
        return f"{found['share']:.1%} ({low:.1%} to {high:.1%})"

    equal, different = ([case for case in d["cases"] if bool(case["gap"]) == gap] for gap in (False, True))
    kinds = [
        [
            f"{case['shape']}, ρ = {case['correlation']:g}",
            str(case["arms"]),
            f"{case['seeds']}, {'the same' if case['same_seeds'] else 'others'}",
        ]
        for case in equal
    ]
    return [
        "### How often does a comparison of equal settings name a better arm?",
        f"Simulated comparisons of {d['metrics']} metrics whose values over seeds are correlated by ρ, "
        f"{equal[0]['comparisons']} each, with 95 % Wilson intervals (`{d['command']}`; the bar is 5 %). Uncorrected: "
        "any of the same tests with p < 5 %.",
        _table(
            ["values", "arms", "seeds", "a verdict anywhere", "uncorrected"],
            [
                [*kind, share(case["any_verdict"]), share(case["any_uncorrected"])]
                for kind, case in zip(kinds, equal, strict=True)
            ],
        ),
        "How often is a true difference of the primary metric found (two arms, normal values, the same seeds)?",
        _table(
            ["difference in standard deviations", "seeds", "found"],
            [[f"{case['gap']:g}", str(case["seeds"]), share(case["primary_found"])] for case in different],
        ),
    ]


def _coverage(d: Document) -> list[str]:
    rows = []
    for case in d["cases"]:
        size = f"{case['seeds']} × {case['folds']} × {case['items']}"
        share = f"{case['accuracy']:.0%}" + ("" if case["against"] is None else f" − {case['against']:.0%}")
        shares = [
            f"{case[name]['share']:.1%} (± {100 * case[name]['half']:.1f} points)"
            for name in ("hierarchical", "seeds_only")
        ]
        rows.append([size, case["effects"], share, case["covers"], *shares])
    draws = d["cases"][0]["draws"]
    return [
        "### Do the intervals of accuracies hold the true one?",
        "Simulated networks whose right and wrong answers on test items depend on seed, fold, and item; in every draw "
        f"all three are new (`{d['command']}`). Share of {draws} draws in which the 95 % interval holds the true "
        "accuracy, or the true difference on the same items, and its mean half width. Few folds of very different "
        "difficulty are not normal, which a t interval cannot know.",
        _table(
            ["seeds × folds × items", "simulated", "true", "our interval is over", "ours", "over seeds alone"], rows
        ),
    ]


def _leaks(d: Document) -> list[str]:
    met = [
        [f"`{name}`", str(row["items"]), ", ".join(f"{n} {m}" for m, n in row["distinct"].items())]
        + [f"{row[kind]:.1%}" for kind in ("by_row", "by_content")]
        for name, row in d["unmasked"].items()
    ]
    scores = [
        [name, str(row["files"]), str(row["groups"])]
        + [f"{row[kind]['mean']:.1%} ± {row[kind]['spread']:.1%}" for kind in ("single", "grouped")]
        for name, row in d["inflation"].items()
    ]
    return [
        "### What would copies do?",
        "Share of a batch's items whose own sound or picture is an unmasked negative of them, with items numbered by "
        f"row and, as the engine does, by content (`{d['command']}`).",
        _table(["data set", "pairs", "distinct", "by row", "by content"], met),
        "Accuracy of the nearest training item on made-up files whose two classes cannot be told apart, so that 50 % "
        "is right: a third of the pictures have a copy, the sounds are four takes of each recording. Mean and standard "
        "deviation over random splits.",
        _table(["files of", "files", "groups", "each file by itself", "copies and takes in one split"], scores),
    ]


def _where(d: Document) -> str:
    facts = d["machine"]
    place = facts.get("gpu", f"{facts['cpu']}, {facts['threads']} threads")
    return f"{place}, PyTorch {facts['torch']}{' (quick)' if d['quick'] else ''}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _ms(ms: float) -> str:
    return f"{ms:.0f} ms" if ms >= 100 else f"{ms:.3g} ms"


def _mb(mb: float | None) -> str:
    return "" if mb is None else f"{mb:.0f} MB"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit 1 where the README is stale")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    given = parser.parse_args()
    before = given.readme.read_text()
    after = with_section(before, section(given.results))
    if given.check:
        errors, warnings = outdated(given.results)
        if before != after:
            errors.append("README's performance section is stale: run `python -m benchmarks.tables`")
        for line in (*(f"warning: {text}" for text in warnings), *errors):
            print(line, file=sys.stderr)
        return int(bool(errors))
    given.readme.write_text(after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
