"""Figures of an experiment as PNG: curves with bands over seeds, t-SNE maps, and probes beside their baselines.

Their style: Okabe-Ito colors, safe for color-vision deficiencies, always combined with a dash or a marker.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..maps.stored import RunMap, load_map
from ..storage.folder import RunFolder
from .results import Document, suffixes
from .tables import covers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Records = list[dict[str, Any]]
_SMOOTHED = 40  # curves are averaged over windows of 1/40 of their records
ALT = {  # alternative text of each figure by the name of its file, in reading order
    "probes": "Probe accuracy of every arm, trained and untrained, beside its best baseline.",
    "maps": "t-SNE of held-out items' mean contexts, one panel per arm, a color for each class.",
    "curves": "Loss, accuracy and effective rank over the steps of each arm: mean of its runs, band from lowest to "
    "highest.",
}
_MODALITY_WORDS = {"audio": "sounds", "image": "pictures"}
# The same values as in the palette of the app, which the engine must not import.
COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8c8c8c", "#b3a000")
MARKERS = ("o", "s", "D", "^", "X", "P", "v", "*")
LINES = ("-", "--", ":", "-.")
_CYCLE = 7  # colors before the dash changes; gray and the second yellow are hard to tell as lines


@dataclass(frozen=True)
class Png:
    """One figure; `name` is a key of `ALT` and the name of its file without ".png"."""

    name: str
    content: bytes

    @property
    def alt(self) -> str:
        return ALT[self.name]


def all_figures(document: Document, folder: Path) -> list[Png]:
    """Draw every figure that the finished runs below `folder`/runs allow.

    Args:
        document: results, see `results.collect`. folder: the report folder.
    """
    figures = [_curves(document, folder), _probes(document)]
    maps = _maps(document, folder)
    return [figure for figure in (*figures, maps) if figure is not None]


def band(curves: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (steps, mean, lowest, highest) of several curves at the steps that all of them have.

    Args:
        curves: (steps, values) of each run of an arm.

    Example:
        >>> first, second = (np.array([1, 2]), np.array([4.0, 2.0])), (np.array([2, 3]), np.array([6.0, 5.0]))
        >>> [row.tolist() for row in band([first, second])]
        [[2], [4.0], [2.0], [6.0]]
    """
    steps = curves[0][0]
    for other, _ in curves[1:]:
        steps = np.intersect1d(steps, other)
    rows = np.stack([values[np.isin(at, steps)] for at, values in curves])
    return steps, rows.mean(0), rows.min(0), rows.max(0)


def _curves(document: Document, folder: Path) -> Png | None:
    kinds: list[tuple[str, str, Callable[[Records], tuple[np.ndarray, np.ndarray]]]] = [
        ("Loss", "InfoNCE loss (nats)", lambda records: _series(records, lambda r: r["loss"], smooth=True)),
        ("Contrastive accuracy", "share of anchors, 0…1", lambda records: _series(records, _accuracy, smooth=True)),
        ("Effective rank", "directions", lambda records: _series(records, _rank, smooth=False)),
    ]
    figure, axes = _figure(1, len(kinds), width=4.6, height=3.8)
    for axis, (title, unit, read) in zip(axes, kinds, strict=True):
        for index, arm in enumerate(document["arms"]):
            records = [RunFolder(folder / "runs" / run["run"]).records() for run in _finished(document, arm["label"])]
            curves = [curve for curve in map(read, records) if len(curve[0])]
            if curves:
                steps, mean, low, high = band(curves)
                style = _line_style(index)
                axis.plot(steps, mean, label=arm["label"], **style)
                axis.fill_between(steps, low, high, color=style["color"], alpha=0.15, linewidth=0)
        axis.set(title=title, xlabel="step", ylabel=unit)
        axis.grid(alpha=0.3)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=min(5, len(labels)), frameon=False, fontsize="small"
    )
    return _png("curves", figure)


