"""A chart or map as a figure for a paper or a slide: its plotly dict drawn by matplotlib, in centimeters and points.

Vector formats keep their text as text, so that it can be searched and edited.
"""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from warnings import catch_warnings, filterwarnings

import numpy as np

from cpc_engine.errors import ConfigError

from .charts import Figure, Floats
from .fonts import families, lacking
from .map_figure import CIVIDIS
from .palette import BLUE

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer
    from matplotlib.figure import Figure as Drawing

Format = Literal["SVG", "PDF", "PNG"]
MIME: dict[Format, str] = {"SVG": "image/svg+xml", "PDF": "application/pdf", "PNG": "image/png"}
CM, PIXEL = 1 / 2.54, 0.75  # inches and points
INK = "#1a1a1a"
DASHES = {"dash": "--", "dot": ":", "dashdot": "-.", "longdash": (0, (8, 3)), "longdashdot": (0, (8, 3, 1, 3))}
MARKS = {"circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "triangle-down": "v", "x": "X", "cross": "P"}
MARKS |= {"star": "*", "line-ns": "|", "x-thin": "x"}
RC: dict[Any, Any] = {"svg.fonttype": "none", "pdf.fonttype": 42, "text.parse_math": False, "axes.spines.top": False}
RC |= {"axes.spines.right": False}


@dataclass(frozen=True)
class Look:
    """How a figure is drawn; `names` replaces entries of the legend."""

    width_cm: float = 12.0
    height_cm: float = 8.0
    points: float = 9.0
    names: Mapping[str, str] = field(default_factory=dict)


def legend_of(figure: Figure) -> list[str]:
    """Entries of the legend, each once, in order."""
    many = sum(trace.get("showlegend") is not False for trace in figure["data"]) > 1
    shown = [trace["name"] for trace in figure["data"] if trace.get("showlegend") is not False]
    return list(dict.fromkeys(shown)) if many else []


def figure_file(figure: Figure, look: Look, kind: Format) -> bytes:
    """Draw a figure of two dimensions.

    Args:
        figure: as `charts`, `panels` and `map_figure` make them.

    Raises:
        ConfigError: the letters leave no room for the drawing.

    Example:
        >>> from ui.drawing.charts import Series, line_figure
        >>> figure_file(line_figure([Series("a", [0, 1], [1, 2])], "step", "loss"), Look(), "SVG")[:5]
        b'<?xml'
    """
    file = io.BytesIO()
    with _letters(look), catch_warnings():
        drawing = _drawn(figure, look)
        # matplotlib would draw the parts over each other. What else it warns of, such as a letter that no font has,
        # must not cost the figure.
        filterwarnings("error", "constrained_layout not applied", UserWarning)
        filterwarnings("ignore", r"Glyph \d+", UserWarning)
        try:
            drawing.savefig(file, format=kind.lower(), dpi=300)
        except UserWarning:
            raise ConfigError("a figure of that size has no room for its letters: make it larger") from None
    return file.getvalue()


def letters_lacking(figure: Figure, look: Look) -> list[str]:
    """The letters of a figure that no font of this machine has; PDF and PNG have boxes in their places."""
    from matplotlib.text import Text

    with _letters(look):
        return lacking(text.get_text() for text in _drawn(figure, look).findobj(Text) if isinstance(text, Text))


def _letters(look: Look) -> AbstractContextManager[None]:
    """Fonts and sizes, while a figure is drawn and saved."""
    from matplotlib import rc_context

    sizes = dict.fromkeys(("font.size", "axes.titlesize", "legend.fontsize"), look.points)
    return rc_context(RC | sizes | {"font.family": families()})


def _drawn(figure: Figure, look: Look) -> Drawing:
    from matplotlib.figure import Figure as Drawing

    layout = figure["layout"]
    drawing = Drawing(figsize=(look.width_cm * CM, look.height_cm * CM), layout="constrained", facecolor="white")
    panels = _panels(layout)
    heights = [high - low for low, high in panels.values()]
    axes = drawing.subplots(len(panels), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights})
    by_name = dict(zip(panels, axes[:, 0].tolist(), strict=True))
    for axis, place in by_name.items():
        _frame(place, layout, axis)
    bases: dict[tuple[str, str], Floats] = {}
    # Kept here: matplotlib leaves a label out that begins with "_", as names of classes do.
    entries: dict[str, list[tuple[str, Any]]] = {axis: [] for axis in by_name}
    for index, trace in enumerate(figure["data"]):
        axis = trace.get("yaxis", "y")
        drawn = _artist(by_name[axis], trace, figure["data"][:index], bases, layout)
        if drawn is not None and trace.get("showlegend") is not False:
            entries[axis].append((look.names.get(trace["name"], trace["name"]), drawn))
    _range(layout, by_name)
    if legend := dict(entry for of_panel in entries.values() if len(of_panel) > 1 for entry in of_panel):
        drawing.legend(legend.values(), legend, loc="outside lower center", ncols=_columns(legend, look), frameon=False)
    return drawing


