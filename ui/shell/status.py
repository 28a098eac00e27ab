"""What every page shows: the style sheet, badges, and the bar with the active runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

import streamlit as st

from .errors import literal, plain_errors
from .names import names_of
from .session import awake, has_ended, manager, open_run

if TYPE_CHECKING:
    from cpc_engine.storage.info import RunInfo

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
COLORS: dict[str, Literal["gray", "blue", "orange", "green"]] = {
    "queued": "gray",
    "running": "blue",
    "paused": "orange",
    "stopped": "gray",
    "finished": "green",
}
CSS = """
.block-container { padding-top: 4.5rem; padding-bottom: 6rem; max-width: 84rem; }
/* On a dark page the primary color has too little contrast for letters. */
button[data-selected="true"], [data-testid="stSliderThumbValue"] { color: inherit !important; }
/* So has a plain button that is pointed at, and hardly any while what it opens is there: a tint says it instead. */
button[kind="tertiary"]:is(:hover, :active, [aria-expanded="true"]):enabled {
  color: inherit !important; background: color-mix(in srgb, currentColor 10%, transparent) !important; }
/* Each leads to one run on the Train page; on that page all of them would look like the page that is open. */
.st-key-working a:not(:hover) { background: none !important; }
.st-key-working a * { font-weight: 400 !important; }
/* A clicked item takes the place of what is said of its map, which keeps the room it had. */
[class*="st-key-said-"] { position: relative; }
[class*="st-key-said-"]:has([class*="st-key-clicked-"]) > [data-testid="stElementContainer"] * { visibility: hidden; }
[class*="st-key-clicked-"] { position: absolute; inset: -0.15rem 0 auto; flex-wrap: nowrap; }
[class*="st-key-clicked-"] p { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; font-size: 0.875rem; }
[class*="st-key-clicked-"] [data-testid="stElementContainer"]:has([data-testid="stMarkdown"]) { min-width: 3rem; }
[class*="st-key-clicked-"] [data-testid="stElementContainer"]:has(a) { flex: none; }
@media (max-width: 40rem) {
  .block-container { padding-left: 1rem; padding-right: 1rem; }
  [class*="st-key-clicked-"]:has(> :nth-child(3)) { flex-wrap: wrap; row-gap: 0; }
  [class*="st-key-clicked-"]:has(> :nth-child(3)) > :first-child { flex: 1 0 100%; }
  [data-testid="stButtonGroup"] [role="radiogroup"] { flex-wrap: wrap; } /* else the last choices are out of sight */
  /* Active runs in one line to be pushed aside, not one over another: they would cover a fifth of the page. */
  .st-key-working { flex-wrap: nowrap; overflow-x: auto; scrollbar-width: none; }
  .st-key-working > * { flex: none; max-width: 75vw; }
  .st-key-working > :has([data-testid="stCheckbox"]) { order: -1; }
  [data-testid="stBottomBlockContainer"] { padding-bottom: 1rem; }
}
"""


def style() -> None:
    """The app's own style sheet."""
    st.html(f"<style>{CSS}</style>")


def badge(status: str) -> None:
    """A run's status as a colored word."""
    st.badge(WORDS[status], color=COLORS.get(status, "red"))


def how_ended(info: RunInfo) -> str:
    """ "stopped", or "failed: no space left": the status of a run, with its reason where it has one."""
    from cpc_engine.config import with_labels

    reason = literal(with_labels(info.message.rstrip(".")))
    return WORDS[info.status] + (f": {reason}" if reason else "")


def duration(seconds: float) -> str:
    """ "42 s", "3 min 20 s" or "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def held() -> bool:
    """Whether the reader switched on "Hold still": charts and numbers do not refresh."""
    return bool(st.session_state.get("held"))


def refresh_seconds(run: str) -> float:
    """Seconds between two looks at a run: fewer on a GPU, since drawing takes processor time from training."""
    with plain_errors():
        if open_run(run).info.device.startswith("cuda"):
            return 1.0
    return 4.0


def hold_switch(on_change: Callable[[], None] | None = None) -> None:
    """The switch that `held` reads; once on a page."""
    help = "Charts and numbers stop moving. The runs go on."
    st.toggle("Hold still", key="held", help=help, on_change=on_change, persist_state="session")


def shows_runs(page: str) -> bool:
    """Whether the page of this address path tells of active runs itself, so that the bar would say it twice."""
    if page == "train":
        return _goes_on(st.query_params.get("run", ""))
    return page in ("", "break_it") and "runs" in st.query_params


def _goes_on(run: str) -> bool:
    """Whether this is the id of a run that waits or trains."""
    if not run:
        return False

    from cpc_engine.errors import CpcError
    from cpc_engine.storage.info import is_id

    with suppress(CpcError):  # of a damaged run the page itself tells
        return is_id(run) and not has_ended(open_run(run).info.status)
    return False


def working_bar() -> None:
    """Runs that wait or train, below every page; refreshes only while there are any and the page is not held still."""
    any_active = awake() and bool(manager().active())
    st.fragment(_working, run_every=5 if any_active and not held() else None)(any_active)


def _working(expected: bool) -> None:
    active = manager().active() if awake() else []
    if (expected and not active) or st.session_state.pop("held-changed", False):
        st.rerun()  # the last run has ended, or refreshing starts or stops
    if not active:
        return

    def changed() -> None:
        st.session_state["held-changed"] = True

    with st.bottom, plain_errors(), st.container(horizontal=True, vertical_alignment="center", key="working"):
        shown = [manager().progress_of(name) for name in active[:3]]
        names = names_of(open_run(run.id).info for run in shown)
        waiting = [run.id for run in shown if run.status == "queued"]
        for run in shown:
            left = f" · {duration(run.seconds_left)} left" if run.seconds_left else ""
            position = f"{run.step} of {run.steps} steps{left}"
            if run.id in waiting:
                position = f"number {waiting.index(run.id) + 1} in line"
            named = f"{names[run.id]} · {run.where}"
            st.page_link(
                "pages/train.py",
                # A phone cuts the end.
                label=f"{run.phase or WORDS[run.status]} · {position} · {literal(named)}",
                icon=":material/progress_activity:" if run.status == "running" else ":material/hourglass_empty:",
                query_params={"run": run.id},
            )
        if len(active) > 3:
            st.caption(f"and {len(active) - 3} more")
        hold_switch(changed)
