"""Text of the commands: tables as aligned lines on stdout, and remarks on stderr."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any


def aligned(columns: Mapping[str, Sequence[Any]], skip: Sequence[str] = ()) -> list[str]:
    """Format a table as aligned lines; empty for a table without rows.

    Args:
        columns: cells by title; None is an empty cell. skip: titles of columns to leave out.
    """
    shown = {
        name: ["" if cell is None else str(cell) for cell in cells]
        for name, cells in columns.items()
        if name not in skip
    }
    rows = [list(shown), *zip(*shown.values(), strict=True)]
    if len(rows) == 1:
        return []
    widths = [max(len(row[index]) for row in rows) for index in range(len(shown))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def printable(line: str) -> str:
    r"""Escape control characters, with which the name of a run could command the terminal.

    Example:
        >>> printable("red \x1b[31m")
        'red \\x1b[31m'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def note(line: str) -> None:
    """Print a line on stderr, so that stdout holds results only."""
    print(printable(line), file=sys.stderr)
