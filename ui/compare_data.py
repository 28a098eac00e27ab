"""Which runs are compared, and what is known of them: from the address, the session and the folders of runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from cpc_engine.errors import CpcError

from .engine import manager, root

if TYPE_CHECKING:
    from cpc_engine.evaluation.compare import ComparedRun, Setting
    from cpc_engine.runs.folder import RunInfo

MOST = 40
KEY, KEPT, NEXT, ADDRESS = "compare-runs", "compare-kept", "compare-next", "compare-address"
GOING_ON = ("queued", "running", "paused")


def choose(infos: list[RunInfo], seeds: Mapping[str, int]) -> list[str]:
    """Ids that the reader picks; the address keeps them (`?runs=a,b`), and they survive a visit to another page.

    `seeds` are shown where they are known.
    """
    known = {info.id: info for info in infos}
    asked = st.query_params.get("runs")
    state = st.session_state
    if NEXT in state:
        chosen = state.pop(NEXT)
    elif asked is not None and asked != state.get(ADDRESS):
        chosen = [one for one in asked.split(",") if one]
        if lost := [one for one in dict.fromkeys(chosen) if one not in known]:
            st.warning(
                f"The address names {len(lost)} {'run that is' if len(lost) == 1 else 'runs that are'} not here or "
                "broken. They were left out.",
                icon=":material/link_off:",
            )
    else:
        chosen = state.get(KEY, state.get(KEPT))
    if chosen is None:  # the newest two, so that there is something to see; examples where there are no others
        chosen = [info.id for info in sorted(infos, key=lambda info: bool(info.teaches)) if info.steps_done][:2]
    state[KEY] = [one for one in dict.fromkeys(chosen) if one in known][:MOST]

    def label(one: str) -> str:
        seed = f" · seed {seeds[one]}" if one in seeds else ""
        status = "" if known[one].status == "finished" else f" · {known[one].status}"
        return f"{known[one].name}{seed}{status} · {one[-6:]}" if known[one].name else f"{one}{seed}{status}"

    picked = st.multiselect(
        "Runs",
        list(known),
        key=KEY,
        format_func=label,
        max_selections=MOST,
        placeholder="Choose two or more runs",
        help="Runs that differ only in their seed become one setting, with a letter of its own.",
    )
    state[KEPT] = picked
    state[ADDRESS] = ",".join(picked)
    if st.query_params.get("runs", "") != state[ADDRESS]:
        st.query_params["runs"] = state[ADDRESS]
    return picked


def show_also(runs: Iterable[str]) -> None:
    """Add runs to the chosen ones and draw the page again."""
    st.session_state[NEXT] = [*st.session_state.get(KEPT, []), *runs]
    st.rerun()


def load(ids: Iterable[str]) -> list[ComparedRun]:
    """The runs that can be read; the others are told."""
    found = []
    for one in ids:
        try:
            found.append(
                _load(str(root() / one), _stamp(one, "run.json", "metrics.jsonl", "events.jsonl", "evaluation.json"))
            )
        except CpcError as error:
            st.error(f"{one}: {error}".replace("[", "\\[").replace("<", "\\<"), icon=":material/error:")
    return found


def known_settings(infos: Iterable[RunInfo]) -> dict[tuple[str, int], str]:
    """{(setting, seed): id} of all runs that are complete or go on; the newest where there are several."""
    found: dict[tuple[str, int], str] = {}
    for info in infos:
        if info.status == "finished" or info.status in GOING_ON:
            try:
                key = _setting(str(root() / info.id), _stamp(info.id, "config.json", "events.jsonl"))
            except CpcError:
                continue
            found.setdefault(key, info.id)
    return found


def siblings(settings: Iterable[Setting], known: dict[tuple[str, int], str]) -> list[str]:
    """Runs of the same settings with seeds that are not chosen yet."""
    from cpc_engine.evaluation.compare import setting_key

    keys = {setting_key(s.config, s.changes): {run.seed for run in s.runs} for s in settings}
    return [one for (key, seed), one in known.items() if key in keys and seed not in keys[key]]


def records_of(run: str) -> tuple[dict[str, Any], ...]:
    """Recorded steps, of a long run as many as a curve needs; of a run that goes on here, from memory.

    Raises:
        RunError: the folder is broken.
    """
    from cpc_engine.runs.folder import RunFolder
    from cpc_engine.runs.manager import stored_records

    if run in manager().active():
        return manager().snapshot(run).records
    return stored_records(RunFolder(root() / run))


def _stamp(run: str, *names: str) -> tuple[int, ...]:
    """Changes whenever one of these files does."""
    paths = [root() / run / name for name in names]
    return tuple(path.stat().st_mtime_ns if path.is_file() else 0 for path in paths)


@st.cache_data(max_entries=200, show_spinner=False)
def _load(path: str, stamp: tuple[int, ...]) -> ComparedRun:
    from cpc_engine.runs.compare import load_compared
    from cpc_engine.runs.folder import RunFolder

    return load_compared(RunFolder(Path(path)))


@st.cache_data(max_entries=5000, show_spinner=False)
def _setting(path: str, stamp: tuple[int, ...]) -> tuple[str, int]:
    from cpc_engine.evaluation.compare import setting_key
    from cpc_engine.runs.compare import changes_of
    from cpc_engine.runs.folder import RunFolder

    folder = RunFolder(Path(path))
    config = folder.config()
    return setting_key(config, changes_of(folder)), config.run.seed
