"""One anchor: the answer in words, its candidates by similarity and by share, and other settings on the same batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from ..components.chart import chart_tools
from ..components.live_chart import live_chart
from ..drawing.text import SHARE, source_label
from ..shell.errors import plain_errors
from ..shell.glossary import define
from ..shell.links import train_like
from .answer import answer, warning
from .branch import fork_button
from .cards import show_anchor_card, show_line_up
from .lineup_figures import Ticks, ruler_columns, ruler_figure, shares_columns, shares_figure, titled
from .opened import name_of, present
from .scrubber.view import scrubbed, show_scrubber
from .what_if import settings

if TYPE_CHECKING:
    from cpc_engine.anatomy.lineup import Lineup
    from cpc_engine.anatomy.what_if import Outcome
    from cpc_engine.config import RunConfig

    from .anchor import Chosen

TICKS = 160  # of one source on the ruler
HARDEST = 5  # shown as pictures of each source


def show_anchor(chosen: Chosen, steps: Sequence[int]) -> None:
    """Draws itself again at every move of a slider, without the rest of the page; `steps` are those that are kept."""
    st.fragment(_anchor)(chosen, steps)


def _anchor(chosen: Chosen, steps: Sequence[int]) -> None:
    if scrubbed():
        st.rerun()
    with plain_errors():
        words = st.container(key="answer")
        left, middle, right = st.columns([20, 56, 24], gap="medium")
        with right, st.container(key="what-if", gap="xsmall"):
            st.markdown("**What if** · nothing trained", help="Other settings on the same batch, held still.")
            verdict = st.container(key="verdict")
            config = settings(chosen)
        now = present(chosen.opening, chosen.row, chosen.which, chosen.anchor)
        own = chosen.frozen.opened.config
        then = now if config == own else _asked(chosen, config)
        with words:
            st.markdown(answer(chosen.frozen, then.lineup))
        with verdict:
            _verdict(chosen, now, then, config)
        with left:
            show_anchor_card(chosen, then.lineup)
        with middle:
            _charts(chosen, now, then, config)
            show_line_up(chosen, then.lineup, HARDEST)
        with left:
            show_scrubber(chosen, steps)
            if chosen.frozen.batch.replaced:  # last, so that nothing moves where it comes and goes
                st.caption("The anchor's item takes the place of one item of the batch that the run drew next.")


def _asked(chosen: Chosen, config: RunConfig) -> Outcome:
    from cpc_engine.anatomy.what_if import what_if

    return what_if(chosen.frozen, chosen.anchor, config)


def _verdict(chosen: Chosen, now: Outcome, then: Outcome, config: RunConfig) -> None:
    """What the settings change, and the way to train with them."""
    changes = {path: new for path, (new, _) in config.differences(chosen.frozen.opened.config).items()}
    rows = {
        "loss (batch)": (now.loss, then.loss, ".3f"),
        "p₊ (batch)": (now.positive_mass, then.positive_mass, ".2%"),
        "from false negatives (batch)": (now.false_mass, then.false_mass, ".0%"),
        "effective negatives (this anchor)": (now.lineup.effective, then.lineup.effective, ",.0f"),
    }
    lines = [
        f"{name}: **{format(new, form)}**" + (f" (now {format(old, form)})" if changes else "")
        for name, (old, new, form) in rows.items()
    ]
    if changes:
        lines.append(f"gradient, cosine to the present one: **{then.cosine(now):.2f}**")
    st.markdown("  \n".join(lines), help=define("effective_negatives"))
    if changes:
        if chosen.opening.step is None:  # there is no checkpoint of an earlier step to go on from
            fork_button(chosen.run, changes)
        else:
            st.caption("A fork begins at the present step.")
        train_like(chosen.frozen.opened.config, "Train with these settings", changes)
    else:
        st.caption("Move a slider: everything on this page follows.")


def _charts(chosen: Chosen, now: Outcome, then: Outcome, config: RunConfig) -> None:
    lineup = then.lineup
    ticks = {name: _ticks(chosen, lineup, name) for name in lineup.strips}
    ruler = ruler_figure(ticks, lineup.similarity)
    best = lineup.strongest
    alt = f"Similarities of all candidates to the anchor by source; the positive is at {lineup.similarity:.2f}."
    live_chart(ruler, key=f"ruler-{chosen.run}", height=ruler["layout"]["height"], alt=alt)
    rows = _rows(chosen, now, then)
    bars = shares_figure(rows)
    alt = f"{SHARE} by source; {source_label(best) if best else 'no source'} has most of it."
    live_chart(bars, key=f"shares-{chosen.run}", height=bars["layout"]["height"], alt=alt)
    st.caption(
        "Ruler: ✕ has the anchor's class. Bars: share of the gradient on negatives by source, hatched where it comes "
        "from the anchor's class.",
        help=define("gradient_share"),
    )
    with st.container(horizontal=True, gap="small", key="lineup-tools"):
        title = "Similarity of the candidates to the anchor (line: its positive, ×: its class)"
        chart_tools(titled(ruler, title), f"ruler-{chosen.run}", ruler_columns(ticks, lineup.similarity), "ruler")
        chart_tools(titled(bars, SHARE), f"shares-{chosen.run}", shares_columns(rows), "bars")
    if found := warning(lineup, config):
        st.markdown(f":orange[:material/warning:] {found}")


def _rows(chosen: Chosen, now: Outcome, then: Outcome) -> dict[str, dict[str, tuple[float, float]]]:
    """Shares of the anchor, of those that predict from the same context, and of the whole batch."""
    from cpc_engine.anatomy.lineup import line_up

    lineup = then.lineup
    rows = {"this anchor": _shares(lineup)}
    if then is not now:
        rows = {"what if": _shares(lineup), "present settings": _shares(now.lineup)}
    else:
        beside = chosen.frozen.beside(chosen.anchor)
        if len(beside) > 1:
            rows = {}
            for part, anchor in beside.items():
                own = anchor == chosen.anchor
                words = f"{part} ahead{' (this anchor)' if own else ''}"
                rows[words] = _shares(lineup if own else line_up(chosen.frozen, anchor))
    rows["whole batch"] = {
        name: (stats.share * (1 - stats.false_mass), stats.share * stats.false_mass)
        for name, stats in then.sources.items()
    }
    return rows


def _shares(lineup: Lineup) -> dict[str, tuple[float, float]]:
    return {
        name: (strip.total * (1 - strip.false_share), strip.total * strip.false_share)
        for name, strip in lineup.strips.items()
    }


def _ticks(chosen: Chosen, lineup: Lineup, name: str) -> Ticks:
    """The strongest candidates of a source, and others evenly spread over its similarities."""
    strip = lineup.strips[name]
    counted = strip.counts.nonzero()[:, 0]
    order = counted[strip.similarities[counted].argsort(descending=True)].tolist()
    step = max(1, len(order) // TICKS)
    shown = sorted({*range(min(12, len(order))), *range(0, len(order), step)})
    kept = [order[i] for i in shown]
    return Ticks(
        [float(strip.similarities[i]) for i in kept],
        [name_of(chosen.frozen, int(strip.items[i])) for i in kept],
        [bool(strip.same_class[i]) for i in kept],
    )
