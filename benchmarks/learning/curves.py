"""Test accuracy over seconds of training, as a drawing."""

from __future__ import annotations

from pathlib import Path

from benchmarks.table_cells import Document
from cpc_engine.experiments.figures import COLORS, MARKERS


def draw(d: Document, path: Path) -> None:
    """Write an SVG: a panel for each task, a line with intervals for each method, a level for what is not trained."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "learning", "font.size": 9}):
        figure = Figure(figsize=(6.4, 4.4 * len(d["tasks"])), layout="constrained")
        axes = figure.subplots(len(d["tasks"]), squeeze=False)[:, 0]
        for ax, (name, one) in zip(axes, d["tasks"].items(), strict=True):
            for index, method in enumerate(one["methods"].values()):
                color, marker = COLORS[index % len(COLORS)], MARKERS[index % len(MARKERS)]
                cells = [cell for cell in method["cells"] if cell["budget"]]
                if not cells:
                    ax.axhline(100 * method["cells"][0]["probe"]["mean"], color=color, ls=":", label=method["title"])
                    continue
                halves = [100 * (cell["probe"]["half"] or 0) for cell in cells]
                ax.errorbar(
                    [cell["seconds"] for cell in cells],
                    [100 * cell["probe"]["mean"] for cell in cells],
                    halves,
                    color=color,
                    marker=marker,
                    capsize=3,
                    label=method["title"],
                )
            ax.set(xscale="log", xlabel="seconds of training", ylabel="test accuracy, %", title=name)
            budgets = {cell["budget"] for method in one["methods"].values() for cell in method["cells"]} - {0}
            ax.set_xticks(sorted(budgets), [f"{budget:g}" for budget in sorted(budgets)], minor=False)
            ax.set_xticks([], minor=True)
            ax.grid(alpha=0.3)
            ax.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None})
