"""Errors shown as one sentence, and text shown literally."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from cpc_engine.errors import CpcError

from .log import NAME, report

_UNSEEN = "\u2060"  # word joiner
# An address or a mail address is a link even where its colon is escaped: the text is searched after it was parsed.
_JOINED = re.compile(r"(?<=http)(?=s?\\:)|(?<=www)(?=\.)|(?<=@)|(?<=[-<>~=])(?=\\?[-<>~=])", re.IGNORECASE)
_INDENTED = re.compile(r"^[ \t]+", re.MULTILINE)  # a line of code
_LIST = re.compile(r"^(\d*)([-+=.)])", re.MULTILINE)
BROKE = "This page met something that it does not know how to handle"


@contextmanager
def plain_errors() -> Iterator[None]:
    """Show an exception as one sentence instead of a stack trace."""
    try:
        yield
    except CpcError as error:
        st.error(sentence(error.problem), icon=":material/error:")
    except Exception as error:  # the last place before a stack trace would reach the reader
        where = f"error {report(error)} in {NAME} in the folder of runs"
        st.error(sentence(f"{BROKE} ({type(error).__name__}; {where})."), icon=":material/error:")


def sentence(text: str) -> str:
    """A text of the engine with a capital first letter, shown literally; settings have their labels for their keys."""
    from cpc_engine.config import with_labels

    told = with_labels(text)
    return literal(told[:1].upper() + told[1:])


def literal(text: str) -> str:
    r"""`text` so that Streamlit's Markdown shows it letter by letter.

    Marks are escaped. What becomes a link, a list, or another sign without any mark is taken apart: addresses and signs
    such as -> by a character that is not seen, lists by escaping their mark at the start of a line.

    Example:
        >>> literal("![x](y) *a*")
        '\\!\\[x\\](y) \\*a\\*'
    """
    for mark in "\\`*_[]$<>:#~|!&":
        text = text.replace(mark, f"\\{mark}")
    text = _LIST.sub(r"\1\\\2", _INDENTED.sub("", text))
    return _JOINED.sub(_UNSEEN, text)
