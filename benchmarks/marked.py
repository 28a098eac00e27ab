"""Generated parts of a document, between `<!-- NAME -->` and `<!-- /NAME -->`."""

from __future__ import annotations

import re
from pathlib import Path


def replace_part(document: Path, name: str, text: str) -> None:
    """Put `text` between the two marks of a part.

    Raises:
        ValueError: the document has no such part.
    """
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(\n?<!-- /{name} -->)", re.DOTALL)
    before = document.read_text(encoding="utf-8")
    if not pattern.search(before):
        raise ValueError(f"{document} has no part {name!r}")
    document.write_text(pattern.sub(lambda match: f"{match[1]}{text}\n<!-- /{name} -->", before), encoding="utf-8")