def _artist(
    place: Axes, trace: Figure, before: Sequence[Figure], bases: dict[tuple[str, str], Floats], layout: Figure
) -> Artist | BarContainer | None:
    """Draw a trace; what stands for it in the legend, if anything does."""
    if trace["type"] == "heatmap":
        _heat(place, trace)
        return None
    if trace["type"] == "bar":
        return _bars(place, trace, bases, layout)
    return _trace(place, trace, before, bases, layout)


def values_of(column: Any) -> list[Any]:
    """A trace's column as a list, packed or not."""
    if isinstance(column, Mapping):
        return list(np.frombuffer(base64.b64decode(column["bdata"]), f"<{column['dtype']}").tolist())
    return list(column)


def _panels(layout: Figure) -> dict[str, tuple[float, float]]:
    """{"y", "y2", …: its part of the height}, the highest first."""
    found = {
        "y" + name.removeprefix("yaxis"): tuple(axis.get("domain", (0.0, 1.0)))
        for name, axis in layout.items()
        if name.startswith("yaxis")
    }
    return dict(sorted(found.items(), key=lambda item: -item[1][1]))


def _frame(place: Axes, layout: Figure, axis: str) -> None:
    """Titles and grid of one panel; a map has neither numbers nor lines."""
    own = layout["yaxis" + axis[1:]]
    over = own.get("domain", (0, 1))[1]
    title = layout.get("title", {}).get("text")
    titles = [title] if title and axis == "y" else []
    for note in layout.get("annotations", ()):
        if note.get("yref") == "paper" and note.get("yanchor") == "bottom" and abs(note["y"] - over) < 1e-6:
            titles.append(note["text"])
    if titles:
        place.set_title(plain_text(titles[0]).partition("■")[0], loc="left", color=INK)  # the legend says the rest
    if own.get("showticklabels") is False:
        place.set(xticks=[], yticks=[])
        place.spines[:].set_visible(False)
        place.set_aspect("equal", adjustable="datalim")
        return
    place.set_ylabel(own["title"]["text"])
    place.grid(alpha=0.25, linewidth=0.5)
    place.set_axisbelow(True)
    if own.get("type") == "category" and "categoryarray" in own:
        names = own["categoryarray"]
        place.set_yticks(range(len(names)), [plain_text(name.replace("<br>", "\n")) for name in names])
    for shape in layout.get("shapes", ()):
        place.axvline(shape["x0"], color=shape["line"]["color"], linewidth=0.8, linestyle=":")


