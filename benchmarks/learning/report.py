"""From rows to a document: means with their intervals, differences from ours, and times to given accuracies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.table_cells import Document, percent, table
from cpc_engine.errors import RunError
from cpc_engine.evaluation.intervals import Floats, from_digits, hierarchical_interval
from cpc_engine.experiments.recipe import Recipe, recipe

from .clock import MOMENTS
from .jobs import Row
from .methods import ONCE, OURS, TITLES, kind_of, parameters_of, preset_of, settings_of, title_of
from .tasks import Task

Runs = dict[int, Row]  # by seed


def document(tasks: Sequence[Task], rows: Sequence[Row]) -> tuple[Document, list[str]]:
    """Return what was measured of every task, and a line for what was left out.

    Only runs with the settings of today count.

    Raises:
        RunError: there is nothing to report, or the items of a task changed between runs.
    """
    found, told = {}, []
    for task in tasks:
        own = [row for row in rows if row["data"] == task.name]
        known = [row for row in own if row["settings"] == settings_of(row["method"], task)]
        if len(known) < len(own):
            told.append(f"{task.name}: {len(own) - len(known)} runs with other settings than today's are left out")
        if known:
            found[task.name] = _task(task, known)
    if not found:
        raise RunError("no runs with the settings of today: measure first")
    return {"tasks": found}, told


def recipe_of(tasks: Sequence[Task], found: Document, rows: Sequence[Row], command: str) -> Recipe:
    """Return the recipe of a document, with the code and the machine of every run in it (`trained`)."""
    configs, data, parameters, trained = {}, {}, {"moments": list(MOMENTS)}, []
    for task in tasks:
        for method in found["tasks"].get(task.name, {"methods": {}})["methods"]:
            if kind_of(method) in OURS:
                title, name = f"{task.name}: {method}", preset_of(method, task)
                configs[title] = (name, task.configuration(name))
                data[title] = found["tasks"][task.name]["fingerprint"]
            parameters |= {method: parameters_of(method)} if parameters_of(method) else {}
        trained += [
            row["source"]
            for row in rows
            if row["data"] == task.name and row["settings"] == settings_of(row["method"], task)
        ]
    distinct = [one for place, one in enumerate(trained) if one not in trained[:place]]
    return {**recipe(command, configs, data, parameters, packages=("lightly",)), "trained": distinct}


def _task(task: Task, rows: Sequence[Row]) -> Document:
    """Cells of every method, and the times to the bars of the task."""
    fingerprints = {row["fingerprint"] for row in rows}
    if len(fingerprints) > 1:
        raise RunError(f"{task.name}: its items changed between runs")
    groups: dict[str, dict[tuple[int, float], Runs]] = {}
    for row in rows:
        groups.setdefault(row["method"], {}).setdefault((row["threads"], row["budget"]), {})[row["seed"]] = row
    ours = groups.get("ours", {})
    methods: dict[str, Document] = {}
    for method in sorted(groups, key=lambda name: list(TITLES).index(kind_of(name))):
        cells = [_cell(runs, at, _rival(method, at, ours)) for at, runs in sorted(groups[method].items())]
        methods[method] = {"title": title_of(method), "cells": cells}
    baselines = [runs for _, runs in sorted(groups.get("baselines", {}).items())][:1]  # the same with any threads
    return {
        "preset": task.preset,
        "fingerprint": fingerprints.pop(),
        "test_items": rows[0]["test_items"],
        "methods": methods,
        "baselines": {name: _mean(runs, _digits(name)) for runs in baselines for name in _names(runs)},
        "bars": {f"{bar:.0%}": {m: _reached(one["cells"], bar) for m, one in methods.items()} for bar in task.bars},
    }


def _cell(runs: Runs, at: tuple[int, float], ours: Runs | None) -> Document:
    """What the seeds of one method and budget say, and by how much ours is better (`ours_minus`)."""
    some = next(iter(runs.values()))
    cell: Document = {"threads": at[0], "budget": at[1], "n": len(runs)}
    cell |= {name: some[name] for name in ("parameters", "gflop") if name in some}
    for name in ("seconds", "steps", "judged_seconds"):
        cell[name] = float(np.mean([row[name] for row in runs.values()]))
    cell["features"] = sorted({_chosen(row, "validation") for row in runs.values()})
    cell["probe"] = _mean(runs, probed)
    if "knn_test" in next(iter(some["features"].values())):
        cell["knn"] = _mean(runs, neighbored)
    if some.get("moments"):
        seen = [[(one["seconds"], one["knn_validation"]) for one in row["moments"]] for row in runs.values()]
        cell["moments"] = np.mean(seen, 0).round(4).tolist()
    shared = sorted(set(runs) & set(ours or {}))
    if ours and shared:
        found = hierarchical_interval({seed: [probed(ours[seed]) - probed(runs[seed])] for seed in shared})
        cell["ours_minus"] = {"mean": found.mean, "half": found.half, "n": len(shared)}
    return cell


def _rival(method: str, at: tuple[int, float], ours: dict[tuple[int, float], Runs]) -> Runs | None:
    """Our runs of the same budget; of the longest one where the method has none."""
    if method == "ours" or not ours:
        return None
    if kind_of(method) in ONCE:
        return ours[max(own for own in ours if own[0] == at[0])] if any(own[0] == at[0] for own in ours) else None
    return ours.get(at)


def _mean(runs: Runs, values: Callable[[Row], Floats]) -> Document:
    found = hierarchical_interval({seed: [values(row)] for seed, row in runs.items()})
    return {"mean": found.mean, "half": found.half, "covers": found.covers, "n": len(runs)}


def probed(row: Row) -> Floats:
    """(T,) 1 where the probe is right on a test item, with the kind of feature that validation chose for it."""
    return from_digits(row["features"][_chosen(row, "validation")]["correct"])


def neighbored(row: Row) -> Floats:
    """(T,) 1 where nearest neighbors are right, with the kind of feature that validation chose for them."""
    return from_digits(row["features"][_chosen(row, "knn_validation")]["knn_correct"])


def _chosen(row: Row, by: str) -> str:
    return max(row["features"], key=lambda name: row["features"][name][by])


def _digits(name: str) -> Callable[[Row], Floats]:
    return lambda row: from_digits(row["features"][name]["correct"])


def _names(runs: Runs) -> list[str]:
    return list(next(iter(runs.values()))["features"])


def _reached(cells: Sequence[Document], bar: float) -> float | None:
    """The shortest budget whose mean accuracy is at least `bar`; None if there is none, or nothing was trained."""
    reached = [cell["budget"] for cell in cells if cell["budget"] and cell["probe"]["mean"] >= bar]
    return min(reached, default=None)


def tables(d: Document) -> list[str]:
    """README's tables: one for each task, and one of the times to its bars."""
    parts = [
        "### Who learns what, in how many seconds?",
        "Test accuracy of the probe, mean ± half width of a 95 % interval over seeds and test items, n seeds: trained "
        "for so many seconds on so many threads, the time of probes not counted, and the number of steps fitted to "
        f"the budget (`{d['command']}`). Every method has the same items, the same probe (its C and the kind of "
        "feature chosen on validation items) and, in the last column, the same nearest neighbors at its longest "
        "budget. **Bold**: above ours of the same seconds for certain (without training: of the longest); ↓: below it "
        "for certain. That is by the interval of the difference on the same seeds and items, each by itself, without a "
        "correction for their number. lightly's losses, heads and networks train on views made from tensors, without "
        "its data loader, which would slow them down.",
    ]
    if "figure" in d:
        parts.append(f"![Test accuracy over seconds of training, one line for each method.]({d['figure']})")
    for name, one in d["tasks"].items():
        columns = sorted({(cell["threads"], cell["budget"]) for m in one["methods"].values() for cell in m["cells"]})
        trained = [at for at in columns if at[1]]
        head = [
            f"`{name}`, {one['test_items']} test items",
            "parameters",
            "GFLOP an item",
            *(f"{budget:g} s × {threads} thread{'s' if threads > 1 else ''}" for threads, budget in trained),
            "nearest neighbors",
        ]
        parts.append(table(head, [_line(m, trained) for m in one["methods"].values()]))
        if one["baselines"]:
            each = ", ".join(f"`{key}` {_percent(row)}" for key, row in one["baselines"].items())
            parts.append(f"Baselines of `{name}`: {each}.")
        if one["bars"]:
            rows = [
                [title, *(_seconds(bar[method]) for bar in one["bars"].values())]
                for method, title in ((m, found["title"]) for m, found in one["methods"].items())
                if any(cell["budget"] for cell in one["methods"][method]["cells"])
            ]
            parts.append(f"Shortest of these budgets whose mean reaches so much on `{name}`:")
            parts.append(table(["", *one["bars"]], rows))
    return parts


def _line(method: Document, trained: Sequence[tuple[int, float]]) -> list[str]:
    cells = {(cell["threads"], cell["budget"]): cell for cell in method["cells"]}
    last = method["cells"][-1]
    size = [f"{last['parameters'] / 1e6:.2f} M", f"{last['gflop']:.3g}"] if "parameters" in last else ["–", "–"]
    once = not any(budget for _, budget in cells)
    shown = [_accuracy(cells[at]) if at in cells else "–" for at in trained]
    if once:  # one value, whatever the budget; it stands in the first of their columns
        shown = [_accuracy(last), *("″" for _ in trained[1:])]
    return [method["title"], *size, *shown, _percent(last["knn"]) if "knn" in last else "–"]


def _accuracy(cell: Document) -> str:
    text = _percent(cell["probe"])
    gap = cell.get("ours_minus", {"half": None})
    if gap["half"] is None or abs(gap["mean"]) <= gap["half"]:
        return text
    return f"{text} ↓" if gap["mean"] > 0 else f"**{text}**"


def _percent(row: dict[str, Any]) -> str:
    return f"{percent(row)} (n = {row['n']})"


def _seconds(value: float | None) -> str:
    return "none" if value is None else f"{value:g} s"
