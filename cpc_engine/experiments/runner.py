"""Trains and evaluates an experiment's runs as ordinary run folders; what is there already is not made again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import RunConfig
from ..data import load_dataset
from ..errors import ConfigError, CpcError
from ..evaluation.compare import setting_key
from ..evaluation.report import balanced_rows
from ..knobs import unknown
from ..runs.evaluate import evaluate_run
from ..runs.files import read_json, storing, write_json
from ..runs.folder import RunFolder, check_resumable, list_runs
from .definitions import Experiment

if TYPE_CHECKING:
    from ..runs.execute import State

Train = Callable[[RunFolder, bool], "State"]  # (folder, whether to resume it) → how it ended
_PLACES = ("data.path", "data.image_path", "data.download")  # where the data lie is not what a run is
_BASELINE_KNOBS = ("data", "audio", "evaluation")


@dataclass(frozen=True)
class PlannedRun:
    """One run of an experiment; `fold` is "" where there is only one."""

    arm: str
    seed: int
    fold: str
    config: RunConfig

    @property
    def title(self) -> str:
        return f"{self.arm}, seed {self.seed}{f', {self.fold}' if self.fold else ''}"


def plan_runs(
    experiment: Experiment,
    seeds: int,
    arms: Sequence[str] | None = None,
    quick: bool = False,
    data: str | None = None,
) -> list[PlannedRun]:
    """Every run, seed by seed, so that all arms have one seed before any has two.

    Args:
        seeds: how many, from 0. arms: labels to take; all where None. data: path for the presets that need one.

    Raises:
        ConfigError: no such arm, or a number of seeds below 1.
    """
    if seeds < 1:
        raise ConfigError(f"an experiment needs at least one seed, not {seeds}")
    labels = [arm.label for arm in experiment.arms]
    for label in arms or ():
        if label not in labels:
            raise unknown("arm", label, labels)
    planned = []
    for seed in range(seeds):
        for arm in experiment.arms:
            if arms is not None and arm.label not in arms:
                continue
            for fold, changes in experiment.folds.items():
                name = f"{experiment.name}: {arm.label}{f' ({fold})' if fold else ''}"[:120]
                more = {**changes, **(experiment.quick if quick else {}), "run.seed": seed, "run.name": name}
                if data is not None and arm.needs_data:
                    more["data.path"] = data
                planned.append(PlannedRun(arm.label, seed, fold, arm.config().replace(more)))
    return planned


def run_all(
    planned: Sequence[PlannedRun], folder: Path, train: Train, note: Callable[[str], None] = lambda line: None
) -> None:
    """Train and evaluate what is missing below `folder`/runs; a run that fails is noted, and the next one begins.

    Args:
        train: trains one run folder and says how it ended.
        note: called with one line for people before and after each run.

    Raises:
        StorageError: the folder cannot be written.
    """
    root = folder / "runs"
    with storing(root):
        root.mkdir(parents=True, exist_ok=True)
    for index, run in enumerate(planned):
        note(f"[{index + 1}/{len(planned)}] {run.title}")
        found = find_run(root, run.config)
        if found is None or found.info().status != "finished":
            found = _trained(found, root, run, train)
        info = found.info()
        if info.status != "finished":
            note(f"{run.title}: {info.status}{f', {info.message}' if info.message else ''}")
            continue
        try:
            if found.json("evaluation") is None:
                evaluate_run(found, run.config.data.path)
            if baselines_of(folder, run.config) is None:
                _save_baselines(folder, run.config)
        except CpcError as error:
            note(f"{run.title}: not evaluated, {error}")


def find_run(root: Path, config: RunConfig) -> RunFolder | None:
    """The newest run below `root` with this configuration, wherever its data lay; a finished one comes first."""
    wanted = _key(config)
    same = [info for info in list_runs(root) if _key(RunFolder(root / info.id).config()) == wanted]
    same.sort(key=lambda info: info.status != "finished")
    return RunFolder(root / same[0].id) if same else None


def baselines_of(folder: Path, config: RunConfig) -> dict[str, float] | None:
    """Accuracies of the baselines for a run's data and seed, where they were measured."""
    path = _baseline_path(folder, config)
    return dict(read_json(path)) if path.is_file() else None


def _trained(found: RunFolder | None, root: Path, run: PlannedRun, train: Train) -> RunFolder:
    """The run after training: gone on with where it was interrupted, begun anew where it failed or never was."""
    if found is not None and found.info().status in ("stopped", "interrupted"):
        check_resumable(found)
        train(found, True)
        return found
    if found is not None and found.info().status == "failed":
        found.delete()
        found = None
    if found is None:
        found = RunFolder.create(root, run.config)
        train(found, False)
    return found


def _save_baselines(folder: Path, config: RunConfig) -> None:
    from ..evaluation.baselines import baseline_accuracies

    data = load_dataset(config)
    rows = balanced_rows(data.train.labels, config.evaluation.probe_items)
    path = _baseline_path(folder, config)
    with storing(path):
        path.parent.mkdir(exist_ok=True)
    write_json(path, baseline_accuracies(data, config, rows))


def _baseline_path(folder: Path, config: RunConfig) -> Path:
    """Arms with the same data, audio front end and probe share their baselines."""
    sections = _without_places(config).to_dict()
    parts = [sections[name] for name in _BASELINE_KNOBS] + [config.run.seed]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return folder / "baselines" / f"{digest[:16]}.json"


def _key(config: RunConfig) -> str:
    return f"{config.run.seed} {setting_key(_without_places(config))}"


def _without_places(config: RunConfig) -> RunConfig:
    defaults = RunConfig().data
    return config.replace({path: getattr(defaults, path.partition(".")[2]) for path in _PLACES})
