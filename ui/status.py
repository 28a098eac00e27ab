"""What stands on every page: the style sheet and the bar with the runs that are going on."""

from __future__ import annotations

import streamlit as st

from .engine import awake, manager, plain_errors

WORDS = {
    "queued": "waiting",
    "running": "training",
    "paused": "paused",
    "stopped": "stopped",
    "finished": "finished",
    "diverged": "diverged",
    "failed": "failed",
    "interrupted": "interrupted",
}
COLORS = {"queued": "gray", "running": "blue", "paused": "orange", "stopped": "gray", "finished": "green"}
CSS = """
.block-container { padding-top: 4.5rem; padding-bottom: 6rem; max-width: 84rem; }
@media (max-width: 40rem) { .block-container { padding-left: 1rem; padding-right: 1rem; } }
"""


def style() -> None:
    st.html(f"<style>{CSS}</style>")


def badge(status: str) -> None:
    """A run's status as a coloured word."""
    st.badge(WORDS[status], color=COLORS.get(status, "red"))  # type: ignore[arg-type]


def duration(seconds: float) -> str:
    """ "42 s", "3 min 20 s" or "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def working_bar() -> None:
    """Runs that wait or train, below every page; asks again only while there are any."""
    going_on = awake() and bool(manager().active())
    st.fragment(_working, run_every=5 if going_on else None)(going_on)


def _working(expected: bool) -> None:
    active = manager().active() if awake() else []
    if expected and not active:
        st.rerun()  # the last run ended: stop asking
    if not active:
        return
    with st.bottom, plain_errors(), st.container(horizontal=True, vertical_alignment="center", key="working"):
        for run in active[:3]:
            now = manager().snapshot(run)
            left = f" · {duration(now.seconds_left)} left" if now.seconds_left else ""
            share = f"{now.step} of {now.steps} steps{left}" if now.status != "queued" else "its turn comes next"
            st.page_link(
                "pages/watch.py",
                label=f"{now.name or run} · {now.phase or WORDS[now.status]} · {share}",
                icon=":material/progress_activity:" if now.status == "running" else ":material/hourglass_empty:",
                query_params={"run": run},
            )
        if len(active) > 3:
            st.caption(f"and {len(active) - 3} more")
