"""Addresses of earlier versions: query parameters, and values of them, that have another name today.

Names of presets and settings inside an address (`?preset=…&set=…`) are understood where they are read, by the
engine's aliases.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import unquote

import streamlit as st

# Widgets are bound to parameters by key, and lists write the label of what is chosen.
PARAMETERS = {"colour": "color", "all-knobs": "all-settings", "all-measures": "all-metrics"}
VALUES = {
    ("color", "neighbours of its own class"): "neighbors of its own class",
    ("color", "sound or picture"): "modality",
}


def current_address() -> None:
    """Rename the address's parameters to those of today, before any widget reads them."""
    earlier = [name for name in PARAMETERS if name in st.query_params]
    for name in earlier:
        current = PARAMETERS[name]
        if current not in st.query_params:
            values = st.query_params.get_all(name)
            st.query_params[current] = [VALUES.get((current, value), value) for value in values]
        del st.query_params[name]
    if earlier:
        st.rerun()  # a bound widget takes its first value from the address that a run of the script begins with


def join_ids(runs: Iterable[str]) -> str:
    """Run ids as one value of an address; commas within an id are escaped.

    Example:
        >>> join_ids(["tones-1", "a, b"]), split_ids("tones-1,a%2C b")
        ('tones-1,a%2C b', ['tones-1', 'a, b'])
    """
    return ",".join(run.replace("%", "%25").replace(",", "%2C") for run in runs)


def split_ids(value: str) -> list[str]:
    """The ids of `join_ids`, each once."""
    return list(dict.fromkeys(unquote(part) for part in value.split(",") if part))


def base_path() -> str:
    """What stands before every path of the app: "" or, behind a proxy, `server.baseUrlPath` as "/path"."""
    prefix = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{prefix}" if prefix else ""


def put(name: str, value: str | None) -> None:
    """Write a parameter of the address, or take it out; only a change, since each one is a step for Back."""
    if value is None:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != value:
        st.query_params[name] = value


def asks_anew(page: str, names: Sequence[str]) -> bool:
    """Whether the address asks for something else than what the page wrote there last: a link, or Back.

    A page keeps its choices in the session; these count until the address asks for others. See `remember`.
    """
    asked = _asked(names)
    return bool(asked) and asked != st.session_state.get(f"address-of-{page}")


def remember(page: str, names: Sequence[str]) -> None:
    """Keep what the address asks for now that the page has written its choices there."""
    st.session_state[f"address-of-{page}"] = _asked(names)


def _asked(names: Sequence[str]) -> dict[str, str]:
    return {name: st.query_params[name] for name in names if name in st.query_params}
