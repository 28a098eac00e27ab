"""A live chart with its explanation, its table, its CSV, and its figure for a paper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from cpc_engine.csv_text import columns_csv

from ..drawing import curves
from .figure_dialog import figure_dialog
from .live_chart import live_chart

if TYPE_CHECKING:
    from ..drawing.charts import Figure


def chart(
    figure: Figure,
    key: str,
    height: int = 300,
    meaning: str = "",
    definition: str = "",
    alt: str = "",
    columns: dict[str, list[Any]] | None = None,
    together: str = "",
) -> None:
    """A figure that stays in place while it grows, with its table and CSV behind a button.

    Args:
        key: names the chart, the same from refresh to refresh. height: in pixels.
        meaning: a line below the chart; none where empty.
        definition: the hover text of that line.
        alt: what a screen reader says instead; where each curve begins and ends, where empty.
        columns: its table; by default a column of x and one for each curve.
        together: charts with the same word here are read at the same x.
    """
    live_chart(figure, key=key, height=height, alt=alt or curves.spoken(figure), together=together)
    with st.container(horizontal=True, gap="small"):
        chart_tools(figure, key, curves.table(figure) if columns is None else columns)
    if meaning:
        st.caption(meaning, help=definition)


def chart_tools(figure: Figure, key: str, columns: dict[str, list[Any]], name: str = "") -> None:
    """Buttons that show a chart's numbers and save it; for charts that share a row of them, `name` says whose."""
    title = figure["layout"]["title"]["text"]
    numbers = st.popover(
        f"{name} table".strip().capitalize(),
        icon=":material/table:",
        type="tertiary",
        key=f"table-{key}",
        on_change="rerun",
        help=f"{title}: table",
    )
    figure_dialog(figure, key, f"{name} figure".strip().capitalize())
    if numbers.open:
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
