"""A chart as a figure for a paper or a slide: size, letters and names as the reader wants them, SVG, PDF or PNG."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from ..drawing.figure_file import MIME, Format, Look, figure_file, legend_of, letters_lacking
from ..shell.errors import literal, plain_errors

if TYPE_CHECKING:
    from ..drawing.charts import Figure

MOST = 12  # letters that are named


def figure_dialog(figure: Figure, key: str, label: str = "Figure") -> None:
    """A button that opens the choices of `figure_choices`; nothing is drawn before it is pressed."""
    place = st.popover(
        label,
        icon=":material/image:",
        type="tertiary",
        key=f"figure-{key}",
        on_change="rerun",
        help="For a paper or a slide: size, letters, names, SVG or PDF",
    )
    if place.open:
        with place:
            figure_choices(figure, key)


def figure_choices(figure: Figure, key: str, height_cm: float = 8.0) -> None:
    """Size, letters, names and format, a preview, and the download.

    Args:
        figure: of two dimensions. key: names the chart. height_cm: what is offered first.
    """
    with plain_errors():
        with st.container(horizontal=True, gap="small"):
            width = st.number_input("Width (cm)", 4.0, 40.0, 12.0, 0.5, key=f"width-{key}", width=120)
            height = st.number_input("Height (cm)", 3.0, 40.0, height_cm, 0.5, key=f"height-{key}", width=120)
            points = st.number_input("Letters (pt)", 4.0, 24.0, 9.0, 0.5, key=f"points-{key}", width=120)
        kind: Format = st.segmented_control("Format", list(MIME), default="SVG", required=True, key=f"kind-{key}")
        names = _names(figure, key)
        look = Look(width, height, points, names)
        st.image(figure_file(figure, look, "PNG"), width=420, alt="The figure as it will be saved.")
        if letters := letters_lacking(figure, look):
            more = f" and {len(letters) - MOST} more" if len(letters) > MOST else ""
            st.caption(
                f"The fonts of this machine lack {literal(' '.join(letters[:MOST]))}{more}: "
                "PDF and PNG have boxes there, SVG keeps the letters."
            )
        st.download_button(
            f"Save as {kind}",
            lambda: figure_file(figure, look, kind),
            f"{key}.{kind.lower()}",
            MIME[kind],
            key=f"save-{key}",
            icon=":material/download:",
            type="primary",
            on_click="ignore",
        )


def _names(figure: Figure, key: str) -> dict[str, str]:
    """What the reader calls the entries of the legend, one a line."""
    entries = legend_of(figure)
    if not entries:
        return {}
    text = st.text_area("Legend, one name a line", "\n".join(entries), key=f"names-{key}", height=110)
    given = [line.strip() for line in text.split("\n")]
    return {name: line for name, line in zip(entries, given, strict=False) if line}
