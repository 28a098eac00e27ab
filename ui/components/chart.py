"""A live chart with its explanation, its table, its CSV, and its figure for a paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from ..drawing import curves
from ..drawing.csv_text import columns_csv
from .figure_dialog import figure_dialog
from .live_chart import live_chart

if TYPE_CHECKING:
    from ..drawing.charts import Figure


def chart(figure: Figure, key: str, height: int = 300, meaning: str = "", definition: str = "", alt: str = "") -> None:
    """A figure that stays in place while it grows, with its table and CSV behind a button.

    Args:
        key: names the chart, the same from refresh to refresh. height: in pixels.
        meaning: a line below the chart; none where empty.
        definition: the hover text of that line.
        alt: what a screen reader says instead; where each curve begins and ends, where empty.
    """
    title = figure["layout"]["title"]["text"]
    live_chart(figure, key=key, height=height, alt=alt or curves.spoken(figure))
    with st.container(horizontal=True, gap="small"):
        numbers = st.popover(
            "Table",
            icon=":material/table:",
            type="tertiary",
            key=f"table-{key}",
            on_change="rerun",
            help=f"{title}: table",
        )
        figure_dialog(figure, key)
    if numbers.open:
        columns = curves.table(figure)
        with numbers:
            st.dataframe(columns, hide_index=True, height=260)
            st.download_button(
                f"{title} (CSV)",
                columns_csv(columns),
                f"{key}.csv",
                "text/csv",
                key=f"get-{key}",
                on_click="ignore",
            )
    if meaning:
        st.caption(meaning, help=definition)
