"""Tables as CSV: what a spreadsheet and Python's reader make of any value."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpc_engine.csv_text import columns_csv, records_csv

AWKWARD = ["a, b", 'the "moon"', "two\nlines", "carriage\rreturn", "both\r\n", " spaces ", "ünïcode ♥", ";", "'"]
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\ttab", "\rreturn", '=HYPERLINK("http://x","y")']
MARKS = ("=", "+", "-", "@", "\t", "\r")


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("text", AWKWARD)
def test_values_and_headings_survive_a_round_trip(text: str) -> None:
    assert rows(columns_csv({text: [text, 1], "other": ["x", text]})) == [[text, "other"], [text, "x"], ["1", text]]
    assert rows(records_csv([{text: text, "other": 2}])) == [[text, "other"], [text, "2"]]


@pytest.mark.parametrize("text", FORMULAS)
def test_text_that_a_spreadsheet_would_compute_is_defused(text: str) -> None:
    assert rows(columns_csv({text: [text]})) == [["'" + text], ["'" + text]]
    assert rows(records_csv([{text: text}])) == [["'" + text], ["'" + text]]


@pytest.mark.parametrize("number", [-1, -0.5, 1e-9, 12, 0, np.float32(-2.5), np.int64(-3), float("inf")])
def test_numbers_stay_numbers(number: Any) -> None:
    [_, [cell]] = rows(columns_csv({"x": [number]}))
    assert float(cell) == float(number)
    [_, [cell]] = rows(records_csv([{"x": number}]))
    assert float(cell) == float(number)


def test_nothing_is_an_empty_cell() -> None:
    assert rows(columns_csv({"x": [None, 0], "y": ["", False]})) == [["x", "y"], ["", ""], ["0", "False"]]
    assert rows(records_csv([{"x": None, "y": 1}, {"y": 2}])) == [["x", "y"], ["", "1"], ["", "2"]]
    assert rows(records_csv([])) == [[]]
    assert rows(columns_csv({"x": []})) == [["x"]]


def test_nested_records_become_dotted_columns() -> None:
    text = records_csv(
        [
            {"step": 1, "modalities": {"audio": {"loss": 2.0}}},
            {"step": 2, "modalities": {"audio": {"loss": 1.0, "a, b": {"=x": None}}}, "hard": [1, "=2"]},
        ]
    )
    assert rows(text) == [
        ["step", "modalities.audio.loss", "modalities.audio.a, b.=x", "hard"],
        ["1", "2.0", "", ""],
        ["2", "1.0", "", "[1, '=2']"],
    ]


def test_columns_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="longer"):
        columns_csv({"x": [1], "y": [1, 2]})


@given(st.lists(st.tuples(st.text(max_size=6), st.text(max_size=6)), max_size=4))
def test_any_text_can_be_read_back(cells: list[tuple[str, str]]) -> None:
    columns = {"a": [left for left, _ in cells], "b": [right for _, right in cells]}
    guarded = [["'" + cell if cell.startswith(MARKS) else cell for cell in row] for row in cells]
    assert rows(columns_csv(columns)) == [["a", "b"], *guarded]
