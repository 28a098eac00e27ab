"""The run that the Train page prepares: a preset and changes to it, kept in the session and in the address.

The address is written like the command line: `?preset=tones&set=sampler.sigma%3D0.2&set=…`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import streamlit as st

from cpc_engine.comparison.commands import assignments
from cpc_engine.config import RunConfig
from cpc_engine.errors import CpcError
from cpc_engine.presets import ALIASES, PRESETS

from ..components.settings_form import Changes

FIRST = "tones"
MOST_SETTINGS = 200  # that are read from one address


def draft() -> tuple[str, Changes]:
    """(preset, changes) of this session; an address with new contents replaces them, as far as it is valid."""
    address = (st.query_params.get("preset"), tuple(st.query_params.get_all("set")))
    if "draft" not in st.session_state or (address[0] and address != st.session_state.get("draft_address")):
        st.session_state.draft_address = address
        name = ALIASES.get(address[0] or FIRST, address[0] or FIRST)
        if name not in PRESETS:
            st.toast("The address names a preset that does not exist.", icon=":material/link_off:")
            name = FIRST
        st.session_state.draft = {"preset": name, "changes": _changes_in_address(name)}
    return _kept()


def choose(name: str) -> None:
    """Start over from a preset."""
    st.session_state.draft = {"preset": name, "changes": {}}
    keep()


def keep() -> None:
    """Write the draft to the address."""
    name, changes = _kept()
    settings = assignments(changes)
    st.query_params["preset"] = name
    st.query_params["set"] = settings
    st.session_state.draft_address = (name, tuple(settings))


def configuration(name: str, changes: Changes) -> RunConfig:
    """The preset with the changes.

    Raises:
        ConfigError: the changes do not fit together.
    """
    return PRESETS[name].config().replace(changes)


def _kept() -> tuple[str, Changes]:
    kept: dict[str, Any] = st.session_state.draft
    return kept["preset"], kept["changes"]


def _changes_in_address(name: str) -> Changes:
    """The settings in the address that are valid for a preset and differ from it, by their names of today."""
    base = PRESETS[name].config()
    pairs = [pair.partition("=") for pair in st.query_params.get_all("set")[:MOST_SETTINGS]]
    valid: Changes = {}
    for path, _, text in [*pairs, *pairs]:  # twice, since a setting may be valid only after another
        with suppress(CpcError):
            base.replace(valid | {path: text})
            valid[path] = text
    if len(valid) < len({path for path, _, _ in pairs}):
        st.toast("The address has settings that do not fit here; they were left out.", icon=":material/link_off:")
    return {path: mine for path, (mine, _) in base.replace(valid).differences(base).items()}
