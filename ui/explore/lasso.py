"""What a lasso holds, kept in the address: a link or a reload shows the same items, and Back those before."""

from __future__ import annotations

import re
from collections.abc import Iterable

import streamlit as st

from ..components.scatter import lasso_number, lassoed
from ..shell.address import put

NAME = "chosen"  # in the address
LONGEST = 4000  # characters; the items of a lasso that needs more are kept by the session alone


def chosen_by_lasso(link: str, run: str, count: int) -> list[int]:
    """The items inside the lasso on the map `link`, ascending, of the `count` items of a run.

    A new lasso is written to the address; while there is none newer the address counts, so that Back works.
    """
    newest = run, link, lasso_number(link)
    written = st.session_state.get("lasso-written")
    text = join_numbers(lassoed(link))
    if newest != written:
        st.session_state["lasso-written"] = newest
        if newest[-1] or (written and written[0] != run):  # another run has other items
            put(NAME, text if text and len(text) <= LONGEST else None)
    if len(text) > LONGEST:
        return split_numbers(text, count)
    return split_numbers(st.query_params.get(NAME, ""), count)


def join_numbers(numbers: Iterable[int]) -> str:
    """Whole numbers as one value of an address, ascending, with ranges where they follow one another.

    Example:
        >>> join_numbers([7, 3, 4, 5]), split_numbers("3-5,7", below=7)
        ('3-5,7', [3, 4, 5])
    """
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and number == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number])
    return ",".join("-".join(map(str, part)) for part in parts)


def split_numbers(value: str, below: int) -> list[int]:
    """The numbers of `join_numbers` that are less than `below`; what is no number is passed over."""
    found: set[int] = set()
    for part in value.split(","):
        if known := re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", part):
            first, last = int(known[1]), int(known[2] or known[1])
            found |= set(range(first, min(last + 1, below)))
    return sorted(found)
