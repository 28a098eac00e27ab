"""Short explanations of terms, as hover texts: the entries of docs/glossary.md."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

GLOSSARY = Path(__file__).resolve().parents[2] / "docs" / "glossary.md"
_ENTRY = re.compile(r"^\*\*.+?\*\* \(`(?P<key>\w+)`\): (?P<text>.+)$", re.MULTILINE)


def define(key: str) -> str:
    """The sentence that explains a term; empty where the glossary or the entry is missing."""
    return _entries().get(key, "")


@cache
def _entries() -> dict[str, str]:
    """{key: sentence}, read once per process."""
    if not GLOSSARY.is_file():
        return {}
    return {entry["key"]: entry["text"].strip() for entry in _ENTRY.finditer(GLOSSARY.read_text(encoding="utf-8"))}
