"""One placed item on a card: what the network got, what it makes of it, and whether that means anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from .compare_curves import plain_name
from .engine import literal, sentence
from .explore_choice import tiles
from .explore_data import label_of
from .maps import METHODS
from .palette import KINDS
from .place_items import CROPS, Item, cropped, is_square, placed, remove
from .place_senses import heard, seen
from .svg import show_svg

if TYPE_CHECKING:
    from cpc_engine.placing import Neighbour, Placement, Placer
    from cpc_engine.runs.explore import Exploration

COLORS = {"typical": "green", "borderline": "orange"}
MOST = 5  # classes listed


def crop_of(item: Item) -> float:
    """The part of a picture that its reader chose."""
    return float(st.session_state.get(f"crop-{item.number}", 0.5))


def try_place(item: Item, run: str, methods: tuple[Any, ...]) -> Placement | str:
    """Where an item lands, or the one sentence that says why it cannot be placed."""
    from cpc_engine.errors import DataError

    if item.media is None:
        return item.error
    try:
        return placed(item, run, methods, crop_of(item))
    except DataError as error:
        return str(error)


def show_card(item: Item, found: Placement | str, ready: Placer, explored: Exploration) -> None:
    """Raises no error for an item that cannot be placed: its card says so."""
    with st.container(border=True, key=f"placed-{item.number}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{item.number} · {literal(item.name)}**")
            if not isinstance(found, str) and found.verdict:
                st.badge(found.verdict, color=COLORS.get(found.verdict, "red"))  # type: ignore[arg-type]
            st.button(
                "Remove",
                icon=":material/close:",
                type="tertiary",
                key=f"remove-{item.number}",
                on_click=remove,
                args=(item.number,),
            )
        if isinstance(found, str):
            # What could not be decoded is told by the name of its file, which stays as it is.
            st.error(literal(found) if item.media is None else sentence(found), icon=":material/block:")
            return
        senses, numbers = st.columns([1, 1], gap="large")
        with senses:
            _senses(item, explored, ready)
        with numbers:
            _numbers(found, ready)
        for note in found.notes:
            st.caption(f":material/info: {sentence(note)}")
        _near("Nearest in the original space", found.neighbours, explored, f"near-{item.number}")
        if found.cross_modal:
            other = {"audio": "pictures", "image": "sounds"}[found.modality]
            _near(f"Nearest {other}", found.cross_modal, explored, f"cross-{item.number}")
        if found.windows:
            _windows(found)


def _senses(item: Item, explored: Exploration, ready: Placer) -> None:
    from cpc_engine.media import Picture, Sound

    if isinstance(item.media, Sound):
        clip = heard(explored, item.media)
        show_svg(clip.svg, key=f"wave-{item.number}")
        st.image(clip.picture, width=320)
        st.audio(clip.sound, format="audio/wav")
        peak = (
            f"peak {clip.peak_db:.0f} dB, mean {clip.mean_db:.0f} dB of full scale"
            if clip.mean_db > -200
            else "silence"
        )
        st.caption(f"What it hears: {clip.seconds:g} s of {item.media.seconds:.2g} s · {peak}")
    elif isinstance(item.media, Picture):
        st.image(seen(explored, cropped(item, crop_of(item)), ready.image_side), width=200)
        height, width = item.media.pixels.shape[:2]
        side = ready.config.image.size
        st.caption(f"What it sees: {side} × {side} pixels, from {width} × {height}")
        if not is_square(item):
            st.segmented_control(
                "Which part",
                list(CROPS),
                default=0.5,
                required=True,
                format_func=CROPS.__getitem__,
                key=f"crop-{item.number}",
            )


def _numbers(found: Placement, ready: Placer) -> None:
    if found.probabilities is None:
        st.caption("No class probabilities: this run was never evaluated (`evaluate` on the command line does that).")
    else:
        best = sorted(found.probabilities.items(), key=lambda pair: -pair[1])[:MOST]
        (likely, chance), near = best[0], found.neighbours
        alike = sum(one.label == likely for one in near)
        st.markdown(
            f"Likeliest class: **{literal(plain_name(likely))}**, {chance:.0%}. "
            f"Of its {len(near)} nearest held-out items {alike} are of that class."
        )
        share = st.column_config.ProgressColumn("Probability", format="percent", min_value=0.0, max_value=1.0)
        st.dataframe(
            {"Class": [plain_name(name) for name, _ in best], "Probability": [value for _, value in best]},
            hide_index=True,
            column_config={"Probability": share},
        )
    if found.typicality is not None:
        st.markdown(f"**Typicality {found.typicality:.0f} of 100.** {typicality_words(found.typicality)}")
    same = found.stability.agreement
    kept = f", {same:.0%} of them in the same class" if same is not None else ""
    st.caption(f"Stability: {found.stability.copies} noisy copies stay at cosine {found.stability.cosine:.2f}{kept}.")
    overlaps = ", ".join(f"{METHODS[method]} {share:.0%}" for method, share in found.overlap.items())
    st.caption(f"Of its 15 nearest dots, truly among its 15 nearest: {overlaps}.")


def typicality_words(percentile: float) -> str:
    """What the percentile says."""
    if percentile >= 50:
        return "More usual than most held-out items."
    return f"About {max(percentile, 1):.0f} % of the held-out items are as unusual as this or more."


def _near(title: str, near: list[Neighbour], explored: Exploration, key: str) -> None:
    st.markdown(f"**{title}**")
    if explored.data is not None:
        notes = [f" · cosine {one.cosine:.2f}" for one in near]
        tiles(explored, [one.row for one in near], notes, key)
        return
    st.caption("The data of this run are not here: no previews.")
    rows = {
        "Item": [label_of(explored, one.row) for one in near],
        "Kind": [KINDS[one.modality] for one in near],
        "Cosine": [one.cosine for one in near],
    }
    st.dataframe(rows, hide_index=True)


def _windows(found: Placement) -> None:
    with st.expander(f"Window by window ({len(found.windows)})", icon=":material/timeline:"):
        columns = {
            "From (s)": [window.start for window in found.windows],
            "Class by the probe": [window.predicted for window in found.windows],
            "Typicality": [window.typicality for window in found.windows],
        }
        st.dataframe(columns, hide_index=True)
