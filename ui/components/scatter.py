"""A map whose points can be hovered, played and marked, without its data being sent again.

`st.plotly_chart` reports a selection by running the page, map and all, and does not report hovering. Here a map is
mounted once and redrawn in place, and small *ports* in fragments of their own speak with it by its key: `cards` (hover
and click), `choice` (lasso), `light` (points to light up). The browser's half is `scatter.js` and the `scatter_*.js`
beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from ..drawing.charts import Figure
from ..drawing.pictures import data_address
from .live_chart import as_it_is, plotly_source, script

CSS = """
.cpc-scatter { position: relative; width: 100%; overflow: hidden; }
.cpc-scatter:focus { outline: none; }
.js-plotly-plot .modebar--hover:focus-within { opacity: 1; }
.cpc-lasso { position: absolute; inset: 0; width: 100%; height: 100%; pointer-events: none; }
.cpc-lasso polygon { fill: var(--st-primary-color); fill-opacity: 0.12; stroke: var(--st-primary-color);
  stroke-width: 2px; stroke-dasharray: 4 3; }
.cpc-names { position: absolute; inset: 0; pointer-events: none; }
.cpc-names span { position: absolute; padding: 0 0.3em; border-radius: 0.3em; white-space: nowrap;
  font: 600 0.8rem/1.3 var(--st-font); color: var(--st-text-color);
  background: color-mix(in srgb, var(--st-background-color) 72%, transparent); }
.cpc-card { position: fixed; inset: auto; margin: 0; max-width: 15rem; padding: 0.5rem; border-radius: 0.5rem;
  pointer-events: none; font: 0.85rem/1.35 var(--st-font); color: var(--st-text-color);
  background: var(--st-background-color); border: 1px solid var(--st-border-color);
  box-shadow: 0 3px 14px rgb(0 0 0 / 25%); overflow-wrap: anywhere; }
.cpc-card img { display: block; width: 8rem; height: 8rem; object-fit: contain; image-rendering: pixelated;
  margin-bottom: 0.35rem; }
.cpc-card-title { font-weight: 600; }
.cpc-card-line { opacity: 0.8; }
.cpc-large { border: 0; border-radius: 0.75rem; padding: 1rem; color: var(--st-text-color);
  background: var(--st-background-color); text-align: center; font-family: var(--st-font); }
.cpc-large::backdrop { background: rgb(0 0 0 / 55%); }
.cpc-large img { width: min(70vw, 70vh); image-rendering: pixelated; }
"""

_mount = st.components.v2.component(
    "cpc_scatter",
    html='<div class="cpc-scatter"></div>',
    css=CSS,
    js=script(
        "near.js",
        "scatter_card.js",
        "scatter_drag.js",
        "scatter_lasso.js",
        "scatter_names.js",
        "scatter_pan.js",
        "scatter_points.js",
        "scatter.js",
    ),
    # Plotly puts its styles into the document's head and listens for drags on the document: no shadow root around it.
    isolate_styles=False,
)


@dataclass(frozen=True)
class Card:
    """What is shown of one point; `picture` is a PNG, `sound` a WAV. A click plays or enlarges."""

    title: str
    lines: Sequence[str] = ()
    picture: bytes | None = None
    sound: bytes | None = None


def scatter(
    figure: Figure, *, key: str, height: int | str, alt: str, lasso: bool = True, group: str | None = None
) -> None:
    """Draw a map, or bring the map drawn under the same `key` up to date; zoom and hidden groups are kept.

    Args:
        figure: as `ui.drawing.map_figure` makes it.
        height: in pixels, or a CSS length; the width follows the container.
        alt: what a screen reader says instead of the picture.
        lasso: whether dragging marks points (see `choice`); otherwise it moves the map.
        group: maps of one group mark the same points, by id; `choice`, `lassoed` and `clicked` then take its name.
    """
    data = {"role": "map", "link": key, "group": group, "lasso": lasso, "figure": figure, "height": height, "alt": alt}
    _mount(key=key, data=as_it_is(data | plotly_source(key)), on_plotly_change=lambda: None)


def cards(link: str, answer: Callable[[int], Card]) -> None:
    """Answer hovering and clicking on the map `link`. Call it inside a fragment."""
    hovered = _state(f"{link}-cards", "hovered")
    card = None
    if hovered:
        content = answer(int(hovered["id"]))
        card = {"id": hovered["id"], "title": content.title, "lines": list(content.lines)}
        card |= {"picture": _address(content.picture, "image/png"), "sound": _address(content.sound, "audio/wav")}
    data = {"role": "port", "link": link, "hears": ["hovered"], "card": card}
    _mount(key=f"{link}-cards", data=as_it_is(data), on_hovered_change=lambda: None)


def lassoed(link: str) -> list[int]:
    """The points inside the newest lasso, by id."""
    lasso = _state(f"{link}-choice", "lassoed") or {"ids": []}
    return [int(point) for point in lasso["ids"]]


def lasso_number(link: str) -> int:
    """The number of the newest lasso, which rises with each; 0 before the first."""
    lasso = _state(f"{link}-choice", "lassoed")
    return int(lasso["n"]) if lasso else 0


def clicked(link: str) -> int | None:
    """The point that was clicked last on the map or group of maps `link`, by id."""
    click = _state(f"{link}-choice", "clicked")
    return int(click["id"]) if click else None


def choice(
    link: str, ids: Sequence[int], on_lasso: Callable[[], None], on_click: Callable[[], None] | None = None
) -> None:
    """Mark points on the map or group of maps `link` and hear of `lassoed` and `clicked`. Call it inside a fragment."""
    mark = {"ids": list(ids), "n": lasso_number(link)}
    hears = ["lassoed", "clicked"] if on_click else ["lassoed"]
    data = {"role": "port", "link": link, "hears": hears, "mark": mark}
    _mount(
        key=f"{link}-choice",
        data=as_it_is(data),
        on_lassoed_change=on_lasso,
        on_clicked_change=on_click or (lambda: None),
    )


def light(link: str, traces: Sequence[Figure]) -> None:
    """Lay plotly traces over the map `link`, in its own coordinates; an empty list removes them."""
    data: dict[str, Any] = {"role": "port", "link": link, "hears": [], "lit": list(traces)}
    _mount(key=f"{link}-lit", data=as_it_is(data))


def _state(key: str, kind: str) -> Any:
    """What the browser reported last through a port; None before it did."""
    return dict(st.session_state.get(key) or {}).get(kind)


def _address(content: bytes | None, kind: str) -> str | None:
    return data_address(content, kind) if content else None
