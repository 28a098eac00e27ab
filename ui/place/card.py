"""One placed item on a card: what the network got, what it makes of it, and whether that means anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

from cpc_engine.terms import ITEM_NOUNS

from ..components.items import label_of, show_look, tiles
from ..components.run_map import METHODS
from ..components.svg import show_svg
from ..drawing.pictures import png, spectrogram_png, wav, wave_svg
from ..drawing.text import SAYS_LITTLE, plain_name
from ..shell.errors import literal, sentence
from .items import CROPS, Item, Place, Result, cropped, is_square, remove

if TYPE_CHECKING:
    from cpc_engine.maps.exploration import Exploration
    from cpc_engine.placing import Neighbor, Placement

COLORS: dict[str, Literal["green", "orange", "red", "gray"]] = {
    "typical": "green",
    "borderline": "orange",
    "unlike anything trained on: position not meaningful": "red",
    "cannot be told: too few validation items": "gray",
}
MOST = 5  # classes listed


def show_card(result: Result, place: Place) -> None:
    """Raises no error for an item that cannot be placed: its card says so."""
    item, placement = result.item, result.placement
    with st.container(border=True, key=f"placed-{item.number}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{item.number} · {literal(item.name)}**")
            if placement and placement.verdict:
                st.badge(placement.verdict, color=COLORS[placement.verdict])
            st.button(
                "Remove",
                icon=":material/close:",
                type="tertiary",
                key=f"remove-{item.number}",
                on_click=remove,
                args=(item.number,),
            )
        if placement is None:
            # What could not be decoded is told by the name of its file, which stays as it is.
            error = literal(result.error) if item.media is None else sentence(result.error)
            st.error(error, icon=":material/block:")
            return
        preview, numbers = st.columns([1, 1], gap="large")
        with preview:
            _preview(item, place)
        with numbers:
            _numbers(placement, place)
        for note in placement.notes:
            st.caption(f":material/info: {sentence(note)}")
        _neighbors("Nearest in the original space", placement.neighbors, place.exploration, f"near-{item.number}")
        if placement.cross_modal:
            others = ITEM_NOUNS[placement.cross_modal[0].modality][1]
            _neighbors(f"Nearest {others}", placement.cross_modal, place.exploration, f"cross-{item.number}")
        if placement.windows:
            _windows(placement)


def _preview(item: Item, place: Place) -> None:
    """What the network hears or sees of an item."""
    from cpc_engine.media import Picture, Sound

    if isinstance(item.media, Sound):
        clip = place.placer.heard(item.media)
        show_svg(wave_svg(clip.samples), key=f"wave-{item.number}")
        spectrogram = spectrogram_png(clip.log_mel, 320, 160)
        show_look(spectrogram, wav(clip.samples, clip.rate), "Its spectrogram, as the network hears it.", 320)
        level = "silence"
        if clip.rms_db > -200:
            level = f"peak {clip.peak_db:.0f} dB, mean {clip.rms_db:.0f} dB of full scale"
        st.caption(f"What it hears: {clip.seconds:g} s of {item.media.seconds:.2g} s · {level}")
    elif isinstance(item.media, Picture):
        pixels = place.placer.seen(cropped(item)).pixels
        show_look(png(pixels), None, "The picture, as the network sees it.", 200)
        height, width = item.media.pixels.shape[:2]
        side = len(pixels)
        st.caption(f"What it sees: {side} × {side} pixels, from {width} × {height}")
        if not is_square(item.media):
            st.segmented_control(
                "Which part",
                list(CROPS),
                default=0.5,
                required=True,
                format_func=CROPS.__getitem__,
                key=f"crop-{item.number}",
            )


def _numbers(placement: Placement, place: Place) -> None:
    from cpc_engine.maps.projection import quality_neighbors

    if placement.probabilities is None:
        st.caption("No class probabilities: this run was never evaluated (`evaluate` on the command line does that).")
    else:
        best = sorted(placement.probabilities.items(), key=lambda pair: -pair[1])[:MOST]
        (likely, chance), near = best[0], placement.neighbors
        alike = sum(neighbor.label == likely for neighbor in near)
        words = f"Likeliest class: **{literal(plain_name(likely))}**, {chance:.0%}. "
        words += f"Of its {len(near)} nearest held-out items {alike} are of that class."
        if placement.is_unlike:  # a bar of 100 % beside that would be believed
            st.caption(f"{SAYS_LITTLE} {words}")
        else:
            st.markdown(words)
            share = st.column_config.ProgressColumn("Probability", format="percent", min_value=0.0, max_value=1.0)
            st.dataframe(
                {"Class": [plain_name(name) for name, _ in best], "Probability": [value for _, value in best]},
                hide_index=True,
                column_config={"Probability": share},
            )
    if placement.typicality_words:
        st.markdown(placement.typicality_words)
    stability = placement.stability
    kept = "" if stability.agreement is None else f", {stability.agreement:.0%} of them in the same class"
    st.caption(f"Stability: {stability.copies} perturbed copies stay at cosine {stability.cosine:.2f}{kept}.")
    overlaps = ", ".join(f"{METHODS[m]} {placement.overlap[m]:.0%}" for m in METHODS if m in placement.overlap)
    count = quality_neighbors(len(place.placer.map.labels))
    st.caption(f"Of its {count} nearest dots, truly among its {count} nearest: {overlaps}.")


def _neighbors(title: str, near: list[Neighbor], exploration: Exploration, key: str) -> None:
    st.markdown(f"**{title}**")
    if exploration.data is not None:
        notes = [f" · cosine {neighbor.cosine:.2f}" for neighbor in near]
        tiles(exploration, [neighbor.row for neighbor in near], notes, key)
        return
    st.caption("The data of this run are not here: no previews.")
    rows = {
        "Item": [label_of(exploration, neighbor.row) for neighbor in near],
        "Kind": [ITEM_NOUNS[neighbor.modality][0] for neighbor in near],
        "Cosine": [neighbor.cosine for neighbor in near],
    }
    st.dataframe(rows, hide_index=True)


def _windows(placement: Placement) -> None:
    with st.expander(f"Window by window ({len(placement.windows)})", icon=":material/timeline:"):
        columns: dict[str, list[Any]] = {
            "From (s)": [window.start for window in placement.windows],
            "Class by the probe": [None if window.is_unlike else window.predicted for window in placement.windows],
        }
        typicality = [window.typicality for window in placement.windows]
        if any(value is not None for value in typicality):
            columns["Typicality"] = typicality
        elif placement.typicality is not None:
            st.caption("Typicality is not told by window: the recordings that it compares with are longer than one.")
        st.dataframe(columns, hide_index=True)
