"""One configuration and seed give one run: in another process, with other numbers of threads, and from then to now."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cpc_engine.config import RunConfig
from cpc_engine.data import load_dataset
from cpc_engine.execution.device import fabric_on
from cpc_engine.training.trainer import Trainer
from tests.support.forks import Fork
from tests.support.stored import same_weights, train, without_seconds
from tests.support.tiny import tiny

# Losses by step of `CASES` as they were when this file was written; `python -m tests.engine.training.test_determinism`
# prints them. A change of them changes what every earlier result means: it needs a line in the changelog.
GOLDEN = Path(__file__).with_name("golden.json")
STEPS = 10
QUEUE = {
    "sampler__queue_size": 128,
    "sampler__key_momentum": 0.9,
    "sampler__perturbed": True,
    "sampler__shuffled": "input",
}
CASES: dict[str, dict[str, Any]] = {
    "sounds, patches": {"data__dataset": "tones", **QUEUE},
    "pictures, residual": {"data__dataset": "bars", "image__encoder": "residual", "loss__item_weight": 1.0},
    "pairs": {"data__dataset": "tones_bars", "sampler__cross_modal": True, "loss__pair_weight": 1.0, **QUEUE},
    "reference": {"data__dataset": "tones", "sampler__mode": "reference", "audio__encoder": "convnet"},
}


def settings(case: str, threads: int = 1) -> dict[str, Any]:
    return {**CASES[case], "optimizer__steps": STEPS, "run__threads": threads}


def losses(case: str, folder: Path, threads: int = 1) -> list[float]:
    return [record["loss"] for record in train(folder, tiny(**settings(case, threads))).records()]


@pytest.mark.parametrize("case", CASES)
def test_losses_are_those_of_the_golden_run(case: str, tmp_path: Path) -> None:
    """Not to the last digit: processors and versions of torch round differently.

    The first layer of the residual encoder is found by k-means, in which a rounding can move a patch to another center.
    """
    rel = 1e-2 if case == "pictures, residual" else 1e-3
    assert losses(case, tmp_path) == pytest.approx(json.loads(GOLDEN.read_text())[case], rel=rel)


@pytest.mark.parametrize("case", ["sounds, patches", "pairs"])
def test_other_numbers_of_threads_only_round_differently(case: str, tmp_path: Path) -> None:
    """Sums are taken in another order; ten steps on, the losses still agree to four digits."""
    alone = losses(case, tmp_path / "1")
    for threads in (2, 3):
        assert losses(case, tmp_path / str(threads), threads) == pytest.approx(alone, rel=1e-4)


def test_runs_that_begin_together_are_those_that_begin_alone() -> None:
    """First weights come from a generator of which torch has one; threads take turns."""
    configs = [tiny(**settings(case, threads=1), run__seed=seed) for case in CASES for seed in (0, 1)]

    def begun(config: RunConfig) -> dict[str, Tensor]:
        trainer = Trainer(config, load_dataset(config), fabric_on("cpu", "32-true"))
        trainer.step()
        return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}

    alone = [begun(config) for config in configs]
    with ThreadPoolExecutor(len(configs)) as threads:
        for one, other in zip(alone, threads.map(begun, configs), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_another_process_trains_the_same_run_bit_for_bit(tmp_path: Path) -> None:
    config = tiny(**settings("pairs"))
    here = train(tmp_path / "here", config)
    (tmp_path / "config.json").write_text(config.to_json())
    command = ["train", "--config", "config.json", "--runs", "there"]
    assert Fork("cpc_engine", *command, place=tmp_path, out=tmp_path / "out").wait(240) == 0
    [path] = (tmp_path / "there").glob("*/run.json")
    there = type(here)(path.parent)
    assert without_seconds(there) == without_seconds(here)
    assert same_weights(there, here)


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        print(json.dumps({case: losses(case, Path(name) / case) for case in CASES}, indent=1))
