"""Which arms and seeds a folder of runs holds, read once a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from cpc_engine.comparison.arms import arm_key
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.info import RunInfo
from cpc_engine.storage.listing import list_runs
from tests.support.tiny import tiny
from ui.compare import data
from ui.shell import names


def test_each_run_is_read_once_and_again_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configs = [tiny(run__seed=seed, sampler__perturbed=on) for on in (False, True) for seed in (0, 1)]
    folders = [RunFolder.create(tmp_path, config) for config in configs]
    for folder in folders:
        folder.update(status="finished")
    (folders[3].path / "config.json").write_text("{")
    monkeypatch.setattr(names, "root", lambda: tmp_path)
    read: list[str] = []
    config_of = RunFolder.config

    def counted(folder: RunFolder) -> object:
        read.append(folder.id)
        return config_of(folder)

    infos = list_runs(tmp_path)
    monkeypatch.setattr(RunFolder, "config", counted)
    whole = {
        (arm_key(config), config.run.seed): folder.id for config, folder in zip(configs[:3], folders, strict=False)
    }
    assert data.known_arms(infos) == whole
    count = len(read)
    assert data.known_arms(infos) == whole
    assert len(read) == count, "nothing is read again, not even what could not be read"
    changed = configs[0].replace({"run.seed": 9})
    (folders[0].path / "config.json").write_text(changed.to_json())
    del whole[arm_key(configs[0]), 0]
    assert data.known_arms(infos) == {**whole, (arm_key(changed), 9): folders[0].id}
    assert read[count:] == [folders[0].id]


def test_the_newest_two_are_of_the_same_data_where_there_are_two() -> None:
    def info(name: str, of: str, steps: int = 5, **example: str) -> RunInfo:
        facts = {"name": of} | ({"example": example} if example else {})
        return RunInfo(name, name, "finished", 0.0, 0.0, steps_done=steps, data=facts)

    shipped = info("example", "tones", teaches="pitch")
    newest_first = [info("sounds", "audio_folder"), info("b", "tones"), info("a", "tones"), shipped]
    assert data.newest_two(newest_first) == ["sounds", "b"], "no other run on these data"
    assert data.newest_two(newest_first[1:]) == ["b", "a"]
    assert data.newest_two([newest_first[1], newest_first[0], shipped]) == ["b", "example"]
    assert data.newest_two([info("none", "tones", steps=0)]) == []
    examples = [info(f"{of} {n}", of, teaches="x") for n, of in enumerate(("tones", "fsdd", "cifar10", "cifar10"))]
    assert data.newest_two(examples) == ["cifar10 2", "cifar10 3"]
    assert data.newest_two(examples[:2]) == ["tones 0", "fsdd 1"]
    assert data.newest_two([newest_first[0], *examples]) == ["sounds", "tones 0"], "one's own run comes first"