def _trace(
    place: Axes, trace: Figure, before: Sequence[Figure], bases: dict[tuple[str, str], Floats], layout: Figure
) -> Artist | BarContainer | None:
    x, y = values_of(trace["x"]), values_of(trace["y"])
    if any(isinstance(value, str) for value in y):
        order = layout["yaxis" + trace.get("yaxis", "y")[1:]]["categoryarray"]
        y = [order.index(value) for value in y]
    xs, ys = (np.array([math.nan if value is None else value for value in row], dtype=float) for row in (x, y))
    marker, line = trace.get("marker", {}), trace.get("line", {})
    color = line.get("color") or marker.get("color") or BLUE
    alpha = trace.get("opacity", 1.0)
    if "stackgroup" in trace:
        key = (trace.get("yaxis", "y"), trace["stackgroup"])
        base = bases.get(key, np.zeros(len(ys)))
        bases[key] = base + np.nan_to_num(ys)
        return place.fill_between(xs, base, bases[key], color=color, alpha=0.6, linewidth=0)
    if trace.get("fill") == "tonexty":
        low = np.array([math.nan if value is None else value for value in values_of(before[-1]["y"])], dtype=float)
        place.fill_between(xs, low, ys, color=color, alpha=0.2, linewidth=0)
        return None
    if trace.get("fill") == "toself":
        place.fill(xs, ys, color=color, alpha=0.2, linewidth=0)
        return None
    if trace.get("fill") == "tozeroy":
        place.fill_between(xs, 0, ys, color=color, alpha=0.3, linewidth=0)
    mode = trace.get("mode", "lines")
    symbol, _, opened = str(marker.get("symbol", "circle")).partition("-open")
    mark: dict[str, Any] = {}
    if "markers" in mode:
        mark = {"marker": MARKS.get(symbol, "o"), "markersize": marker.get("size", 6) * PIXEL * 0.8}
        if opened or "-open" in str(marker.get("symbol", "")):
            mark |= {"markerfacecolor": "none"}
    if isinstance(color, Mapping):  # a number for each point
        from matplotlib.colors import LinearSegmentedColormap

        shades = LinearSegmentedColormap.from_list("cividis", CIVIDIS)
        points = place.scatter(xs, ys, c=values_of(color), cmap=shades, s=8, linewidths=0)
        bar = place.figure.colorbar(points, ax=place)
        bar.set_label(layout["coloraxis"]["colorbar"]["title"]["text"])
        return None
    style = DASHES.get(line.get("dash", "solid"), "-") if "lines" in mode else "none"
    width = line.get("width", 2) * PIXEL * 0.7
    spread = trace.get("error_x", {}).get("array")
    if spread:
        place.errorbar(xs, ys, xerr=spread, fmt="none", ecolor=color, elinewidth=1.5, capsize=3)
    [drawn] = place.plot(xs, ys, color=color, linestyle=style, linewidth=width, alpha=alpha, **mark)
    return drawn


def _bars(place: Axes, trace: Figure, bases: dict[tuple[str, str], Floats], layout: Figure) -> BarContainer:
    """Lying bars, one after the other."""
    order = layout["yaxis"]["categoryarray"]
    lengths, key = np.array(trace["x"], dtype=float), ("y", "bars")
    base = bases.get(key, np.zeros(len(lengths)))
    bases[key] = base + lengths
    where, pattern = [order.index(label) for label in trace["y"]], trace["marker"].get("pattern")
    look: dict[str, Any] = {"hatch": "///", "edgecolor": "white", "linewidth": 0.0} if pattern else {}
    return place.barh(where, lengths, left=base, height=0.75, color=trace["marker"]["color"], **look)


def _heat(place: Axes, trace: Figure) -> None:
    means = np.array([[math.nan if value is None else value for value in row] for row in trace["z"]], dtype=float)
    drawn = place.imshow(means, cmap="cividis_r" if trace["reversescale"] else "cividis", aspect="auto", origin="lower")
    place.grid(visible=False)
    place.set_xticks(range(len(trace["x"])), trace["x"])
    place.set_yticks(range(len(trace["y"])), trace["y"])
    for row, column in np.argwhere(np.isfinite(means)).tolist():
        red, green, blue, _ = drawn.cmap(drawn.norm(means[row, column]))
        ink = "black" if 0.3 * red + 0.6 * green + 0.1 * blue > 0.5 else "white"
        place.text(column, row, f"{means[row, column]:.3g}", ha="center", va="center", color=ink)
    place.figure.colorbar(drawn, ax=place)


def _range(layout: Figure, panels: Mapping[str, Axes]) -> None:
    """Fixed axes, and what stands below the lowest panel."""
    for axis, place in panels.items():
        own = layout["yaxis" + axis[1:]]
        if "range" in own and own.get("showticklabels") is not False:
            place.set_ylim(*own["range"])
    lowest = list(panels.values())[-1]
    lowest.set_xlabel(plain_text(layout["xaxis"]["title"]["text"]))
    logarithmic = layout["xaxis"].get("type") == "log"
    if logarithmic:
        lowest.set_xscale("log")
    if "range" in layout["xaxis"]:  # of a logarithmic axis plotly has exponents
        lowest.set_xlim(*(10**end if logarithmic else end for end in layout["xaxis"]["range"]))


def _columns(entries: Mapping[str, Any], look: Look) -> int:
    """As many entries in a row as the width has room for."""
    longest = max(len(label) for label in entries) + 5
    return max(1, min(len(entries), int(look.width_cm * 72 * CM / (longest * look.points * 0.7))))


def plain_text(text: str) -> str:
    """Words of a title without plotly's tags, in one line."""
    return re.sub(r"<[^>]+>", "", text.replace("<br>", "  ")).strip()