def _maps(document: Document, folder: Path) -> Png | None:
    shown = [(arm["label"], _finished(document, arm["label"])[:1]) for arm in document["arms"]]
    pairs = [(label, runs[0]) for label, runs in shown if runs]
    columns = min(4, len(pairs))
    figure, axes = _figure(-(-len(pairs) // columns), columns, width=3.6, height=3.6)
    for axis in axes[len(pairs) :]:
        axis.axis("off")
    for axis, (label, run) in zip(axes, pairs, strict=False):
        run_map = load_map(RunFolder(folder / "runs" / run["run"]), "tsne")
        _scatter(axis, run_map)
        axis.set(title=f"{label}, seed {run['seed']}", xticks=[], yticks=[])
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=min(5, 2 * columns), frameon=False, fontsize="small"
    )
    return _png("maps", figure)


def _scatter(axis: Axes, run_map: RunMap) -> None:
    """Draw the items of every class; with two modalities, those of images are hollow."""
    layout, modalities = run_map.maps["tsne"].layout, np.array(run_map.modalities)
    both = len(set(run_map.modalities)) > 1
    for modality in dict.fromkeys(run_map.modalities):
        for index, name in enumerate(run_map.classes):
            rows = (run_map.labels == index) & (modalities == modality)
            color, marker = _class_marker(index)
            face = "none" if both and modality == "image" else color
            label = f"{name}, {_MODALITY_WORDS[modality]}" if both else name
            style: dict[str, Any] = {
                "marker": marker,
                "facecolors": face,
                "edgecolors": color,
                "linewidths": 0.7,
                "s": 14,
            }
            axis.scatter(layout[rows, 0], layout[rows, 1], label=label, **style)


def _probes(document: Document) -> Png | None:
    """Draw the accuracies of every arm with intervals: trained, untrained, and the best baseline."""
    rows = [
        (f"{label}{f' ({_MODALITY_WORDS[suffix[1:]]})' if suffix else ''}", arm, suffix)
        for label, arm in document["summary"].items()
        for suffix in suffixes(arm)
    ]
    if not rows:
        return None
    figure, (axis,) = _figure(1, 1, width=8, height=1.2 + 0.5 * len(rows))
    kinds = (("chosen", "trained"), ("untrained", "untrained"), ("baseline", "best baseline"))
    for offset, (metric, words) in enumerate(kinds):
        values = [
            (place, arm[metric + suffix]) for place, (_, arm, suffix) in enumerate(rows) if metric + suffix in arm
        ]
        if not values:
            continue
        means = [100 * value["mean"] for _, value in values]
        errors = [100 * (value["half"] or 0) for _, value in values]
        at = [place + 0.27 * (offset - 1) for place, _ in values]
        color, marker = _class_marker(offset)
        axis.errorbar(means, at, xerr=errors, color=color, marker=marker, linestyle="none", capsize=3, label=words)
    axis.set(yticks=range(len(rows)), yticklabels=[row[0] for row in rows], xlabel="held-out accuracy (%)")
    over = dict.fromkeys(covers(arm, [metric + suffix for metric, _ in kinds]) for _, arm, suffix in rows)
    axis.set_title(f"Linear probe, mean and 95 % interval over {'; '.join(over)}")
    axis.set_ylim(len(rows) - 0.5, -0.5)
    low, high = axis.get_xlim()
    axis.set_xlim(low, min(high, 100 + 0.02 * (100 - low)))  # the interval may exceed 100 %, the accuracy cannot
    axis.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=len(kinds), frameon=False)
    return _png("probes", figure)


def _finished(document: Document, arm: str) -> list[Document]:
    return [run for run in document["runs"] if run["arm"] == arm and run["status"] == "finished"]


def _series(
    records: Records, read: Callable[[dict[str, Any]], float | None], smooth: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return (steps, values) of the records with a value; with `smooth`, averaged over a centered window."""
    rows = [(record["step"], value) for record in records if (value := read(record)) is not None]
    steps, values = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], dtype=float)
    window = len(values) // _SMOOTHED
    if smooth and window > 1:
        weights = np.ones(window)
        values = np.convolve(values, weights, "same") / np.convolve(np.ones(len(values)), weights, "same")
    return steps, values


def _accuracy(record: Mapping[str, Any]) -> float | None:
    values = [part["accuracy"] for part in record["modalities"].values()]
    return None if None in values else sum(values) / len(values)


def _rank(record: Mapping[str, Any]) -> float | None:
    rank: float | None = (record.get("geometry") or {}).get("effective_rank")
    return rank


def _figure(rows: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure of rows × columns panels of width × height inches each, without pyplot's global state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height * rows), dpi=110, layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def _png(name: str, figure: Figure) -> Png:
    content = io.BytesIO()
    figure.savefig(content, format="png", bbox_inches="tight")
    return Png(name, content.getvalue())


def _line_style(index: int) -> dict[str, Any]:
    """Return the color and dash of the `index`-th arm as matplotlib arguments."""
    return {"color": COLORS[index % _CYCLE], "linestyle": LINES[index // _CYCLE % len(LINES)]}


def _class_marker(index: int) -> tuple[str, str]:
    """Return (color, marker) of the `index`-th class; 64 different pairs."""
    return COLORS[index % len(COLORS)], MARKERS[(index + index // len(COLORS)) % len(MARKERS)]
