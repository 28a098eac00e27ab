"""The benchmark of the order of files: a drawn sample is not misled by it, and the table follows."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import ordering, tables
from cpc_engine.experiments.recipe import incomplete


def test_a_drawn_sample_sees_every_speaker(tmp_path: Path) -> None:
    ordering.main(["--repeats", "1", "--out", str(tmp_path / "ordering.json")])
    document = json.loads((tmp_path / "ordering.json").read_text())
    assert incomplete(document["recipe"]) == []
    assert document["recipe"]["parameters"]["settings"]
    assert {name for name, digest in document["recipe"]["data"].items() if len(digest) == 64} == {"seed 0"}
    first, drawn = document["choices"]["first"], document["choices"]["drawn"]
    assert drawn["speakers"]["mean"] == ordering.SPEAKERS > first["speakers"]["mean"]
    assert drawn["offset"]["mean"] < 0.3 < first["offset"]["mean"]
    assert drawn["borderline"]["mean"] < 0.2 < first["borderline"]["mean"]
    assert "If the first items of a class stood for it" in tables.section(tmp_path)
