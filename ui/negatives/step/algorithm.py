"""The lines of Algorithm 1 and Algorithm 2, read from docs/method.md."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

METHOD = Path(__file__).resolve().parents[3] / "docs" / "method.md"
_SECTION = re.compile(
    r"^### Algorithm (?P<number>\d)\n+(?P<title>[^.\n]+)\..*\n+(?P<lines>(?:\d+\. .+\n)+)", re.MULTILINE
)
_LINE = re.compile(r"^\d+\. (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\(#[^)]+\)")  # to another section, which is not on the page


@cache
def algorithms() -> dict[int, tuple[str, list[str]]]:
    """{number: (what it is, its lines)} as Markdown, read once per process; empty where the document is missing.

    Example:
        >>> {number: len(lines) for number, (_, lines) in algorithms().items()}
        {1: 12, 2: 11}
    """
    if not METHOD.is_file():
        return {}
    return {
        int(found["number"]): (found["title"], [_LINK.sub(r"\1", line) for line in _LINE.findall(found["lines"])])
        for found in _SECTION.finditer(METHOD.read_text(encoding="utf-8"))
    }
