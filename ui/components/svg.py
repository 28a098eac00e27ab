"""Drawings of our own in the page itself, so that they take its text color: `st.html` removes SVG, and an image cannot
know whether the page is light or dark."""

from __future__ import annotations

import streamlit as st

# Only for what this package draws: the text is put into the page as it is.
_mount = st.components.v2.component(
    "cpc_svg",
    html='<div class="cpc-svg"></div>',
    css=".cpc-svg svg { display: block; width: 100%; height: auto; color: var(--st-text-color); }",
    js="export default ({ parentElement, data }) => { parentElement.querySelector('.cpc-svg').innerHTML = data; };",
)


def show_svg(svg: str, key: str) -> None:
    """Put a drawing on the page; names inside it must be escaped."""
    _mount(key=key, data=svg)
