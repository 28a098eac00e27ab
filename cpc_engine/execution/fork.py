"""Paired forks: a run goes on twice from its checkpoint, once with a change and once without.

Child and control have the same weights, moments, queue, order of the data, and random numbers, so that what differs
between them is what the change did. Several pairs begin alike and go on with other data order and random numbers each.
See docs/method.md#paired-forks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from ..comparison.arms import Branch
from ..comparison.collect import branch_of
from ..config import RunConfig, all_settings, current_path
from ..errors import ConfigError, RunError
from ..storage.folder import RunFolder
from ..training.plan import diagnostics
from ..training.states import with_prefix
from .weight_snapshots import WeightSnapshots, load_state

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
_OF_MACHINE = {setting.path for setting in all_settings() if setting.role == "machine"}  # how it trains, not what
FEWEST = 20  # steps that a finished run goes on by default
SEEDS = 2**31  # that a run may have; those of pairs lie far apart, so that runs of other seeds have other pairs
APART = 10_000
MOST_NAME, MOST_LABEL = 120, 80  # characters of a run's name, and of what a fork appends to it


@dataclass(frozen=True)
class Forks:
    """Two new runs, stopped at the step where they branched off."""

    child: RunFolder
    control: RunFolder
    step: int


def fork(folder: RunFolder, changes: Mapping[str, Any], root: Path, steps: int | None = None, pair: int = 0) -> Forks:
    """Branch a run at its checkpoint.

    Args:
        folder: of a run that has ended or paused, with a checkpoint.
        changes: settings of the child, {"section.setting": value}; without any, the child is a second control. Those of
            the machine, such as "run.device", are given to both.
        root: the folder of runs for both.
        steps: how many steps they go on; by default those that are left, or a quarter of a finished run.
        pair: 0 goes on with the run's own data order and random numbers; each other number has its own, on both sides.

    Raises:
        ConfigError: a setting does not exist or fit, or a change would be other data, another network, other draws, or
            other steps.
        RunError: the run has no checkpoint, or it is of another network. StorageError: `root` cannot be written.
    """
    if steps is not None and steps < 1:
        raise ConfigError(f"a fork goes on for at least 1 step, not {steps}")
    if not folder.has_tensors("checkpoint"):
        raise RunError(f"{folder.id} has no checkpoint to branch off from")
    state, info = load_state(folder), folder.info()
    done = int(state["progress"][0])
    if done == 0:
        raise RunError(f"{folder.id} has not made a step yet")
    own = folder.config()
    passed = {e["setting"]: e["value"] for e in _changes(folder) if e["step"] < done}
    left = max(own.optimizer.steps - done, 0) or max(own.optimizer.steps // 4, FEWEST)
    last = done + (left if steps is None else steps)
    here = {path: value for path, value in changes.items() if current_path(path) in _OF_MACHINE}
    config = own.replace({**passed, **here, "optimizer.steps": last})
    changed = config.replace(changes)
    check_forkable(config, changed)
    words = ", ".join(f"{path.partition('.')[2]} {value}" for path, (value, _) in changed.differences(config).items())
    if pair:
        seed = _seed(own, pair)
        config, changed = (settings.replace({"run.seed": seed}) for settings in (config, changed))
        state["generator"] = _generator_state(seed, len(state["generator"]))
    due = folder.due_changes(done)  # of a run that was killed after them: it would make them again
    replaced = {current_path(path) for path in changes}
    records = [record for record in folder.records() if record["step"] <= done]
    facts = {key: value for key, value in info.data.items() if key != "example"}
    kept = folder.tensors("evolution") if folder.has("snapshots") else None

    def begin(settings: RunConfig, label: str) -> RunFolder:
        run = _create(folder, root, settings, label, done)
        fitting = _fitting(state, config, settings)
        run.save_tensors("checkpoint", fitting)
        run.save_tensors("weights", with_prefix(fitting, "model."))
        WeightSnapshots(run, settings).branch_off(done, fitting)
        # Those of a finished run lie in fewer directions, which the steps to come do not share.
        if kept is not None and "finished" not in kept:
            run.save_tensors("evolution", kept)
            run.save_json("evolution", folder.json("evolution"))
        for record in records:
            run.append_record(record)
        for event in due:
            if settings is config or event["setting"] not in replaced:
                run.append_event(event | {"kind": "due"})
        run.update(
            status="stopped",
            steps_done=done,
            seconds=info.seconds,
            device=info.device,
            parameters=info.parameters,
            loss_first=info.loss_first,
            loss_last=info.loss_last,
            data=facts,
        )
        return run

    branch = branch_of(folder)
    first = own.run.seed if branch is None or branch.seed is None else branch.seed
    return _paired(begin(changed, words or "no change"), begin(config, "control"), folder, done, first)


def undo(folder: RunFolder, root: Path, steps: int | None = None, pair: int = 0) -> Forks:
    """Begin a run again twice: the child without the changes that were made while it trained, the control with them.

    There is no checkpoint from before a change, so both begin with the first step; until the first change they are the
    same. On a CPU the control is the run again, bit for bit.

    Args:
        folder: of a run with changes on the way. root: the folder of runs for both.
        steps: how many steps both make; by default as many as the run. pair: see `fork`; others have other first
            weights too.

    Raises:
        RunError: no setting was changed while it trained, or it did not begin with the first step.
        StorageError: `root` cannot be written.
    """
    changes, own = _changes(folder), folder.config()
    if not changes:
        raise RunError(f"{folder.id}: no setting was changed while it trained")
    if (branch := branch_of(folder)) is not None and branch.step > 0:
        raise RunError(f"{folder.id} is a fork that began at step {branch.step}; fork it with its earlier settings")
    values = {"optimizer.steps": own.optimizer.steps if steps is None else steps, "run.seed": _seed(own, pair)}
    runs = []
    for label in ("without its changes", "control"):
        run = _create(folder, root, own.replace(values), label, 0)
        for event in changes if label == "control" else ():
            run.append_event(event)
        run.update(status="stopped")
        runs.append(run)
    return _paired(runs[0], runs[1], folder, 0, None)


def _changes(folder: RunFolder) -> list[dict[str, Any]]:
    """The settings that were changed while a run trained."""
    return [event for event in folder.events() if event["kind"] == "change"]


def _create(folder: RunFolder, root: Path, settings: RunConfig, label: str, step: int) -> RunFolder:
    """The folder of a fork of a run, without a checkpoint."""
    note = f"branched off {folder.id} at step {step}"
    told = f": {label[:MOST_LABEL]}"  # whole: it is what tells child and control apart
    name = (settings.run.name or folder.id)[: MOST_NAME - len(told)]
    names = {"run.name": f"{name}{told}", "run.note": f"{note}, {label}"[:200]}
    run = RunFolder.create(root, settings.replace(names))
    run.update(message=note)
    return run


def _paired(child: RunFolder, control: RunFolder, folder: RunFolder, step: int, seed: int | None) -> Forks:
    control.save_json("fork", asdict(Branch(folder.id, step, seed=seed)))
    child.save_json("fork", asdict(Branch(folder.id, step, control.id, seed)))
    return Forks(child, control, step)


def _seed(config: RunConfig, pair: int) -> int:
    """The seed of one of several pairs.

    Example:
        >>> _seed(RunConfig(), 0), _seed(RunConfig(), 3)
        (0, 30000)
    """
    return (config.run.seed + APART * pair) % SEEDS


def _generator_state(seed: int, size: int) -> Tensor:
    """The state of a generator with a seed that has drawn nothing, as a checkpoint has it.

    Args:
        size: bytes of the run's own; 16 are those of a GPU, the seed and the offset.
    """
    state = torch.Generator().manual_seed(seed).get_state()
    return state if len(state) == size else torch.tensor([seed, 0]).view(torch.uint8)


def check_forkable(config: RunConfig, changed: RunConfig) -> None:
    """Refuse changes with which a fork would not train, or would not share all else with its control.

    Raises:
        ConfigError: the first setting that must stay, or why nothing could be learned.

    Example:
        >>> check_forkable(RunConfig(), RunConfig().replace({"loss.temperature": 0.1}))
        >>> check_forkable(RunConfig(), RunConfig().replace({"run.seed": 1}))
        Traceback (most recent call last):
        cpc_engine.errors.ConfigError: run.seed must stay as it is: a fork keeps data, network and random numbers
    """
    for path in changed.differences(config):
        if path.partition(".")[0] in KEPT_SECTIONS or path in KEPT:
            raise ConfigError(f"{path} must stay as it is: a fork keeps data, network and random numbers")
        if path == "optimizer.steps":
            raise ConfigError("optimizer.steps is the same for a fork and its control: say how many steps both go on")
    for name in ("compares_items", "item_weight", "global_weight"):
        if bool(getattr(changed.loss, name)) != bool(getattr(config.loss, name)):
            raise ConfigError("an item-level or global term cannot be added or taken away: a fork keeps the network")
    for diagnostic in diagnostics(changed):
        if diagnostic.stops:
            raise ConfigError(f"{diagnostic.text} {diagnostic.advice}")


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
