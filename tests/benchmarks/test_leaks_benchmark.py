"""The benchmark of copies: what it measures has the documented keys and the table follows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import leaks, tables
from cpc_engine.experiments.recipe import incomplete


@pytest.mark.slow
def test_numbers_by_content_meet_no_copies_and_groups_take_the_leak_away(tmp_path: Path) -> None:
    leaks.main(["--repeats", "4", "--out", str(tmp_path / "leaks.json")])
    document = json.loads((tmp_path / "leaks.json").read_text())
    assert incomplete(document["recipe"]) == []
    assert document["recipe"]["parameters"]["settings"]
    assert {name for name, digest in document["recipe"]["data"].items() if len(digest) == 64} == set(leaks.SETTINGS)
    for row in document["unmasked"].values():
        assert row["by_content"] == 0
        assert row["by_row"] > 0.02
    for row in document["inflation"].values():
        assert row["single"]["mean"] > row["grouped"]["mean"] + 0.1
        assert row["grouped"]["mean"] < 0.65
    assert "If copies were not recognized" in tables.section(tmp_path)
