"""Errors shown as one sentence, and text shown literally."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from cpc_engine.errors import CpcError

BROKE = "This page met something that it does not know how to handle"


@contextmanager
def plain_errors() -> Iterator[None]:
    """Show an exception as one sentence instead of a stack trace."""
    try:
        yield
    except CpcError as error:
        st.error(sentence(str(error)), icon=":material/error:")
    except Exception as error:  # the last place before a stack trace would reach the reader
        logging.getLogger(__name__).exception("a page broke")
        st.error(f"{BROKE} ({type(error).__name__}). The server's log has the details.", icon=":material/error:")


def sentence(text: str) -> str:
    """`text` with a capital first letter, shown literally."""
    return literal(text[:1].upper() + text[1:])


def literal(text: str) -> str:
    """`text` with every character escaped that Streamlit's Markdown would interpret."""
    for mark in "\\`*_[]$<>:#~|":
        text = text.replace(mark, f"\\{mark}")
    return text
