"""What stands on every page: the style sheet and the bar with the runs that are going on."""

from __future__ import annotations

from collections.abc import Callable

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


def held() -> bool:
    """Whether the reader wants nothing to move."""
    return bool(st.session_state.get("held") or st.session_state.get("held-here"))


def hold_here() -> None:
    """The bar's switch on the page itself, for runs of another process, of which the bar knows nothing."""
    if not manager().active():
        _switch("held-here")


def _switch(key: str, on_change: Callable[[], None] | None = None) -> None:
    st.toggle("Hold still", key=key, help="Charts and numbers stop moving. The runs go on.", on_change=on_change)


def working_bar() -> None:
    """Runs that wait or train, below every page; asks again only while there are any and nobody holds it still."""
    going_on = awake() and bool(manager().active())
    st.fragment(_working, run_every=5 if going_on and not held() else None)(going_on)


def _working(expected: bool) -> None:
    active = manager().active() if awake() else []
    if (expected and not active) or st.session_state.pop("held-changed", False):
        st.rerun()  # the last run ended, or the page begins or ends to ask
    if not active:
        return

    def changed() -> None:
        st.session_state["held-changed"] = True

    with st.bottom, plain_errors(), st.container(horizontal=True, vertical_alignment="center", key="working"):
        shown = [manager().snapshot(run) for run in active[:3]]
        waiting = [now.id for now in shown if now.status == "queued"]
        for now in shown:
            left = f" · {duration(now.seconds_left)} left" if now.seconds_left else ""
            share = f"{now.step} of {now.steps} steps{left}"
            if now.id in waiting:
                share = f"number {waiting.index(now.id) + 1} in line"
            st.page_link(
                "pages/watch.py",
                label=f"{now.phase or WORDS[now.status]} · {share} · {now.name or now.id}",  # a phone cuts the end
                icon=":material/progress_activity:" if now.status == "running" else ":material/hourglass_empty:",
                query_params={"run": now.id},
            )
        if len(active) > 3:
            st.caption(f"and {len(active) - 3} more")
        _switch("held", changed)
