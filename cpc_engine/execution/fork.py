"""Paired forks: a run goes on twice from its checkpoint, once with a change and once without.

Child and control have the same weights, moments, queue, order of the data, and random numbers, so that what differs
between them is what the change did. See docs/method.md#paired-forks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config import RunConfig
from ..errors import ConfigError, RunError
from ..storage.folder import RunFolder
from ..training.states import with_prefix
from .weight_snapshots import WeightSnapshots

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

# What would be other data, another network, or another draw of random numbers.
KEPT_SECTIONS = ("data", "audio", "image", "context", "evaluation")
KEPT = (
    "run.seed",
    "run.precision",
    "optimizer.batch_size",
    "sampler.one_group",
    "loss.learnable_temperature",
    "loss.similarity",
)
FEWEST = 20  # steps that a finished run goes on by default


@dataclass(frozen=True)
class Forks:
    """Two new runs, stopped at the step where they branched off."""

    child: RunFolder
    control: RunFolder
    step: int


def fork(folder: RunFolder, changes: Mapping[str, Any], root: Path, steps: int | None = None) -> Forks:
    """Branch a run at its checkpoint.

    Args:
        folder: of a run that has ended or paused, with a checkpoint.
        changes: settings of the child, {"section.setting": value}; without any, the child is a second control.
        root: the folder of runs for both.
        steps: how many steps they go on; by default those that are left, or a quarter of a finished run.

    Raises:
        ConfigError: a setting does not exist or fit, or a change would be other data, another network, or other draws.
        RunError: the run has no checkpoint, or it is of another network. StorageError: `root` cannot be written.
    """
    if not folder.has_tensors("checkpoint"):
        raise RunError(f"{folder.id} has no checkpoint to branch off from")
    state, info = folder.tensors("checkpoint"), folder.info()
    done = int(state["progress"][0])
    if done == 0:
        raise RunError(f"{folder.id} has not made a step yet")
    own = folder.config()
    passed = {e["setting"]: e["value"] for e in folder.events() if e["kind"] == "change" and e["step"] < done}
    left = max(own.optimizer.steps - done, 0) or max(own.optimizer.steps // 4, FEWEST)
    config = own.replace({**passed, "optimizer.steps": done + (left if steps is None else steps)})
    changed = config.replace(changes)
    check_forkable(config, changed)
    words = ", ".join(f"{path.partition('.')[2]} {value}" for path, (value, _) in changed.differences(config).items())
    name = own.run.name or folder.id
    note = f"branched off {folder.id} at step {done}"
    records = [record for record in folder.records() if record["step"] <= done]
    made = []
    for settings, label in ((changed, words or "no change"), (config, "control")):
        named = settings.replace({"run.name": f"{name}: {label}"[:80], "run.note": f"{note}, {label}"[:200]})
        run = RunFolder.create(root, named)
        fitting = _fitting(state, config, settings)
        run.save_tensors("checkpoint", fitting)
        run.save_tensors("weights", with_prefix(fitting, "model."))
        WeightSnapshots(run, settings).branch_off(done, fitting)
        if folder.has("snapshots"):
            run.save_tensors("evolution", folder.tensors("evolution"))
            run.save_json("evolution", folder.json("evolution"))
        for record in records:
            run.append_record(record)
        facts = {key: value for key, value in info.data.items() if key != "example"}
        run.update(
            status="stopped",
            message=note,
            steps_done=done,
            seconds=info.seconds,
            device=info.device,
            parameters=info.parameters,
            loss_first=info.loss_first,
            loss_last=info.loss_last,
            data=facts,
        )
        made.append(run)
    return Forks(made[0], made[1], done)


def check_forkable(config: RunConfig, changed: RunConfig) -> None:
    """Refuse changes after which child and control would not share data, network and random numbers.

    Raises:
        ConfigError: the first setting that must stay.

    Example:
        >>> check_forkable(RunConfig(), RunConfig().replace({"loss.temperature": 0.1}))
        >>> check_forkable(RunConfig(), RunConfig().replace({"run.seed": 1}))
        Traceback (most recent call last):
        cpc_engine.errors.ConfigError: run.seed must stay as it is: a fork keeps data, network and random numbers
    """
    for path in changed.differences(config):
        if path.partition(".")[0] in KEPT_SECTIONS or path in KEPT:
            raise ConfigError(f"{path} must stay as it is: a fork keeps data, network and random numbers")
    for name in ("compares_items", "global_weight"):
        if bool(getattr(changed.loss, name)) != bool(getattr(config.loss, name)):
            raise ConfigError("an item-level or global term cannot be added or taken away: a fork keeps the network")


def _fitting(state: Mapping[str, Tensor], own: RunConfig, config: RunConfig) -> dict[str, Tensor]:
    """The checkpoint of a run with settings `own`, for one with those of `config`.

    A changed τ replaces the stored one; momentum encoders that are switched on begin as the trained ones.
    """
    fitting = dict(state)
    if config.loss.temperature != own.loss.temperature:
        stored = state["model.log_scale"]
        fitting["model.log_scale"] = stored.new_full(stored.shape, -math.log(config.loss.temperature))
    if config.sampler.key_momentum > 0 and own.sampler.key_momentum == 0:
        for name, tensor in state.items():
            part = name.removeprefix("model.")
            if name.startswith("model.encoders."):
                fitting[f"ema.{part.removeprefix('encoders.')}"] = tensor.clone()
            if name.startswith(("model.gru.", "model.heads.")) and config.loss.item_weight > 0:
                fitting[f"item.slow.{part}"] = tensor.clone()
    return fitting
