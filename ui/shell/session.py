"""The folder of runs, this process's run manager, and the run that the address names.

Every function imports the engine by itself: a page must paint before the engine, which takes a moment, is there.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from functools import cache
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from cpc_engine import Run, RunConfig, RunManager
    from cpc_engine.storage.info import RunInfo

# What the first steps would wait for; the engine imports the last two where it needs them. No more, because who clicks
# soon would wait for that, too.
AHEAD = (
    "cpc_engine.execution.execute",
    "cpc_engine.execution.manager",
    "cpc_engine.training.fabric",
    "torchaudio",
    "scipy.sparse.csgraph",
)
AFTER = 10.0  # seconds from then until pandas, for tables of other pages: the first click may come meanwhile


def root() -> Path:
    """The folder of runs: of $CPC_RUNS, a folder or a URL, or checkpoints/ beside app.py.

    The runs of a URL are kept fresh from the first call on, for as long as the app lives.
    """
    if not (where := os.environ.get("CPC_RUNS")):
        return Path(__file__).resolve().parents[2] / "checkpoints"
    from cpc_engine.storage.remote.mirrors import local_root, url_of

    folder = local_root(where)
    if url_of(folder) is not None:
        from cpc_engine.storage.remote.refresh import watch

        watch(folder)
    return folder


def manager() -> RunManager:
    """This process's manager of background runs; the first call imports torch."""
    from cpc_engine import manager_for

    return manager_for(root())


@cache
def prepare() -> None:
    """Import `AHEAD` in the background and warm up, before anybody asks for it; once per process."""

    def load() -> None:
        gc.disable()  # what is imported stays: looking through it for garbage would take a tenth of the time
        try:
            for name in AHEAD:
                # Whole packages before their parts: else two threads may wait for one another, and one gets half a
                # module.
                for package in accumulate(name.split("."), "{}.{}".format):
                    import_module(package)
            from .first_run import warm_up

            warm_up()
        finally:
            gc.freeze()  # nor is it looked through later: a third of a second in which a training thread waits
            gc.enable()
        time.sleep(AFTER)
        import_module("pandas")

    threading.Thread(target=load, name="cpc-imports", daemon=True).start()


def awake() -> bool:
    """Whether the manager's module is imported; before that no run can be active in this process."""
    return "cpc_engine.execution.manager" in sys.modules


def runs() -> list[RunInfo]:
    """All runs, newest first; broken folders are left out."""
    from cpc_engine.storage.listing import list_runs

    return list_runs(root())


def open_run(run: str) -> Run:
    """The run with this id.

    Raises:
        RunError: there is none.
    """
    import cpc_engine

    return cpc_engine.open(run, root())


def run_now(run: Run) -> RunConfig:
    """A run's configuration with what was changed while it trained."""
    changed = {event["setting"]: event["value"] for event in run.events if event["kind"] == "change"}
    return run.config.replace(changed)


def has_map(run: str) -> bool:
    """Whether the run with this id stores a map."""
    from cpc_engine.storage.folder import RunFolder

    return RunFolder(root() / run).has("map")


def has_ended(status: str) -> bool:
    """Whether a run with this status will take no further step by itself."""
    from cpc_engine.storage.info import ACTIVE

    return status not in ACTIVE


def chosen_run() -> str | None:
    """The id in the address (`?run=…`), or None; an id that names no run is removed with a warning."""
    run = st.query_params.get("run")
    if run is None:
        return None

    from cpc_engine.storage.folder import RunFolder
    from cpc_engine.storage.info import is_id

    # Anybody may have typed it: `is_id` lets no path out of the folder of runs pass.
    if is_id(run) and RunFolder(root() / run).has("config"):
        return run
    st.warning("The address names a run that is not here. Here is what there is.", icon=":material/link_off:")
    del st.query_params["run"]
    return None
