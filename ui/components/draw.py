"""A small surface to draw a picture on."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

import streamlit as st

_mount = st.components.v2.component(
    "cpc_draw",
    html="""<div class="cpc-draw"><canvas width="256" height="256" aria-label="Draw here"></canvas>
<div><button type="button">Clear</button> <button type="button">Place this drawing</button></div></div>""",
    css="""
.cpc-draw canvas { width: 256px; max-width: 100%; touch-action: none; cursor: crosshair;
  border: 1px solid var(--st-border-color); border-radius: var(--st-base-radius); }
.cpc-draw button { margin-top: 0.4rem; padding: 0.35rem 0.75rem; font: inherit; cursor: pointer;
  color: var(--st-text-color); background: var(--st-background-color);
  border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius); }
.cpc-draw button:hover, .cpc-draw button:focus-visible { border-color: var(--st-primary-color); }
""",
    js=Path(__file__).with_suffix(".js").read_text(encoding="utf-8"),
)


def drawing(ink: str, paper: str, key: str) -> bytes | None:
    """The PNG of a drawing, in the one run of the page that follows the press of its button."""
    address = _mount(key=key, data={"ink": ink, "paper": paper}, on_drawing_change=lambda: None).get("drawing")
    if not address:
        return None
    try:
        return base64.b64decode(str(address).partition("base64,")[2], validate=True)
    except binascii.Error:
        return None
