"""A page that is left empty after a lost connection is loaded again."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import streamlit as st

# Out of the flow: a script beside the elements of a page would take the gap between two of them.
CSS = '[data-testid="stElementContainer"]:has(#cpc-reload) { position: absolute; }'


def reload_if_empty() -> None:
    """Let the browser load this page again if a lost connection leaves it empty."""
    st.html(f'<style>{CSS}</style><script id="cpc-reload">{_script()}</script>', unsafe_allow_javascript=True)


@cache
def _script() -> str:
    return Path(__file__).with_name("reload.js").read_text(encoding="utf-8")
