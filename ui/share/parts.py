"""What the shared demo shows of one placed item: pure functions from a placement to a figure and to HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from cpc_engine.evaluation.alarms import has_collapsed, newest_geometry
from cpc_engine.terms import ITEM_NOUNS

from ..drawing.charts import Figure
from ..drawing.map_figure import class_figure, lit_traces
from ..drawing.text import SAYS_LITTLE, collapsed_words

if TYPE_CHECKING:
    from cpc_engine.maps.projection import Method
    from cpc_engine.maps.stored import RunMap
    from cpc_engine.placing import Neighbor, Placed, Placement, Placer

METHOD: Method = "tsne"
BOXES = {
    "typical": "typical",
    "borderline": "borderline",
    "unlike anything trained on: position not meaningful": "odd",
    "cannot be told: too few validation items": "unknown",
    None: "unknown",
}
CSS = """
.cpc-map { padding: 0.25rem 0.5rem; }
.cpc-map .js-plotly-plot text { fill: var(--body-text-color) !important; }
.cpc-map .js-plotly-plot .hoverlayer text { fill: #ffffff !important; }
.cpc-words { line-height: 1.5; overflow-wrap: anywhere; }
.cpc-words h2, .cpc-words h3 { margin: 0.75rem 0 0.25rem; }
.cpc-words table { width: 100%; border-collapse: collapse; }
.cpc-words table, .cpc-words tr, .cpc-words th, .cpc-words td { border: 0 !important; }
.cpc-words th, .cpc-words td { text-align: left; padding: 0.25rem 0.5rem 0.25rem 0; }
.cpc-words tr { border-bottom: 1px solid var(--border-color-primary) !important; }
.cpc-words td:last-child, .cpc-words th:last-child { text-align: right; font-variant-numeric: tabular-nums; }
.cpc-verdict { padding: 0.5rem 0.75rem; border-left: 4px solid; }
.cpc-unknown { border-color: #8c8c8c; }
.cpc-typical { border-color: #009e73; }
.cpc-borderline { border-color: #e69f00; }
.cpc-odd { border-color: #d55e00; }
"""


def base_map(known: RunMap) -> Figure:
    """The held-out items of a run by class, nothing lit up."""
    figure = class_figure(known, known.maps[METHOD].layout, "Where unseen items land (t-SNE)")
    clear = "rgba(0,0,0,0)"  # the page's own background shows through
    figure["layout"] |= {"paper_bgcolor": clear, "plot_bgcolor": clear, "height": 480}
    return figure


def lit_map(base: Figure, known: RunMap, placement: Placement) -> Figure:
    """`base` with the item as a star, rings around its nearest in the original space, and the path of a long clip."""
    near = known.maps[METHOD].layout[[neighbor.row for neighbor in placement.neighbors]]
    path = [window.positions[METHOD] for window in placement.windows] or None
    return base | {
        "data": base["data"] + lit_traces([placement.positions[METHOD]], [""], near, path, [placement.is_unlike])
    }


def verdict_html(placed: Placed) -> str:
    """What one item is taken for and how far that can be trusted, or why it could not be placed."""
    placement = placed.placement
    if placement is None:
        return _box("odd", f"<p role='alert'><strong>Not placed:</strong> {escape(str(placed.error))}</p>")
    lines = ["<p>No class: this run was never evaluated.</p>"]
    if placement.predicted is not None:
        lines = [f"<p>Class: <strong>{escape(placement.predicted)}</strong></p>"]
        if placement.is_unlike:
            lines = [f"<p>{SAYS_LITTLE} Likeliest class: {escape(placement.predicted)}.</p>"]
    if placement.verdict:
        lines.append(f"<p><strong>{_sentence(placement.verdict)}</strong> ")
        lines.append(f"{placement.typicality_words}</p>")
    lines += [f"<p>{_sentence(note)}</p>" for note in placement.notes]
    return _box(BOXES[placement.verdict], "".join(lines))


def likely(placement: Placement) -> dict[str, float]:
    """Classes with their probabilities, to be drawn as bars; empty where there are none or they mean nothing."""
    return {} if placement.is_unlike else placement.probabilities or {}


def near_html(placement: Placement) -> str:
    """Neighbors of one item, and how steady it lies among them."""
    parts = [_neighbors("Nearest in the original space", placement.neighbors)]
    if placement.cross_modal:
        others = ITEM_NOUNS[placement.cross_modal[0].modality][1]
        parts.append(_neighbors(f"Nearest {others}", placement.cross_modal))
    stability = placement.stability
    kept = "" if stability.agreement is None else f", {stability.agreement:.0%} of them in the same class"
    parts.append(f"<p>{stability.copies} perturbed copies of it stay at cosine {stability.cosine:.2f}{kept}. ")
    parts.append(f"Of its nearest dots on the map, {placement.overlap[METHOD]:.0%} are truly among its nearest.</p>")
    return f"<div class='cpc-words'>{''.join(parts)}</div>"


def heading_html(placer: Placer) -> str:
    """What the run is, and what can be tried on it."""
    name = placer.config.run.name or placer.folder.id
    kinds = " and ".join(ITEM_NOUNS[modality][1] for modality in placer.modalities)
    labels = "without labels"
    if len(placer.modalities) > 1 and placer.config.loss.pair_weight > 0:
        labels = "in pairs of one class, so the pairing was a label"
    trust = placer.map.maps[METHOD].trustworthiness
    quality = f"Trustworthiness of the map: {trust:.2f} of 1 (1: neighbors on the map are true neighbors)."
    if has_collapsed(newest_geometry(placer.folder.records())):
        quality = f"<strong>{collapsed_words(trust)}</strong>"
    return (
        f"<div class='cpc-words'><h2>{escape(name)}</h2><p>A network that learned from {kinds} alone, {labels}. "
        "Give it one of yours: a star lights up on the map among held-out items, rings mark those that are truly "
        f"nearest. {quality} "
        "Nothing is trained, and what you send is deleted after some minutes.</p></div>"
    )


def _neighbors(title: str, near: Sequence[Neighbor]) -> str:
    rows = "".join(
        f"<tr><td>{escape(neighbor.label)}</td><td>{escape(neighbor.source)}</td><td>{neighbor.cosine:.2f}</td></tr>"
        for neighbor in near
    )
    head = "<tr><th scope='col'>Class</th><th scope='col'>Item</th><th scope='col'>Cosine</th></tr>"
    return f"<h3>{title}</h3><table><thead>{head}</thead><tbody>{rows}</tbody></table>"


def _box(kind: str, content: str) -> str:
    return f"<div class='cpc-words cpc-verdict cpc-{kind}'>{content}</div>"


def _sentence(text: str) -> str:
    return escape(f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}")
