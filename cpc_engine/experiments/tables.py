"""An experiment's results as tables for people: {column: cells}, made from the document of `results.collect`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..evaluation.baselines import BASELINES
from ..evaluation.compare import describe_measure
from .results import Document, suffixes

Table = dict[str, list[str]]

GEOMETRY = ("alignment", "uniformity", "effective_rank", "effective_rank_uncentred")
PAIRS = ("retrieval_class", "modality_gap", "modality_gap_ratio", "modality_accuracy", "pair_alignment")
_SHARES = ("probe", "chosen", "untrained", "baseline", "retrieval_class", "retrieval_pair", "modality_accuracy")
_MODALITIES = {".audio": "sounds", ".image": "pictures", "": ""}


def arms_table(document: Document) -> Table:
    """What each arm is, and how many of its runs finished."""
    rows = []
    for arm in document["arms"]:
        runs = [run for run in document["runs"] if run["arm"] == arm["label"]]
        finished = sum(run["status"] == "finished" for run in runs)
        changes = ", ".join(f"{knob} = {value}" for knob, value in arm["overrides"].items())
        rows.append([arm["label"], arm["preset"], changes, str(arm["steps"]), f"{finished} of {len(runs)}"])
    return _table(("arm", "preset", "changed", "steps", "finished runs"), rows)


def failures_table(document: Document) -> Table:
    """Runs that did not finish, and why."""
    rows = [
        [run["arm"], str(run["seed"]), run["fold"], run["status"], run["message"]]
        for run in document["runs"]
        if run["status"] != "finished"
    ]
    return _table(("arm", "seed", "fold", "status", "why"), rows)


def probes_table(document: Document) -> Table:
    """One row per arm and modality: trained, the same network untrained, the best baseline, and who wins."""
    rows = []
    for label, arm in document["summary"].items():
        for suffix in suffixes(arm):
            verdicts = [verdict_of(document, label, other, suffix) for other in ("untrained", "best baseline")]
            cells = [interval(arm, f"{name}{suffix}") for name in ("chosen", "untrained", "baseline")]
            rows.append([label, _MODALITIES[suffix], *cells, *(verdict["text"] for verdict in verdicts)])
    head = ("arm", "of", "trained", "untrained", "best baseline", "against untrained", "against the best baseline")
    return _table(head, rows)


def features_table(document: Document) -> Table:
    """Probe accuracy of every kind of feature, trained and untrained."""
    rows = []
    for label, arm in document["summary"].items():
        for name in arm:
            kind, _, feature = name.partition(".")
            if kind == "probe":
                rows.append(
                    [label, feature.replace("_", " "), interval(arm, name), interval(arm, f"untrained.{feature}")]
                )
    return _table(("arm", "feature", "trained", "untrained"), rows)


def baselines_table(document: Document) -> Table:
    """Every baseline; arms that share data and front end share their row."""
    rows: dict[tuple[str, str], list[str]] = {}
    for label, arm in document["summary"].items():
        for name in arm:
            kind, _, rest = name.partition(".")
            modality, _, baseline = rest.rpartition(".")
            if kind == "baseline" and baseline in BASELINES:
                words = BASELINES[baseline] + (f" ({_MODALITIES[f'.{modality}']})" if modality else "")
                rows.setdefault((words, interval(arm, name)), []).append(label)
    everyone = len(document["summary"])
    cells = [
        [words, "all" if len(arms) == everyone else ", ".join(arms), value] for (words, value), arms in rows.items()
    ]
    return _table(("baseline", "arms", "accuracy"), cells)


def measures_table(document: Document, measures: Sequence[str]) -> Table:
    """One row per arm, one column per measure that any arm has."""
    there = [name for name in measures if any(name in arm for arm in document["summary"].values())]
    rows = [[label, *(interval(arm, name) for name in there)] for label, arm in document["summary"].items()]
    return _table(("arm", *map(title, there)), rows)


def verdicts_table(document: Document) -> Table:
    """The first arm against each other arm."""
    rows = []
    for verdict in document["verdicts"]:
        if " against " in verdict["question"]:
            rows.append(
                [
                    verdict["question"],
                    title(verdict["measure"]),
                    verdict["text"],
                    difference(verdict),
                    verdict["method"],
                ]
            )
    return _table(("arms", "measure", "verdict", "difference, 95 % interval", "test"), rows)


def verdict_of(document: Document, a: str, b: str, suffix: str = "", measure: str = "chosen") -> dict[str, Any]:
    """The verdict of arm `a` against `b` (another arm, "untrained" or "best baseline")."""
    name = f"{measure}{suffix}"
    return next(v for v in document["verdicts"] if (v["a"], v["b"], v["measure"]) == (a, b, name))


def interval(arm: Document, measure: str) -> str:
    """ "90.1 ± 0.4 %": mean and 95 % half width over seeds; "–" where it was not measured."""
    found = arm.get(measure)
    if found is None:
        return "–"
    share = measure.partition(".")[0] in _SHARES
    mean, half = (
        None if value is None else (100 * value if share else value) for value in (found["mean"], found["half"])
    )
    text = _number(mean, share) + ("" if half is None else f" ± {_number(half, share)}")
    return f"{text} %" if share else text


def difference(verdict: dict[str, Any]) -> str:
    """ "+6.2 (5.1 to 7.3) points": a verdict's difference with its interval; "" without one."""
    if verdict["difference"] is None:
        return ""
    share = verdict["measure"].partition(".")[0] in _SHARES
    scale = 100 if share else 1
    mean, low, high = (scale * verdict[name] for name in ("difference", "low", "high"))
    text = f"{'+' if mean >= 0 else ''}{_number(mean, share)} ({_number(low, share)} to {_number(high, share)})"
    return f"{text} points" if share else text


def title(measure: str) -> str:
    """A measure's name in words."""
    kind, _, rest = measure.partition(".")
    if kind == "chosen":
        return f"probe of {_MODALITIES[f'.{rest}']}" if rest else "probe"
    if measure == "modality_gap_ratio":
        return "gap ÷ gap without the pair term"
    return describe_measure(measure).title.lower()


def _number(value: float | None, share: bool) -> str:
    assert value is not None
    return f"{value:.1f}" if share else f"{value:.3g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    return {name: [row[index] for row in rows] for index, name in enumerate(head)}
