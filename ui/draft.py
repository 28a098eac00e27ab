"""The run that a page is preparing: a preset and what was changed, kept in the session and in the address.

The address says it as the command line does: `?preset=tones&set=sampler.sigma%3D0.2&set=…`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import streamlit as st

from cpc_engine.config import RunConfig
from cpc_engine.errors import CpcError
from cpc_engine.presets import PRESETS

from .knobs import Changes

FIRST = "tones"


def draft() -> tuple[str, Changes]:
    """(preset, changes) of this session; an address that says something new is checked and followed."""
    asked = (st.query_params.get("preset"), tuple(st.query_params.get_all("set")))
    if "draft" not in st.session_state or (asked[0] and asked != st.session_state.get("draft_address")):
        st.session_state.draft_address = asked
        name = st.query_params.get("preset", FIRST)
        if name not in PRESETS:
            st.toast("The address names a preset that does not exist.", icon=":material/link_off:")
            name = FIRST
        st.session_state.draft = {"preset": name, "changes": _from_address(name)}
    return _kept()


def choose(name: str) -> None:
    """Start over from a preset."""
    st.session_state.draft = {"preset": name, "changes": {}}
    keep()


def keep() -> None:
    """Bring the address up to date."""
    name, changes = _kept()
    settings = [f"{path}={_text(value)}" for path, value in changes.items()]
    st.query_params["preset"] = name
    st.query_params["set"] = settings
    st.session_state.draft_address = (name, tuple(settings))


def _kept() -> tuple[str, Changes]:
    kept: dict[str, Any] = st.session_state.draft
    return kept["preset"], kept["changes"]


def command(name: str, changes: Changes) -> str:
    """The command line that starts the same run."""
    words = ["python", "-m", "cpc_engine", "train", "--preset", name]
    for path, value in changes.items():
        words += ["--set", f"{path}={_text(value)}"]
    return shlex.join(words)


def train_like(config: RunConfig, label: str, changes: Mapping[str, Any] | None = None) -> None:
    """A link to the page Train with the settings of `config` and `changes` to them; name and note are left open."""
    from cpc_engine.runs.compare import nearest_preset

    name, settings = nearest_preset(config.replace({"run.name": "", "run.note": "", **(changes or {})}))
    address: dict[str, str | list[str]] = {"preset": name, "set": settings}
    st.page_link("pages/train.py", label=label, icon=":material/tune:", query_params=address)


def _from_address(name: str) -> Changes:
    base = PRESETS[name].config()
    asked = [pair.partition("=") for pair in st.query_params.get_all("set")[:200]]
    fitting: Changes = {}
    for path, _, text in [*asked, *asked]:  # twice, since one may fit only after another
        with suppress(CpcError):
            base.replace(fitting | {path: text})
            fitting[path] = text
    if len(fitting) < len({path for path, _, _ in asked}):
        st.toast("The address has settings that do not fit here; they were left out.", icon=":material/link_off:")
    return {path: mine for path, (mine, _) in base.replace(fitting).differences(base).items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def configuration(name: str, changes: Changes) -> RunConfig:
    """Raises ConfigError where the changes do not fit together."""
    return PRESETS[name].config().replace(changes)
