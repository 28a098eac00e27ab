"""`python -m benchmarks.mutations` on a module of four lines: what is killed, what survives, what takes too long."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.mutants import changed, changes
from benchmarks.mutations import EQUIVALENT, ROOT, TARGETS, draw, report

SOURCE = '''"""A module."""


def smaller(a: int | None, b: int = 3) -> int:
    """The smaller one: a < b."""
    assert a is not None
    return a if a < b else b


def distance(a: int, b: int) -> int:
    return abs(a - b)
'''
# That equal numbers are swapped no test can notice, and the default is not tested.
TESTS = """
from cpc_engine.toy import distance, smaller


def test_it() -> None:
    assert (smaller(1, 2), smaller(2, 1), distance(5, 3)) == (1, 1, 2)
"""
COMMAND = """
import json, sys
from pathlib import Path
from benchmarks.mutations import attempt, draw
root, folder, state = map(Path, sys.argv[1:])
targets = {"cpc_engine/toy.py": ("tests/test_toy.py",)}
print(json.dumps(attempt(root, folder, draw(root, targets, 9, 0), targets, state, ("pytest", "hypothesis"))))
"""


def test_changes_leave_annotations_texts_and_assertions_alone() -> None:
    assert [(change.line, change.where, change.what) for change in changes(SOURCE)] == [
        (4, "smaller", "3 → 4"),
        (7, "smaller", "if a < b: ... → if not a < b: ..."),
        (7, "smaller", "a < b → a <= b"),
        (11, "distance", "a - b → a + b"),
    ]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no fork")
def test_a_wrong_result_is_killed_and_an_equal_one_survives(tmp_path: Path) -> None:
    for name, text in (("cpc_engine/toy.py", SOURCE), ("tests/test_toy.py", TESTS)):
        (tmp_path / "root" / name).parent.mkdir(parents=True)
        (tmp_path / "root" / name).write_text(text)
    rows = []
    for attempt in ("first", "second"):
        (tmp_path / attempt).mkdir()
        paths = [str(tmp_path / name) for name in ("root", attempt, "state")]
        ended = subprocess.run([sys.executable, "-c", COMMAND, *paths], cwd=ROOT, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        rows.append(json.loads(ended.stdout))
    assert {row["what"]: row["outcome"] for row in rows[0]} == {
        "3 → 4": "survived",
        "if a < b: ... → if not a < b: ...": "killed",
        "a < b → a <= b": "survived",
        "a - b → a + b": "killed",
    }
    assert rows[1] == rows[0]
    assert len((tmp_path / "state").read_text().splitlines()) == 4  # the second time nothing is tried
    assert (tmp_path / "root/cpc_engine/toy.py").read_text() == SOURCE
    same = {"cpc_engine/toy.py": [{"where": "smaller", "what": "a < b → a <= b", "reason": "equal numbers"}]}
    text = report(rows[0], same, 0)
    assert "4 changes (seed 0): 2 killed, 0 of them by the limit of time; 2 survived, 1 of them because" in text
    assert "50.0 % (95 % interval 15.0 to 85.0 %) of all, 66.7 % (95 % interval" in text
    assert "equivalent: equal numbers |" in text


def test_the_sample_has_as_many_changes_of_each_module() -> None:
    chosen = [module for module, _ in draw(ROOT, TARGETS, 2 * len(TARGETS), 0)]
    assert chosen == [module for module in TARGETS for _ in range(2)]


def test_every_equivalent_change_is_one_of_its_module() -> None:
    for module, entries in json.loads(EQUIVALENT.read_text(encoding="utf-8")).items():
        names = {(change.where, change.what) for change in changes((ROOT / module).read_text(encoding="utf-8"))}
        for entry in entries:
            assert (entry["where"], entry["what"]) in names
            assert entry["reason"]


def test_each_change_gives_a_source_of_its_own() -> None:
    sources = [changed(SOURCE, number) for number in (None, *range(len(changes(SOURCE))))]
    assert len(set(sources)) == len(sources)
