"""Whether the items that lie in a data set now are those that a run learned from, by short digests of their names.

A file more or less changes which items are drawn for which split, so that a network would be measured on items that it
has learned from. Names are compared and not contents, which later versions may decode in another way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from ...errors import DataError
from ..dataset import Dataset


def names_digest(names: Iterable[str]) -> str:
    """Return 16 hexadecimal digits that change with any name and with the order of the names.

    Example:
        >>> names_digest(["a", "b"]), names_digest(["a", "b"]) == names_digest(["ab"])
        ('facdde7abf1eac5b', False)
    """
    text = "".join(f"{len(name)}:{name}" for name in names)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def split_digests(data: Dataset) -> dict[str, str]:
    """Return the digest of the names of each split: {"train": …, "validation": …, "test": …}."""
    return {name: names_digest(split.names) for name, split in data.splits()}


def check_same_items(run: str, facts: Mapping[str, Any], data: Dataset) -> None:
    """Check that data are those that a run learned from, split in the same way.

    Args:
        run: its id, for the message.
        facts: what run.json says of its data. Earlier versions kept the number of items of each split, or not even
            that; only what is kept is compared.
        data: the data set as it lies there now.

    Raises:
        DataError: they are others; the message says how they differ, and what to do.
    """
    if list(data.classes) != list(facts["classes"]):
        raise DataError(f"{run} learned {facts['classes']}, these data have {list(data.classes)}")
    counts, digests, found = facts.get("items", {}), facts.get("digests", {}), split_digests(data)
    differences = []
    for name, split in data.splits():
        if counts.get(name, len(split)) != len(split):
            differences.append(f"{len(split)} {name} items instead of {counts[name]}")
        elif digests.get(name, found[name]) != found[name]:
            differences.append(f"other {name} items")
    if differences:
        raise DataError(
            f"{run} did not learn from these data: they have changed since training ({', '.join(differences)}), so "
            "held-out items may be among those that it learned from; put the files back as they were, or train again"
        )
