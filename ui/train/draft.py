"""The run that the Train page prepares or steers: a preset and changes to it, kept in the session and in the address.

The address is written like the command line: `?preset=tones&set=sampler.sigma%3D0.2&set=…`. With `&run=…` the page
shows that run, and the draft begins with the run's own settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import streamlit as st

from cpc_engine.comparison.commands import assignments, nearest_preset
from cpc_engine.config import RunConfig
from cpc_engine.errors import CpcError
from cpc_engine.presets import ALIASES, PRESETS

from ..components.settings_form import Changes
from ..shell.session import run_now

if TYPE_CHECKING:
    from cpc_engine import Run

FIRST = "tones"
MOST_SETTINGS = 200  # that are read from one address


def draft(run: Run | None, steered: bool) -> tuple[str, Changes]:
    """(preset, changes) of this session.

    An address with new contents replaces them, as far as it is valid, and so does another run that is shown. Of a run
    that goes on they are its own settings, whatever was prepared before or stands in the address.

    Args:
        steered: whether `run` goes on, so that edits change it instead of preparing the next one.
    """
    address = (st.query_params.get("preset"), tuple(st.query_params.get_all("set")))
    shown = (run.id, steered) if run else None
    if run is not None and steered:
        if shown != st.session_state.get("draft_of"):
            set_draft(run)
            st.session_state.get("sent", {}).pop(run.id, None)
        st.session_state.draft_address = address  # what was prepared; to take it out would be a step for Back
    elif address[0] and address != st.session_state.get("draft_address"):
        name = ALIASES.get(address[0], address[0])
        if name not in PRESETS:
            st.toast("The address names a preset that does not exist.", icon=":material/link_off:")
            name = FIRST
        _set(name, _changes_in_address(name, st.query_params.get_all("set")))
        st.session_state.draft_address = address
    elif run is not None and shown != st.session_state.get("draft_of"):
        set_draft(run)
        st.session_state.draft_address = (None, ())
    elif "draft" not in st.session_state:
        _set(FIRST, {})
    elif run is None and not address[0] and draft_now() != (FIRST, {}):
        keep()  # back from another page: the address tells again what is on this one
    st.session_state.draft_of = shown
    return draft_now()


def set_draft(run: Run) -> None:
    """Begin with the settings that a run has now, without its name and note."""
    name, settings = nearest_preset(run_now(run).replace({"run.name": "", "run.note": ""}))
    _set(name, _changes_in_address(name, settings))


def choose(name: str) -> None:
    """Start over from a preset."""
    _set(name, {})
    keep()


def keep() -> None:
    """Write the draft to the address."""
    name, changes = draft_now()
    settings = assignments(changes)
    st.query_params["preset"] = name
    st.query_params["set"] = settings
    st.session_state.draft_address = (name, tuple(settings))


def take(changes: Changes) -> None:
    """Change the draft as something advises, here and in the address."""
    name, mine = draft_now()
    base = PRESETS[name].config()
    differences = base.replace({**mine, **changes}).differences(base)
    _set(name, {path: value for path, (value, _) in differences.items()})
    keep()


def configuration(name: str, changes: Changes) -> RunConfig:
    """The preset with the changes.

    Raises:
        ConfigError: the changes do not fit together.
    """
    return PRESETS[name].config().replace(changes)


def _set(name: str, changes: Changes) -> None:
    st.session_state.draft = {"preset": name, "changes": changes}


def draft_now() -> tuple[str, Changes]:
    """(preset, changes) as they are kept."""
    kept: dict[str, Any] = st.session_state.draft
    return kept["preset"], kept["changes"]


def _changes_in_address(name: str, settings: Sequence[str]) -> Changes:
    """Those of an address's settings that are valid for a preset and differ from it, by their names of today."""
    base = PRESETS[name].config()
    pairs = [pair.partition("=") for pair in settings[:MOST_SETTINGS]]
    valid: Changes = {}
    for path, _, text in [*pairs, *pairs]:  # twice, since a setting may be valid only after another
        with suppress(CpcError):
            base.replace(valid | {path: text})
            valid[path] = text
    if len(valid) < len({path for path, _, _ in pairs}):
        st.toast("The address has settings that do not fit here; they were left out.", icon=":material/link_off:")
    return {path: mine for path, (mine, _) in base.replace(valid).differences(base).items()}
