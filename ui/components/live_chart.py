"""A plotly chart that stays in place while its data grow.

`st.plotly_chart` makes a new DOM node for every new figure, so inside `st.fragment(run_every=1)` it flickers and
forgets the reader's zoom. This component redraws the same node with `Plotly.react`; the browser's half is
`live_chart.js`.

plotly.js (5 MB) is copied from the installed package to `static/` and loaded from there, once per browser page. Where
that fails (a folder that cannot be written, static serving switched off), the browser says so and gets the text.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import streamlit as st

from ..shell.address import base_path

STATIC = Path(__file__).resolve().parents[2] / "static"


@runtime_checkable
class PlotlyFigure(Protocol):
    """`plotly.graph_objects.Figure`, without the import."""

    def to_plotly_json(self) -> dict[str, Any]: ...


# Plotly underlays the dotted hover line with one in the background's color, which it takes for white where the
# background is transparent.
CSS = """
.cpc-live-chart { width: 100%; overflow: hidden; }
.js-plotly-plot .modebar--hover:focus-within { opacity: 1; }
.cpc-live-chart .spikeline:not([stroke-dasharray]) { display: none; }
"""


def script(*names: str) -> str:
    """The browser's half of a component that draws with plotly: `plotly.js` of this folder, then the files named."""
    return "\n".join(Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("plotly.js", *names))


_mount = st.components.v2.component(
    "cpc_live_chart",
    html='<div class="cpc-live-chart" role="figure"></div>',
    css=CSS,
    js=script("near.js", "live_chart.js"),
    # Plotly puts its styles into the document's head and listens for drags on the document: no shadow root around it.
    isolate_styles=False,
)


def live_chart(
    figure: Mapping[str, Any] | PlotlyFigure, *, key: str, height: int | str = 320, alt: str, together: str = ""
) -> None:
    """Draw `figure`, or bring the chart drawn under the same `key` up to date.

    Args:
        figure: a plotly figure, as a dict (see `ui.drawing.charts`) or an object; NaN and infinity become gaps.
        key: names the chart; the same from refresh to refresh.
        height: in pixels, or a CSS length; the width follows the container.
        alt: what a screen reader says instead of the picture.
        together: charts of one page with the same word here show their values at the same x when one is pointed at.
    """
    data = {
        "figure": plain(figure.to_plotly_json() if isinstance(figure, PlotlyFigure) else figure),
        "height": height,
        "alt": alt,
        "together": together,
        **plotly_source(key),
    }
    # Without a callback Streamlit would not keep the state "plotly", by which the browser asks for the text.
    _mount(key=key, data=as_it_is(data), on_plotly_change=lambda: None)


def as_it_is(data: dict[str, Any]) -> list[dict[str, Any]]:
    """What a component is given, as a list: in a dict Streamlit looks for data frames, and imports pandas for that."""
    return [data]


def load_ahead() -> None:
    """Let the browser load plotly.js while one reads a page that leads to charts: it takes about a second."""
    if url := _url():
        code = f"(() => {{ {script()} setTimeout(() => run({json.dumps(url)}).catch(() => 0), 300); }})()"
        st.html(f"<script>{code}</script>", unsafe_allow_javascript=True)


def plotly_source(key: str) -> dict[str, str | None]:
    """Where the browser finds plotly.js for the chart `key`; the text itself, once the chart has asked for it."""
    missing = dict(st.session_state.get(key) or {}).get("plotly") == "missing"
    return {"url": _url(), "text": _bundle().read_text(encoding="utf-8") if missing else None}


def plain(value: Any) -> Any:
    """`value` as JSON knows it: arrays and tuples as lists, NaN and infinity as None."""
    if hasattr(value, "tolist"):  # NumPy arrays and scalars, pandas columns
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


@cache
def publish(static: Path = STATIC) -> str | None:
    """Copy plotly.js to `static` unless it is there; its file name, or None where the folder cannot be written.

    The version is part of the name, so that no browser keeps an old copy. Once per process and folder.
    """
    source = _bundle()
    target = static / f"plotly-{version('plotly')}.min.js"
    try:
        if not target.exists() or target.stat().st_size != source.stat().st_size:
            static.mkdir(exist_ok=True)
            # A copy beside it, then a rename: a browser never meets half a file.
            with tempfile.NamedTemporaryFile(dir=static, suffix=".part", delete=False) as part:
                part.write(source.read_bytes())
            os.chmod(part.name, 0o644)
            os.replace(part.name, target)
    except OSError:
        return None
    return target.name


def _url() -> str | None:
    name = publish()
    return name and f"{base_path()}/app/static/{name}"


@cache
def _bundle() -> Path:
    spec = find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("plotly is not installed")
    return Path(spec.submodule_search_locations[0]) / "package_data" / "plotly.min.js"
