"""The anchor and its strongest negatives as pictures and players."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from cpc_engine.terms import MODALITIES, READING_ORDERS, Modality

from ..components.items import show_look
from ..drawing.text import source_label
from ..shell.errors import literal
from .opened import class_of, looks, name_of

if TYPE_CHECKING:
    from cpc_engine.anatomy.lineup import Lineup, Strip

    from .anchor import Chosen


PULL = (
    "The items whose negatives have the largest share of the gradient together; similarity and age are those of the "
    "strongest. Pull: the length of Σ p k over all negatives of the source. Pushes in different directions cancel, "
    "so a large share can pull little."
)


DUPLICATES = (
    "Shuffled in the batch or in time, these are the in-batch negatives a second time: each counts twice, and nothing "
    "new is learned from their order. Shuffling the input makes new ones."
)


def show_anchor_card(chosen: Chosen, lineup: Lineup) -> None:
    """What the anchor and its positive are: one item, of which one piece is predicted."""
    frozen, row = chosen.frozen, lineup.item
    picture, sound = looks(chosen.opening, frozen.modality, row)
    st.markdown(f"**Anchor:** {literal(name_of(frozen, row))}, class “{literal(class_of(frozen, row))}”")
    show_look(picture, sound, f"{name_of(frozen, row)}, class {class_of(frozen, row)}", 180)
    if lineup.part == "item":
        what = "One view of this item. Its positive: another view of it."
    elif lineup.part == "global":
        what = f"A summary of this item. Its positive: piece {lineup.position + 1} of it."
    else:
        read = frozen.read(lineup.anchor)
        assert read is not None
        begin = lineup.position + 1 - int(lineup.part)
        heard = f"its pieces up to {begin}" if begin > 1 else "its first piece"
        if read.order:
            heard = f"{read.count} of its pieces, read {READING_ORDERS[read.order]}"
        what = f"From {heard}, a prediction of piece {lineup.position + 1}: the positive."
    st.markdown(
        f"{what} Similarity to the positive **{lineup.similarity:.2f}**, p₊ **{lineup.positive:.2%}**, loss "
        f"**{lineup.loss:.2f}**; about **{lineup.effective:,.0f}** negatives pull alike."
    )


def show_line_up(chosen: Chosen, lineup: Lineup, count: int) -> None:
    """The negatives with the largest shares of each source, the strongest source first."""
    import torch

    for name, strip in sorted(lineup.strips.items(), key=lambda pair: -pair[1].total):
        best = strip.by_item(count)
        masked = int((~strip.counts).sum())
        facts = [
            f"{strip.total:.1%} of the gradient",
            f"pull {strip.pull:.3f}",
            f"{int(strip.counts.sum()):,} negatives",
            f"{int((strip.closer & strip.counts).sum()):,} closer than the positive",
        ]
        facts += [f"{masked:,} masked"] if masked else []
        facts += ["stop-gradient: they are not pushed themselves"] if strip.detached else []
        st.markdown(f"**{source_label(name)}** · {' · '.join(facts)}", help=PULL)
        if name == "shuffled" and torch.equal(strip.positions, lineup.strips["in_batch"].positions):
            st.caption(DUPLICATES)
        if not best:
            st.caption("All of its candidates are masked for this anchor.")
            continue
        with st.container(horizontal=True, gap="small", key=f"strip-{name}"):
            for number, (index, pieces, share) in enumerate(best):
                with st.container(width=122, gap="xxsmall", key=f"candidate-{name}-{number}"):
                    _candidate(chosen, lineup, strip, index, pieces, share)


def _candidate(chosen: Chosen, lineup: Lineup, strip: Strip, index: int, pieces: int, share: float) -> None:
    frozen, row = chosen.frozen, int(strip.items[index])
    picture, sound = looks(chosen.opening, _modality(chosen, strip.source), row)
    show_look(picture, sound, f"{name_of(frozen, row)}, class {class_of(frozen, row)}", 96)
    false = ":red[**✕ own class**]" if bool(strip.same_class[index]) else ""
    age = int(strip.ages[index])
    lines = [
        f"{literal(name_of(frozen, row))}",
        f"{literal(class_of(frozen, row))} {false}",
        f"similarity **{float(strip.similarities[index]):.2f}**",
        f"share **{share:.2%}**" + (f" ({pieces} pieces)" if pieces > 1 else ""),
        f"{age} step{'s' if age > 1 else ''} old" if age else "",
        _origin(chosen, lineup, strip, index),
    ]
    st.caption("  \n".join(line for line in lines if line))


def _origin(chosen: Chosen, lineup: Lineup, strip: Strip, index: int) -> str:
    """Where a candidate that is no real latent comes from."""
    from cpc_engine.anatomy.lineup import nearest_real

    frozen = chosen.frozen
    if strip.second is not None:
        return f"mixed with {literal(name_of(frozen, int(strip.second[index])))}"
    if strip.source == "perturbed":
        row, _, cosine = nearest_real(strip, index, lineup)
        return f"noise on its latent; nearest real: {literal(name_of(frozen, row))} ({cosine:.2f})"
    if strip.source == "shuffled" and chosen.frozen.opened.config.sampler.shuffled == "input":
        return "its input in random order"
    return ""


def _modality(chosen: Chosen, source: str) -> Modality:
    """What a source's candidates are: the other modality's where they come from it."""
    from cpc_engine.sources import SOURCES

    own = chosen.frozen.modality
    return next(m for m in MODALITIES if m != own) if SOURCES[source].other_modality else own
