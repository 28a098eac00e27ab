"""The one door from the pages to the engine, imported only when needed: torch takes seconds, a first paint must not."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from cpc_engine.errors import CpcError

if TYPE_CHECKING:
    from cpc_engine import RunManager
    from cpc_engine.runs.folder import RunInfo

BROKE = "This page met something that it does not know how to handle"
ENDED = ("finished", "stopped", "diverged", "failed", "interrupted")


def root() -> Path:
    """The folder of runs: $CPC_RUNS, or checkpoints/ beside app.py."""
    return Path(os.environ.get("CPC_RUNS") or Path(__file__).resolve().parents[1] / "checkpoints")


def manager() -> RunManager:
    """This process's manager of background runs; the first call imports the engine."""
    from cpc_engine import manager_for

    return manager_for(root())


def awake() -> bool:
    """Whether the engine was imported; before that nothing can be going on in this process."""
    return "cpc_engine.runs.manager" in sys.modules


def runs() -> list[RunInfo]:
    """All runs, newest first."""
    from cpc_engine import list_runs

    return list_runs(root())


@contextmanager
def plain_errors() -> Iterator[None]:
    """Show what the engine refuses as one sentence instead of a stack trace."""
    try:
        yield
    except CpcError as error:
        st.error(sentence(str(error)), icon=":material/error:")
    except Exception as error:  # the last place before a stack trace would reach the reader
        logging.getLogger(__name__).exception("a page broke")
        st.error(f"{BROKE} ({type(error).__name__}). The server's log has the details.", icon=":material/error:")


def chosen_run() -> str | None:
    """The run that the address names (`?run=…`), or None. Whatever else stands there is told and taken out."""
    asked = st.query_params.get("run")
    if asked is None:
        return None
    # Only a plain folder name below the root; the engine itself would also take a path.
    plain = len(asked) <= 128 and not asked.startswith(".") and not set(asked) & set("/\\\0")
    if plain and os.path.isfile(root() / asked / "config.json"):
        return asked
    st.warning("The address names a run that is not here. Here is what there is.", icon=":material/link_off:")
    del st.query_params["run"]
    return None


def sentence(text: str) -> str:
    """First letter large, and nothing in it taken for Markdown."""
    return literal(text[:1].upper() + text[1:])


def literal(text: str) -> str:
    """`text` with nothing in it taken for Markdown."""
    for mark in "\\`*_[]$<>:#~|":
        text = text.replace(mark, f"\\{mark}")
    return text
