"""Training and evaluation of an experiment's runs as ordinary run folders; existing results are reused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..comparison.planned import is_planned, location
from ..config import RunConfig
from ..data import load_dataset
from ..data.splits import sample_rows
from ..errors import ConfigError, CpcError
from ..execution.evaluate import evaluate_run
from ..settings import unknown
from ..storage.files import read_json, storing, write_json
from ..storage.folder import RunFolder, check_resumable
from ..storage.listing import list_runs
from .definitions import Experiment, run_title
from .recipe import Recipe, source

if TYPE_CHECKING:
    from ..execution.execute import State

Train = Callable[[RunFolder, bool], "State"]  # (folder, whether to resume it) → the state it ended in
_BASELINE_SECTIONS = ("data", "audio", "evaluation")
_DATA_SECTIONS = ("data", "audio", "image")  # that `load_dataset` reads


@dataclass(frozen=True)
class PlannedRun:
    """One run of an experiment; `fold` is empty if there is only one."""

    arm: str
    seed: int
    fold: str
    config: RunConfig

    @property
    def title(self) -> str:
        """Arm, seed, and fold in words."""
        return f"{self.arm}, seed {self.seed}{f', {self.fold}' if self.fold else ''}"


def plan_runs(
    experiment: Experiment,
    seeds: int,
    arms: Sequence[str] | None = None,
    quick: bool = False,
    data: str | None = None,
) -> list[PlannedRun]:
    """Plan the runs of an experiment, seed by seed, so that all arms have one seed before any has two.

    Args:
        seeds: number of seeds, from 0 to seeds − 1.
        arms: labels of the arms to plan; all if None.
        quick: plan a smoke test with few items and steps.
        data: path for the presets that need one.

    Raises:
        ConfigError: there is no such arm, or fewer than one seed.

    Example:
        >>> from cpc_engine.experiments.definitions import experiment
        >>> [run.title for run in plan_runs(experiment("tones"), seeds=2, arms=["ours"])]
        ['ours, seed 0', 'ours, seed 1']
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
                name = f"{experiment.name}: {run_title(arm.label, fold)}"[:120]
                more = {**changes, **(experiment.quick if quick else {}), "run.seed": seed, "run.name": name}
                if data is not None and arm.needs_data:
                    more["data.path"] = data
                planned.append(PlannedRun(arm.label, seed, fold, arm.config().replace(more)))
    return planned


def run_all(
    planned: Sequence[PlannedRun], folder: Path, train: Train, note: Callable[[str], None] = lambda line: None
) -> None:
    """Train and evaluate the runs that are missing below `folder`/runs.

    A run that fails is noted, and the next run starts.

    Args:
        planned: see `plan_runs`. folder: the report folder.
        train: trains a run folder and returns the state in which it ended.
        note: called with one line of progress before each run, and after a run that failed.

    Raises:
        StorageError: the folder cannot be written.
    """
    root = folder / "runs"
    with storing(root):
        root.mkdir(parents=True, exist_ok=True)
    source()  # the code is that of now, even if files change while runs are trained
    for index, run in enumerate(planned):
        note(f"[{index + 1}/{len(planned)}] {run.title}")
        run_folder = find_run(root, run.config)
        if run_folder is None or run_folder.info().status != "finished":
            run_folder = _trained(run_folder, root, run, train)
            _write(folder / "sources" / f"{run_folder.id}.json", source(run_folder.info().device))
        info = run_folder.info()
        if info.status != "finished":
            note(f"{run.title}: {info.status}{f', {info.message}' if info.message else ''}")
            continue
        try:
            if run_folder.json("evaluation") is None:
                evaluate_run(run_folder, run.config.data.path)
            config = run_folder.config().replace(location(run.config))
            if not all("correct" in row for row in (baselines_of(folder, config) or {"": {}}).values()):
                _save_baselines(folder, config)
            if fingerprint_of(folder, config) is None:
                fingerprint = load_dataset(config).fingerprint()
                _write(_path(folder / "fingerprints", config, _DATA_SECTIONS), {"sha256": fingerprint})
        except CpcError as error:
            note(f"{run.title}: not evaluated, {error}")


def find_run(root: Path, config: RunConfig) -> RunFolder | None:
    """Find the newest run below `root` with this configuration at any location of the data; prefer finished runs.

    Where a setting is 0 because it follows from the data, the number that a run found there is not compared.
    """
    matches = [info for info in list_runs(root) if is_planned(RunFolder(root / info.id).config(), config)]
    matches.sort(key=lambda info: info.status != "finished")
    return RunFolder(root / matches[0].id) if matches else None


def baselines_of(folder: Path, config: RunConfig) -> dict[str, dict[str, Any]] | None:
    """Return {name: fields of its `BaselineRow`} for a run's data and seed; None if they were not computed.

    Folders of earlier versions keep the accuracies alone.
    """
    path = _baseline_path(folder, config)
    if not path.is_file():
        return None
    return {name: row if isinstance(row, dict) else {"accuracy": row} for name, row in read_json(path).items()}


def fingerprint_of(folder: Path, config: RunConfig) -> str | None:
    """Return the fingerprint of a run's data; None if it was not computed."""
    path = _path(folder / "fingerprints", config, _DATA_SECTIONS)
    return str(read_json(path)["sha256"]) if path.is_file() else None


def source_of(folder: Path, run: str) -> Recipe | None:
    """Return the code, versions, and device that trained a run (see `recipe.source`); None if that is not known."""
    path = folder / "sources" / f"{run}.json"
    return dict(read_json(path)) if path.is_file() else None


def _trained(folder: RunFolder | None, root: Path, run: PlannedRun, train: Train) -> RunFolder:
    """Train a run: resume a stopped or interrupted one, start a failed or missing one from the beginning."""
    if folder is not None and folder.info().status in ("stopped", "interrupted"):
        check_resumable(folder)
        train(folder, True)
        return folder
    if folder is not None and folder.info().status == "failed":
        folder.delete()
        folder = None
    if folder is None:
        folder = RunFolder.create(root, run.config)
        train(folder, False)
    return folder


def _save_baselines(folder: Path, config: RunConfig) -> None:
    from ..evaluation.baselines import baseline_rows
    from ..execution.device import pick_device

    data = load_dataset(config, pick_device(config.run.device))
    rows = sample_rows(data.train, config.evaluation.probe_items, config.data.seed)
    found = {name: asdict(row) for name, row in baseline_rows(data, config, rows).items()}
    _write(_baseline_path(folder, config), found)


def _write(path: Path, value: Any) -> None:
    with storing(path):
        path.parent.mkdir(exist_ok=True)
    write_json(path, value)


def _baseline_path(folder: Path, config: RunConfig) -> Path:
    """Return the file of a run's baselines; runs with the same data, front end, evaluation, and seed share it."""
    return _path(folder / "baselines", config, _BASELINE_SECTIONS, config.run.seed)


def _path(folder: Path, config: RunConfig, names: Sequence[str], *more: int) -> Path:
    """Return the file of what follows from some sections of a configuration, wherever the data are."""
    sections = config.replace(location(RunConfig())).to_dict()
    digest = hashlib.sha256(json.dumps([*(sections[name] for name in names), *more], sort_keys=True).encode())
    return folder / f"{digest.hexdigest()[:16]}.json"
