"""Tables of an experiment's results as text, {column: cells}, made from the document of `results.collect`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..evaluation.baselines import BASELINES
from ..evaluation.metric_info import describe_metric
from .definitions import run_title
from .results import Document, suffixes

Table = dict[str, list[str]]

GEOMETRY = ("alignment", "uniformity", "effective_rank", "effective_rank_uncentered", "rank_items")
PAIRS = (
    "retrieval_class",
    "retrieval_class_reverse",
    "modality_gap",
    "modality_gap_ratio",
    "modality_accuracy",
    "pair_alignment",
)
_SHARES = (
    *("probe", "chosen", "untrained", "baseline", "knn", "untrained_knn"),
    *("retrieval_class", "retrieval_class_reverse", "retrieval_pair", "modality_accuracy"),
)
_MODALITIES = {".audio": "sounds", ".image": "pictures", "": ""}


def arms_table(document: Document) -> Table:
    """Return one row per arm: preset, changed settings, steps, training items seen in them, number of finished runs."""
    rows = []
    configs = document.get("recipe", {}).get("configs", {})
    for arm in document["arms"]:
        runs = [run for run in document["runs"] if run["arm"] == arm["label"]]
        finished = sum(run["status"] == "finished" for run in runs)
        changes = ", ".join(f"{setting} = {value}" for setting, value in arm["overrides"].items())
        titles = [run_title(arm["label"], fold) for fold in document.get("folds", ("",))]
        batches = {configs[title]["settings"]["optimizer"]["batch_size"] for title in titles if title in configs}
        seen = "–" if len(batches) != 1 else f"{arm['steps'] * batches.pop():,}"
        rows.append([arm["label"], arm["preset"], changes, str(arm["steps"]), seen, f"{finished} of {len(runs)}"])
    return _table(("arm", "preset", "changed", "steps", "items seen", "finished runs"), rows)


def failures_table(document: Document) -> Table:
    """Return one row per run that did not finish, with the reason."""
    rows = [
        [run["arm"], str(run["seed"]), run["fold"], run["status"], run["message"]]
        for run in document["runs"]
        if run["status"] != "finished"
    ]
    return _table(("arm", "seed", "fold", "status", "why"), rows)


def probes_table(document: Document) -> Table:
    """Return one row per arm and modality: accuracy trained, untrained, and of the best baseline, with verdicts.

    Nearest neighbors are those on the chosen feature; of two modalities there is their mean.
    """
    rows = []
    for label, arm in document["summary"].items():
        neighbors = interval(arm, "knn") + (" (mean of both)" if len(suffixes(arm)) > 1 and "knn" in arm else "")
        for suffix in suffixes(arm):
            verdicts = [verdict_of(document, label, other, suffix) for other in ("untrained", "best baseline")]
            metrics = [f"{name}{suffix}" for name in ("chosen", "untrained", "baseline")]
            trained, *others = (interval(arm, metric) for metric in metrics)
            cells = [trained, neighbors, *others, covers(arm, metrics)]
            rows.append([label, _MODALITIES[suffix], *cells, *(verdict["text"] for verdict in verdicts)])
    means = ("trained", "neighbors, trained", "untrained", "best baseline", "± over")
    head = ("arm", "of", *means, "against untrained", "against the best baseline")
    return _table(head, rows)


def features_table(document: Document) -> Table:
    """Return one row per arm and kind of feature: accuracy of probe and nearest neighbors, trained and untrained.

    The chosen feature of two modalities has the mean over both.
    """
    rows = []
    for label, arm in document["summary"].items():
        for name in arm:
            kind, _, feature = name.partition(".")
            if kind == "probe":
                kinds = ("untrained", "knn", "untrained_knn")
                others = [interval(arm, f"{kind}.{feature}" if feature else kind) for kind in kinds]
                rows.append([label, feature.replace("_", " ") or "the chosen one", interval(arm, name), *others])
    return _table(("arm", "feature", "trained", "untrained", "neighbors", "neighbors untrained"), rows)


def baselines_table(document: Document) -> Table:
    """Return one row per baseline and accuracy; arms with the same value share a row."""
    rows: dict[tuple[str, str], list[str]] = {}
    for label, arm in document["summary"].items():
        for name in arm:
            kind, _, rest = name.partition(".")
            modality, _, baseline = rest.rpartition(".")
            if kind == "baseline" and baseline in BASELINES:
                words = BASELINES[baseline] + (f" ({_MODALITIES[f'.{modality}']})" if modality else "")
                rows.setdefault((words, interval(arm, name)), []).append(label)
    total = len(document["summary"])
    cells = [[words, "all" if len(arms) == total else ", ".join(arms), value] for (words, value), arms in rows.items()]
    return _table(("baseline", "arms", "accuracy"), cells)


def metrics_table(document: Document, metrics: Sequence[str]) -> Table:
    """Return one row per arm, one column per metric that any arm has."""
    present = [name for name in metrics if any(name in arm for arm in document["summary"].values())]
    rows = [[label, *(interval(arm, name) for name in present)] for label, arm in document["summary"].items()]
    return _table(("arm", *map(title, present)), rows)


def verdicts_table(document: Document) -> Table:
    """Return the verdicts of the first arm against each other arm, those on the primary metric first."""
    rows = []
    for verdict in sorted(document["verdicts"], key=lambda verdict: verdict["role"] != "primary"):
        if " against " in verdict["question"]:
            words = [verdict["question"], title(verdict["metric"]), verdict["role"], verdict["text"]]
            rows.append([*words, difference(verdict), verdict["method"]])
    return _table(("arms", "metric", "role", "verdict", "difference, 95 % interval", "test"), rows)


def covers(arm: Document, metrics: Iterable[str]) -> str:
    """Return what the intervals of some metrics cover, as text.

    Args:
        arm: a value of `document["summary"]`.

    Example:
        >>> covers({"chosen": {"interval": "seeds × items"}, "baseline": {"interval": "seeds"}}, ("chosen", "baseline"))
        'seeds × items; seeds'
    """
    return "; ".join(dict.fromkeys(arm[metric]["interval"] for metric in metrics if metric in arm))


def verdict_of(document: Document, a: str, b: str, suffix: str = "", metric: str = "chosen") -> dict[str, Any]:
    """Return the verdict of arm `a` against `b`: another arm, "untrained", or "best baseline"."""
    name = f"{metric}{suffix}"
    return next(v for v in document["verdicts"] if (v["a"], v["b"], v["metric"]) == (a, b, name))


def interval(arm: Document, metric: str) -> str:
    """Return the mean and the 95 % half width of a metric as text; "–" if it was not measured.

    Args:
        arm: a value of `document["summary"]`.

    Example:
        >>> interval({"chosen": {"mean": 0.901, "half": 0.004}}, "chosen")
        '90.1 ± 0.4 %'
    """
    summary = arm.get(metric)
    if summary is None:
        return "–"
    if metric.rpartition(".")[2] == "rank_items":
        return f"{summary['mean']:g}"
    share = metric.partition(".")[0] in _SHARES
    mean, half = (
        None if value is None else (100 * value if share else value) for value in (summary["mean"], summary["half"])
    )
    text = _number(mean, share) + ("" if half is None else f" ± {_number(half, share)}")
    return f"{text} %" if share else text


def difference(verdict: dict[str, Any]) -> str:
    """Return the difference of a verdict with its interval as text; empty without one.

    Example:
        >>> difference({"metric": "chosen", "difference": 0.062, "low": 0.051, "high": 0.073})
        '+6.2 (5.1 to 7.3) points'
    """
    if verdict["difference"] is None:
        return ""
    share = verdict["metric"].partition(".")[0] in _SHARES
    scale = 100 if share else 1
    mean, low, high = (scale * verdict[name] for name in ("difference", "low", "high"))
    text = f"{'+' if mean >= 0 else ''}{_number(mean, share)} ({_number(low, share)} to {_number(high, share)})"
    return f"{text} points" if share else text


def title(metric: str) -> str:
    """Return the name of a metric in words, for table heads.

    Example:
        >>> title("retrieval_class"), title("chosen.audio")
        ('retrieval R@1 (class)', 'probe of sounds')
    """
    kind, _, rest = metric.partition(".")
    if kind == "chosen":
        return f"probe of {_MODALITIES[f'.{rest}']}" if rest else "probe"
    if metric == "modality_gap_ratio":
        return "gap ÷ gap without the pair term"
    words = describe_metric(metric).title
    return words if words.startswith("InfoNCE") else words[:1].lower() + words[1:]


def _number(value: float | None, share: bool) -> str:
    assert value is not None
    return f"{value:.1f}" if share else f"{value:.3g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    return {name: [row[index] for row in rows] for index, name in enumerate(head)}
