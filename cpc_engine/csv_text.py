"""Tables as CSV text that is safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]

FORMULA_MARKS = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet computes text that begins with one of these


def records_csv(records: Sequence[Record]) -> str:
    """One row per record; nested values get dotted columns ("modalities.audio.loss"), missing ones stay empty."""
    rows = [dict(_flat(record)) for record in records]
    names = list(dict.fromkeys(name for row in rows for name in row))
    return rows_csv(names, ([row.get(name) for name in names] for row in rows))


def columns_csv(columns: Mapping[str, Sequence[Any]]) -> str:
    """Columns of equal length, by name.

    Raises:
        ValueError: their lengths differ.
    """
    return rows_csv(columns, zip(*columns.values(), strict=True))


def rows_csv(heading: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A heading and rows of the same length."""
    text = io.StringIO()
    writer = csv.writer(text)  # lines end with "\r\n" (RFC 4180); otherwise a lone "\r" in a cell would not be quoted
    writer.writerow([csv_cell(name) for name in heading])
    writer.writerows([csv_cell(value) for value in row] for row in rows)
    return text.getvalue()


def csv_cell(value: Any) -> Any:
    """A value as csv writes it; text that looks like a formula is marked as text by a leading apostrophe.

    Example:
        >>> csv_cell("=1+1"), csv_cell("dog"), csv_cell(-1)
        ("'=1+1", 'dog', -1)
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_MARKS) else value


def _flat(record: Record, prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
