"""Which runs are compared, and what is known of them: from the address, the session and the folder of runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import streamlit as st

from cpc_engine.errors import CpcError

from ..shell.address import join_ids, split_ids
from ..shell.errors import literal
from ..shell.names import arm_of, names_of
from ..shell.session import has_ended, manager, open_run, root
from ..shell.status import WORDS, how_ended

if TYPE_CHECKING:
    from cpc_engine.comparison.arms import Arm, ComparedRun
    from cpc_engine.storage.info import RunInfo

Known = dict[tuple[str, int], str]  # {(arm's key, seed): id}
MOST = 40
KEY, KEPT, NEXT, ADDRESS = "compare-runs", "compare-kept", "compare-next", "compare-address"


def choose(infos: list[RunInfo]) -> list[str]:
    """Ids that the reader picks; the address keeps them (`?runs=a,b`), and they survive a visit to another page."""
    known, names = {info.id: info for info in infos}, names_of(infos)
    address = st.query_params.get("runs")
    state = st.session_state
    if NEXT in state:
        chosen = state.pop(NEXT)
    elif address is not None and address != state.get(ADDRESS):
        chosen = split_ids(address)
    else:
        chosen = state.get(KEY, state.get(KEPT))
    if chosen is None:  # the newest two, so that there is something to see; examples where there are no others
        chosen = newest_two(infos)
    if lost := [run for run in dict.fromkeys(chosen) if run not in known]:
        them = "1 chosen run is" if len(lost) == 1 else f"{len(lost)} chosen runs are"
        st.warning(f"{them} not in the folder of runs, or broken, and left out here.", icon=":material/link_off:")
    found = [run for run in dict.fromkeys(chosen) if run in known]
    if len(found) > MOST:
        told = f"Of {len(found)} runs the first {MOST} are compared; this page takes no more."
        st.warning(told, icon=":material/content_cut:")
    state[KEY] = found[:MOST]

    def label(run: str) -> str:
        info = known[run]
        return names[run] + ("" if info.status == "finished" else f" · {WORDS[info.status]}")

    count = len(state[KEY])
    title = f"{count} run{'s' * (count != 1)} compared"
    with st.expander(title, expanded=count < 2, key="picker", icon=":material/checklist:"):
        picked = st.multiselect(
            "Runs",
            list(known),
            key=KEY,
            format_func=label,
            max_selections=MOST,
            placeholder="Choose two or more runs",
            help="Runs that differ only in their seed become one arm, named by a letter.",
        )
    state[KEPT] = picked
    state[ADDRESS] = join_ids(picked)
    if st.query_params.get("runs", "") != state[ADDRESS]:
        st.query_params["runs"] = state[ADDRESS]
    return picked


def all_ended(arms: Iterable[Arm]) -> str:
    """ "1 failed: no space left, 2 stopped": how the runs ended; empty while one of them goes on."""
    infos = [open_run(run.id).info for arm in arms for run in arm.runs]
    if any(not has_ended(info.status) for info in infos):
        return ""
    return ", ".join(f"{count} {how}" for how, count in Counter(map(how_ended, infos)).items())


def newest_two(infos: Iterable[RunInfo]) -> list[str]:
    """The newest run and the newest other one on the same data; on others where there is none. Examples come last.

    Of examples alone, the first two on the same data.
    """
    begun = sorted((info for info in infos if info.steps_done), key=lambda info: info.is_example)
    for first in begun if begun and begun[0].is_example else begun[:1]:
        alike = [info.id for info in begun if info.data.get("name") == first.data.get("name")]
        if len(alike) > 1:
            return alike[:2]
    return [info.id for info in begun[:2]]


def show_also(runs: Iterable[str]) -> None:
    """Add runs to the chosen ones and draw the page again."""
    show_only([*st.session_state.get(KEPT, []), *runs])


def show_only(runs: Iterable[str]) -> None:
    """Choose these runs and draw the page again."""
    st.session_state[NEXT] = list(runs)
    st.rerun()


def load(runs: Iterable[str]) -> list[ComparedRun]:
    """The runs that can be read; an error is shown for each of the others."""
    compared = []
    for run in runs:
        try:
            stamp = open_run(run).folder.stamp("info", "metrics", "events", "evaluation", "fork")
            compared.append(_load(run, str(root()), stamp))
            if compared[-1].damaged:
                st.warning(literal(f"Left out: {compared[-1].damaged}"), icon=":material/warning:")
        except CpcError as error:
            st.error(literal(f"{run}: {error}"), icon=":material/error:")
    return compared


def known_arms(infos: Iterable[RunInfo]) -> Known:
    """{(arm, seed): id} of all runs that are complete or active; the newest where there are several."""
    known: Known = {}
    for info in infos:
        if (info.status == "finished" or not has_ended(info.status)) and (arm := arm_of(info)) is not None:
            known.setdefault(arm, info.id)
    return known


def siblings(arms: Iterable[Arm], known: Known) -> list[str]:
    """Runs of the same arms with seeds that are not chosen yet."""
    from cpc_engine.comparison.arms import arm_key

    chosen = {arm_key(arm.config, arm.changes, arm.begins): {run.seed for run in arm.runs} for arm in arms}
    return [run for (key, seed), run in known.items() if key in chosen and seed not in chosen[key]]


def records_of(run: str) -> tuple[dict[str, Any], ...]:
    """Recorded steps, of a long run as many as a curve needs; of a run that is active here, from memory.

    Raises:
        RunError: the folder is broken.
    """
    from cpc_engine.execution.progress import stored_records

    if run in manager().active():
        return manager().progress_of(run).records
    return stored_records(open_run(run).folder)


def all_records(run: str) -> list[dict[str, Any]]:
    """Every recorded step of a run, of one that is active as far as its file goes.

    Raises:
        RunError: the folder is broken.
    """
    return _all_records(run, str(root()), open_run(run).folder.stamp("config", "metrics"))


@st.cache_resource(max_entries=2 * MOST, show_spinner=False)
def _all_records(run: str, root: str, stamp: tuple[int, ...]) -> list[dict[str, Any]]:
    return open_run(run).folder.records()


@st.cache_data(max_entries=200, show_spinner=False)
def _load(run: str, root: str, stamp: tuple[int, ...]) -> ComparedRun:
    from cpc_engine.comparison.collect import load_compared

    return load_compared(open_run(run).folder)
