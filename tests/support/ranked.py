"""Steps of many small configurations, by one process or by several that share every batch.

`python -m tests.support.ranked FOLDER` writes what 2 and what 3 ranks find to FOLDER/2 and FOLDER/3.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from cpc_engine.config import RunConfig
from cpc_engine.errors import ClusterError
from cpc_engine.execution.ranks.line import Line, leave
from cpc_engine.model import patches
from cpc_engine.sources import SOURCES
from cpc_engine.training.fabric import Fabric
from cpc_engine.training.ranks import ALONE, ManyRanks, Ranks
from cpc_engine.training.trainer import Trainer
from tests.support.tiny_data import TINY, dataset

STEPS = 2
Changes = dict[str, Any]

# What a random configuration draws from: each list holds alternatives.
CHOICES: list[list[Changes]] = [
    [{}, {"sampler.mode": "reference"}, {"sampler.same_item": False}, {"sampler.same_class": False}],
    [{"loss.similarity": "cosine"}, {"loss.similarity": "dot", "loss.temperature": 2.0}],
    [{}, {"sampler.queue_size": 50}, {"sampler.queue_size": 70, "sampler.queue_per_item": 2}],
    [{}, {"sampler.key_momentum": 0.9}],
    [{}, {"sampler.perturbed": True}, {"sampler.perturbed": True, "sampler.detach_synthetic": True}],
    [{"sampler.shuffled": value} for value in ("off", "batch", "time", "input")],
    [{}, {"sampler.mixed": 20}, {"sampler.hardness": 0.5}, {"sampler.class_prior": 0.05}],
    [{}, {"context.other_view": True}],
    [{}, {"loss.item_weight": 0.5}, {"loss.variance_weight": 0.1, "loss.covariance_weight": 0.1}],
    [{}, {"loss.global_weight": 0.5}],
    [{}, {"loss.learnable_temperature": True, "loss.temperature": 0.3}],
    [{}, {"context.horizons": [1]}, {"context.horizons": [2, 5], "context.predictors_per_modality": False}],
    [{}, {"context.orders": "both_ways"}, {"context.orders": "four_ways"}],
    [{f"{m}.encoder": value for m in ("audio", "image")} for value in ("patches", "convnet")]
    + [{"audio.encoder": "residual", "image.encoder": "residual", "audio.directions": 8, "image.directions": 8}],
    [{"optimizer.batch_size": size} for size in (3, 7, 8, 11)],
    [{}, {"sampler.one_group": True}],
]
PAIRED: list[list[Changes]] = [
    [{}, {"sampler.cross_modal": True}],
    [{}, {"loss.pair_weight": 0.5}, {"loss.pair_weight": 0.5, "loss.pair_positives": "class"}],
]


def cases() -> list[Changes]:
    """Every source of negatives alone, then mixtures of settings; "modalities" says of what data."""
    alone = [{"modalities": "both", "optimizer.batch_size": 8, **source.recipe} for source in SOURCES.values()]
    everything = {
        "modalities": "both",
        "optimizer.batch_size": 10,
        "sampler.queue_size": 60,
        "sampler.key_momentum": 0.9,
        "sampler.perturbed": True,
        "sampler.shuffled": "input",
        "sampler.cross_modal": True,
        "sampler.mixed": 20,
        "loss.item_weight": 0.5,
        "loss.pair_weight": 0.5,
        "loss.global_weight": 0.5,
        "loss.learnable_temperature": True,
        "loss.temperature": 0.3,
    }
    found: list[Changes] = [*alone, everything, {**everything, "sampler.key_momentum": 0.0}]
    draw = random.Random(0)
    mixtures: list[Changes] = [{"modalities": kind} for kind in ("audio", "image", "both", "both", "both", "both")]
    for alternatives in CHOICES + PAIRED:
        turns = [draw.sample(alternatives, len(alternatives)) for _ in mixtures]  # so that each has its turn
        places = range(len(mixtures)) if alternatives not in PAIRED else range(2, len(mixtures))
        for place, one in zip(places, itertools.chain.from_iterable(turns), strict=False):
            mixtures[place] |= one
    found += mixtures
    return found


def trained(changes: Changes, ranks: Ranks = ALONE) -> dict[str, Tensor]:
    """The gradients of the first step, the weights after it, and the losses and the state after `STEPS`."""
    made = {path: value for path, value in changes.items() if path != "modalities"}
    config = RunConfig().replace({**TINY, "optimizer.clip_norm": 0, **made})
    kind = changes["modalities"]
    with patch.object(patches, "SAMPLED", 500):  # for a first layer that is taken from the data
        trainer = Trainer(config, dataset(kind != "image", kind != "audio"), Fabric(accelerator="cpu"), ranks=ranks)
    found: dict[str, Tensor] = {}
    losses = []
    for step in range(STEPS):
        record = trainer.step()
        assert record is not None
        losses.append(record.loss)
        if step == 0:
            for name, parameter in trainer.model.named_parameters():
                if parameter.grad is not None:
                    found[f"gradient.{name}"] = parameter.grad.clone()
                found[f"weight.{name}"] = parameter.detach().clone()
    found["losses"] = torch.tensor(losses)
    state = {name: tensor for name, tensor in trainer.state().items() if name != "progress"}
    return found | {f"state.{name}": tensor.clone() for name, tensor in state.items()}


def one_rank(rank: int, count: int, folder: Path) -> None:
    torch.set_num_threads(1)
    line = Line(rank, count, folder)
    torch.save([trained(changes, ManyRanks(rank, count)) for changes in cases()], folder / f"rank-{rank}.pt")
    line.check_data("ab")
    with pytest.raises(ClusterError, match=f"rank {count - 1} has other data than rank 0"):
        line.check_data("ab" if rank < count - 1 else "cd")
    leave()


def main(folder: Path) -> None:
    for count in (2, 3):
        (folder / str(count)).mkdir()
        ranks = []
        for rank in range(count):
            ranks.append(os.fork())  # before torch has computed anything: the libraries are imported once
            if ranks[-1] == 0:
                one_rank(rank, count, folder / str(count))
                os._exit(0)  # torch's threads can abort an interpreter that shuts down
        assert [os.waitpid(rank, 0)[1] for rank in ranks] == [0] * count


if __name__ == "__main__":
    main(Path(sys.argv[1]))
