"""The benchmark of presets: what it counts, and one small run to its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import presets, timing
from cpc_engine.config import RunConfig
from cpc_engine.errors import RunError
from tests.support.tiny import tiny


def _run(rank: float, first: float = 5.0) -> dict[str, object]:
    return {"ranks": {"audio": rank, "image": 20.0}, "classes": 4, "first_map": first, "whole": 30.0}


def test_a_preset_is_spread_out_when_every_seed_and_modality_reaches_the_bar() -> None:
    found = presets.summarize([_run(4.5), _run(5.5, 9.0)])
    assert found["bar"] == 4
    assert found["spread_out"]
    assert found["effective_rank"]["audio"]["mean"] == 5.0
    assert found["seconds_to_first_map"] == 9.0
    assert not presets.summarize([_run(9.0), _run(3.9)])["spread_out"]


def test_a_preset_for_folders_names_the_benchmark_that_has_some(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"benchmarks\.folders"):
        presets.configuration("image_folder", tmp_path, 0)
    assert presets.configuration("fsdd", tmp_path, 2).data.path == str(tmp_path / "fsdd/recordings")
    assert presets.configuration("tones", tmp_path, 2).run.seed == 2


def test_what_was_found_in_a_run_is_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[RunConfig] = []

    def train(config: RunConfig, root: Path) -> dict[str, object]:
        made.append(config)
        return _run(5.0 + len(made))

    monkeypatch.setattr(presets, "train", train)
    monkeypatch.setattr(timing, "source", lambda: {"commit": "one", "dirty": False})
    first = tiny()
    assert presets.kept("tones", first, tmp_path) == presets.kept("tones", first, tmp_path) == _run(6.0)
    others = [("tones", tiny(run__seed=first.run.seed + 1)), ("tones", tiny(optimizer__steps=7)), ("chirps", first)]
    assert [presets.kept(name, config, tmp_path)["ranks"]["audio"] for name, config in others] == [7.0, 8.0, 9.0]
    assert len(made) == 4
    monkeypatch.setattr(timing, "source", lambda: {"commit": "another", "dirty": False})
    assert presets.kept("tones", tiny(optimizer__steps=7), tmp_path)["ranks"]["audio"] == 10.0


@pytest.mark.slow
def test_a_run_tells_its_ranks_and_when_its_first_map_came(tmp_path: Path) -> None:
    config = tiny(data__dataset="tones_bars", optimizer__steps=6, evaluation__every=2)
    found = presets.train(config, tmp_path)
    assert set(found["ranks"]) == {"audio", "image"}
    assert all(1 <= rank <= config.context.hidden_dim for rank in found["ranks"].values())
    assert 0 < found["first_map"] < found["whole"]
    document = {"presets": {"tones_bars": presets.summarize([found])}}
    assert "first map after" in presets.text(document)
