"""Runs or groups of them as a table: metrics to sort by, rows to tick, and what can be done with those ticked."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from statistics import fmean
from typing import TYPE_CHECKING, Any

import streamlit as st

from cpc_engine.csv_text import columns_csv
from cpc_engine.evaluation.alarms import has_collapsed
from cpc_engine.evaluation.metric_values import metric_value
from cpc_engine.storage.trash import discard

from ..components.run_cards import metrics_of
from ..components.run_controls import can_resume, resume_all
from ..shell.address import join_ids
from ..shell.errors import plain_errors
from ..shell.names import beside_preset, names_of
from ..shell.session import has_ended, root
from ..shell.status import WORDS

if TYPE_CHECKING:
    from cpc_engine.storage.info import RunInfo

    from .groups import Group

COLLAPSED = "collapsed"
# Column → (metric, what it is multiplied by, how it is written).
METRICS = {
    "Loss": ("loss", 1, "%.3f"),
    "Accuracy (%)": ("accuracy", 100, "%.1f"),
    "Linear probe (%)": ("probe", 100, "%.1f"),
    "Neighbors (%)": ("knn", 100, "%.1f"),
    "Spread": ("spread", 1, "%.2f"),
    "Uniformity": ("uniformity", 1, "%.2f"),
}
COLORS = {"finished": "green", "training": "blue", "paused": "orange", "waiting": "gray", "stopped": "gray"}
ROW, MOST = 35, 620  # pixels of a row, and of the table at most
MOST_RUNS = 50  # of ticked groups in their table


def show_table(runs: list[RunInfo]) -> None:
    """The table; ticked rows can be opened, compared, resumed and deleted together."""
    columns = columns_of(runs)
    ticked = _table(columns, _key("table", (info.id for info in runs)))
    _actions([runs[row] for row in ticked], columns)


def show_groups(groups: list[Group], by: str) -> None:
    """A row for each group with the means of its runs; a tick on a group is one on each of its runs, which follow."""
    columns = group_columns(groups)
    ticked = _table(columns, _key(f"groups-{by}", (",".join(info.id for info in one.runs) for one in groups)))
    chosen = [info for row in ticked for info in groups[row].runs]
    _actions(chosen, columns)
    st.caption(
        "Means over the runs of a group that have the number; none where a group has runs on several data sets. "
        "Compare says whether groups differ for certain."
    )
    if chosen:
        shown = chosen[:MOST_RUNS]
        title = "Runs of the ticked groups" + (f" (the first {len(shown)})" if len(shown) < len(chosen) else "")
        st.subheader(title, anchor=False)
        _show(columns_of(shown), "in-groups")


def _key(what: str, rows: Iterable[str]) -> str:
    """Names a table by its rows: Streamlit keeps ticks by their numbers, and they must not pass to other runs."""
    return f"{what}-{hashlib.sha256(chr(10).join(rows).encode()).hexdigest()[:12]}"


def _table(columns: dict[str, list[Any]], key: str) -> list[int]:
    """A table with boxes to tick: the rows that are."""
    rows = len(next(iter(columns.values())))
    event = _show(columns, key, on_select="rerun", selection_mode="multi-row")
    return [row for row in event["selection"]["rows"] if row < rows]


def _show(columns: dict[str, list[Any]], key: str, **selection: Any) -> Any:
    words = [*WORDS.values(), COLLAPSED]
    formats: dict[str, Any] = {
        name: st.column_config.NumberColumn(format=look) for name, (_, _, look) in METRICS.items()
    }
    return st.dataframe(
        columns,
        hide_index=True,
        placeholder="–",
        height=min(ROW * (len(next(iter(columns.values()))) + 1) + 3, MOST),
        key=key,
        column_config=formats
        | {
            "Run": st.column_config.TextColumn(width=270),
            "Group": st.column_config.TextColumn(width=270),
            "Status": st.column_config.MultiselectColumn(
                options=words, color=[COLORS.get(word, "red") for word in words], width=175
            ),
            "Beside the preset": st.column_config.TextColumn(width=260),
            "Begun": st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm"),
            "Newest": st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm"),
        },
        **selection,
    )


def columns_of(runs: list[RunInfo]) -> dict[str, list[Any]]:
    """A row for each run; a metric that it does not have is empty."""
    metrics = [metrics_of(info.id, info.updated) for info in runs]
    names = names_of(runs)
    columns: dict[str, list[Any]] = {
        "Run": [names[info.id] for info in runs],
        "Status": [
            [WORDS[info.status], *([COLLAPSED] if has_collapsed(found) else [])]
            for info, found in zip(runs, metrics, strict=True)
        ],
        "Seed": [info.seed for info in runs],
        "Steps": [info.steps_done for info in runs],
    }
    for name, (metric, factor, _) in METRICS.items():
        columns[name] = [_scaled(found, metric, factor) for found in metrics]
    return columns | {
        "Beside the preset": [beside_preset(info) for info in runs],
        "Data": [str(info.data.get("name", "")) for info in runs],
        "Begun": [datetime.fromtimestamp(info.created) for info in runs],
        "Id": [info.id for info in runs],
    }


def group_columns(groups: list[Group]) -> dict[str, list[Any]]:
    """A row for each group: how many runs, and the means of those that have a metric; none over several data sets."""
    metrics = [[metrics_of(info.id, info.updated) for info in group.runs] for group in groups]
    data = [sorted({str(info.data["name"]) for info in group.runs if info.data.get("name")}) for group in groups]
    columns: dict[str, list[Any]] = {
        "Group": [group.name for group in groups],
        "Runs": [len(group.runs) for group in groups],
        "Seeds": [len({info.seed for info in group.runs}) for group in groups],
        "Collapsed": [sum(map(has_collapsed, found)) for found in metrics],
    }
    for name, (metric, factor, _) in METRICS.items():
        values = [
            [value for one in found if (value := _scaled(one, metric, factor)) is not None] if len(sets) < 2 else []
            for found, sets in zip(metrics, data, strict=True)
        ]
        columns[name] = [fmean(known) if known else None for known in values]
    return columns | {
        "Data": [", ".join(sets) for sets in data],
        "Newest": [datetime.fromtimestamp(max(info.created for info in group.runs)) for group in groups],
    }


def _scaled(metrics: Mapping[str, float | None], metric: str, factor: int) -> float | None:
    """A metric as the table shows it; None where there is none, or it was not finite."""
    value = metric_value(metrics, metric)
    return None if value is None or not math.isfinite(value) else factor * value


def _actions(chosen: list[RunInfo], columns: dict[str, list[Any]]) -> None:
    """What can be done with the ticked runs; the row is always there, so that nothing moves."""
    count = len(chosen)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="with-ticked"):
        keys = "Without a mouse: Tab leads into the table, arrow keys to a row, and Shift + Space ticks it."
        said = f"{count} ticked" if count else "Tick rows to compare, resume or delete them"
        st.caption(said, width="content", help=keys)
        if st.button("Open", icon=":material/monitoring:", disabled=count != 1, key="open-ticked"):
            st.switch_page("pages/train.py", query_params={"run": chosen[0].id})
        if st.button("Compare", icon=":material/balance:", disabled=not count, key="compare-ticked"):
            st.switch_page("pages/compare.py", query_params={"runs": join_ids(info.id for info in chosen)})
        early = [info.id for info in chosen if has_ended(info.status) and can_resume(info.id)]
        rest = f"{count - len(early)} of them" if early else "None of them can go on: they"
        why = f"{rest} have finished, diverged, or kept no checkpoint, are examples, or still go on."
        if len(early) == count:
            why = "They go on from their checkpoints." if count else "Tick runs that ended early."
        st.button(
            "Resume",
            icon=":material/play_arrow:",
            disabled=not early,
            key="resume-ticked",
            help=why,
            on_click=resume_all,
            args=(early,),
        )
        own = [info for info in chosen if not info.is_example and has_ended(info.status)]
        left = count - len(own)
        why = f"{left} of them are examples or still going on and stay." if left else "They can be restored."
        if st.button("Delete", icon=":material/delete:", disabled=not own, key="delete-ticked", help=why):
            with plain_errors():
                for info in own:
                    discard(info.id, root())
                st.session_state.discarded = own[-1].id
                st.rerun()
        texts = {"Status": [", ".join(words) for words in columns["Status"]]} if "Status" in columns else {}
        st.download_button(
            "CSV",
            columns_csv(columns | texts),
            "runs.csv",
            "text/csv",
            icon=":material/table:",
            type="tertiary",
            on_click="ignore",
        )
