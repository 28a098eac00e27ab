"""Tests that every setting has an effect on the data, weights, records, maps, or probes of a run."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch

from cpc_engine.config import RunConfig, all_settings
from cpc_engine.data import Dataset, load_dataset
from cpc_engine.execution.evaluate import evaluate_run
from cpc_engine.execution.execute import execute
from cpc_engine.model import patches
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from cpc_engine.training.fabric import Fabric
from cpc_engine.training.trainer import Trainer
from tests.support.tiny import CHANGES

BASE: dict[str, Any] = CHANGES | {
    "data.dataset": "tones_bars",
    "audio.warp": 0.1,
    "audio.filter_db": 6.0,
    "sampler.queue_size": 48,
    "sampler.perturbed": True,
    "sampler.cross_modal": True,
    "loss.pair_weight": 1.0,
    "optimizer.steps": 4,
    "optimizer.clip_norm": 0.05,
    "run.precision": "32-true",
}
# One modality, which is faster, with enough items for limits on items to have an effect.
SOUNDS = CHANGES | {
    "data.train_items": 192,
    "data.test_items": 48,
    "optimizer.steps": 4,
    "run.precision": "32-true",
}
# Settings that another setting needs to have an effect.
NEEDS: dict[str, dict[str, Any]] = {
    "image.size": {"image.grid": 4},
    "image.depth": {"image.size": 64, "image.grid": 4},
    "loss.temperature_min": {  # starts so high that training lowers it
        "loss.learnable_temperature": True,
        "loss.temperature": 1.0,
        "loss.temperature_max": 50.0,
        "optimizer.learning_rate": 0.05,
        "optimizer.steps": 12,
    },
    "audio.directions": {"audio.encoder": "residual"},
    "image.directions": {"image.encoder": "residual"},
    "image.view_share": {"image.encoder": "residual", "image.grid": 2},
    "context.item_dim": {"loss.item_weight": 1.0},
    "loss.item_temperature": {"loss.item_weight": 1.0},
    "sampler.queue_max_age": {"sampler.queue_size": 4096},
    "loss.temperature_max": {"loss.learnable_temperature": True, "loss.temperature": 0.2},
    "sampler.mixed_pool": {"sampler.mixed": 16},
    "sampler.detach_synthetic": {"sampler.key_momentum": 0.0},
    "optimizer.final_rate": {"optimizer.warmup_steps": 0},
}
# Values to change a setting to, where doubling or flipping its value would not do.
OTHER: dict[str, Any] = {
    "data.dataset": "keypad",
    "data.classes": ["220 Hz", "880 Hz"],
    "audio.sample_rate": 4000,
    "audio.band_drop": 1.0,
    "audio.noise_share": 0.3,
    "image.size": 64,
    "image.grid": 2,
    "audio.directions": 16,
    "image.directions": 16,
    "image.view_share": 0.75,
    "image.color_drop": 1.0,
    "context.horizons": [1, 3],
    "context.horizon_seconds": [0.06],
    "context.layers": 2,
    "sampler.queue_size": 20,
    "sampler.queue_per_item": 1,
    "sampler.queue_delay": 3,
    "sampler.queue_max_age": 1,
    "sampler.key_momentum": 0.9,
    "sampler.shuffled": "input",
    "sampler.mixed": 16,
    "sampler.mixed_pool": 2,
    "sampler.one_group": True,
    "loss.temperature_min": 0.999,
    "loss.temperature_max": 0.2001,
    "optimizer.steps": 3,
    "optimizer.warmup_steps": 3,
    "optimizer.weight_decay": 0.9,
    "optimizer.clip_norm": 0.0,
    "evaluation.every": 2,
    "evaluation.items": 20,
    "evaluation.map_items": 40,
    "evaluation.perplexity": 4.0,
    "evaluation.probe_items": 32,
    "evaluation.strengths": [0.001],
    "run.name": "another",
    "run.note": "another",
    "run.precision": "bf16-mixed",
    "run.record_every": 3,
    "run.threads": 2,
}
# Settings tested elsewhere, because they need files, another device, or groups that generated data lack.
ELSEWHERE = {
    "data.path": "tests/engine/data/test_folders.py",
    "data.groups": "tests/engine/data/test_groups.py",
    "data.image_path": "tests/engine/data/test_folders.py",
    "data.split": "tests/engine/data/test_fsdd.py",
    "data.held_out": "tests/engine/data/test_fsdd.py",
    "data.download": "tests/engine/data/test_fsdd.py",
    "run.device": "tests/engine/execution/test_device.py",
    "run.snapshots": "tests/engine/execution/test_weight_snapshots.py",
    "run.tensorboard": "tests/engine/execution/test_event_files.py",
    "sampler.one_group": "tests/engine/training/test_trainer.py",
    "audio.recording_seconds": "tests/engine/data/test_windows.py",
}
WHOLE_RUN = ("evaluation.", "run.")
SETTINGS = [setting for setting in all_settings() if setting.path not in ELSEWHERE]


def digest(tensors: dict[str, torch.Tensor]) -> str:
    total = hashlib.sha256()
    for name in sorted(tensors):
        total.update(name.encode() + tensors[name].detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


@cache
def data_of(sections: str) -> Dataset:
    return load_dataset(RunConfig.from_json(sections))


@cache
def trained(text: str) -> str:
    """Data and weights of a configuration (as JSON) after all steps, without files."""
    config = RunConfig.from_json(text)
    same = config.replace({"optimizer.steps": 4, "run.seed": 0})
    data = data_of(
        RunConfig.from_dict({k: v for k, v in same.to_dict().items() if k in ("data", "audio", "image")}).to_json()
    )
    with patch.object(patches, "SAMPLED", 500):  # for a first layer that is taken from the data
        trainer = Trainer(config, data, Fabric(accelerator="cpu"))
    for _ in range(config.optimizer.steps):
        trainer.step()
    splits = {f"{name}.{m}": split.values(m) for name, split in data.splits() for m in data.modalities}
    return digest({**trainer.model.weights(), **{name: x for name, x in splits.items() if x is not None}})


def whole_run(config: RunConfig, root: Path) -> str:
    """Everything that a run and its evaluation store, without times and ids."""
    folder = RunFolder.create(root, config)
    threads: list[int] = []
    execute(folder, Control(), lambda _: threads.append(torch.get_num_threads()))
    evaluation = evaluate_run(folder)
    records = [{k: v for k, v in row.items() if k != "seconds"} for row in folder.records()]
    facts = [records, max(threads), {**evaluation, "run": ""}, folder.config().run.name, folder.config().run.note]
    maps = folder.tensors("map")
    return digest({**folder.tensors("weights"), **maps}) + str(facts)


def other_value(path: str, config: RunConfig) -> Any:
    if path in OTHER:
        return OTHER[path]
    value = config.flat()[path]
    setting = next(setting for setting in all_settings() if setting.path == path)
    if setting.kind == "bool":
        return not value
    if setting.kind == "choice":
        return next(choice for choice in setting.choices if choice != value)
    return type(value)(value * 2) if value else setting.maximum


@pytest.mark.parametrize("path", [s.path for s in SETTINGS if not s.path.startswith(WHOLE_RUN) or s.path == "run.seed"])
def test_a_setting_changes_the_data_or_the_weights(path: str) -> None:
    base = RunConfig().replace(BASE | NEEDS.get(path, {}))
    changed = base.replace({path: other_value(path, base)})
    assert trained(changed.to_json()) != trained(base.to_json())


@pytest.fixture(scope="module")
def base_run(tmp_path_factory: pytest.TempPathFactory) -> str:
    return whole_run(RunConfig().replace(SOUNDS), tmp_path_factory.mktemp("base"))


STORED = [s.path for s in SETTINGS if s.path.startswith(WHOLE_RUN)]


# What neighbors change is tested with the maps, where UMAP is compiled anyway.
@pytest.mark.parametrize("path", sorted({*STORED} - {"run.seed", "run.checkpoint_every", "evaluation.neighbors"}))
def test_a_setting_changes_what_a_run_stores(path: str, base_run: str, tmp_path: Path) -> None:
    changed = RunConfig().replace(SOUNDS | {path: OTHER[path]})
    assert whole_run(changed, tmp_path) != base_run


@pytest.mark.parametrize(("every", "checkpoints"), [(100, 1), (2, 2)])
def test_checkpoints_are_written_at_the_configured_interval(
    every: int, checkpoints: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[str] = []
    save = RunFolder.save_tensors

    def note(folder: RunFolder, name: str, tensors: dict[str, torch.Tensor]) -> None:
        saved.append(name)
        save(folder, name, tensors)

    monkeypatch.setattr(RunFolder, "save_tensors", note)
    execute(RunFolder.create(tmp_path, RunConfig().replace(SOUNDS | {"run.checkpoint_every": every})), Control())
    assert saved.count("checkpoint") == checkpoints
