"""What a person at a notebook, the command line or a page asks for, in one call each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import RunConfig
from ..errors import DataError, RunError
from ..evaluation.metric_info import PRIMARY
from ..presets import preset
from ..storage.folder import RunFolder, default_root
from ..storage.listing import list_runs
from ..storage.remote.mirrors import local_root
from .run import Run

if TYPE_CHECKING:
    import pandas as pd

    from ..placing import Item, Placed

AnyRun = Run | RunFolder | Path | str  # a run, its folder, or its id in the folder of runs


def train(
    what: str | RunConfig,
    *,
    steps: int | None = None,
    data: str | None = None,
    seed: int | None = None,
    device: str | None = None,
    name: str | None = None,
    settings: Mapping[str, Any] | None = None,
    root: Path | str | None = None,
    progress: bool = True,
    cluster: str | None = None,
    devices: int | None = None,
    nodes: int = 1,
) -> Run:
    """Train a run and wait for its end; the first Ctrl-C ends it after its step and keeps it.

    Args:
        what: a preset's name or a whole configuration.
        steps, data, seed, device, name: short for "optimizer.steps", "data.path", "run.seed", "run.device", "run.name".
        settings: {"section.setting": value} of any others.
        root: the folder of runs, or a URL such as s3://bucket/runs (docs/cluster.md); $CPC_RUNS or checkpoints/ where
            not given.
        progress: show a bar on stderr.
        cluster: where it trains: "threads" of this process, "local" or "local:N" processes of this machine, or the
            address of a Dask scheduler; $CPC_CLUSTER, or threads, where not given.
        devices, nodes: share every batch among so many devices of so many machines (docs/scale.md).

    Raises:
        ConfigError: no such preset, or a setting that does not exist or fit; no such cluster, or Dask is not installed.
        ClusterError: no scheduler answers.
        DataError: the data cannot be used (no run is left behind).
        RunError: the run failed later, or was interrupted.

    Example:
        >>> import cpc_engine as cpc, tempfile, pathlib
        >>> small = {"data.train_items": 32, "data.test_items": 32, "optimizer.batch_size": 8, "audio.width": 8}
        >>> run = cpc.train("tones", steps=2, settings=small, progress=False, root=pathlib.Path(tempfile.mkdtemp()))
        >>> run.status, len(run.metrics)
        ('finished', 2)
    """
    from ..execution.place import executor
    from .foreground import execute_here

    config = configured(
        what if isinstance(what, RunConfig) else preset(what).config(),
        settings or {},
        steps=steps,
        data=data,
        seed=seed,
        device=device,
        name=name,
    )
    execute = executor(cluster, devices=devices, nodes=nodes)
    folder = RunFolder.create(local_root(root or default_root()), config)
    end = execute_here(folder, False, execute, show=progress)
    if end.status == "failed" and not end.unexpected and not folder.records():
        folder.remove()  # bad input, not a run
        raise DataError(end.message)
    if end.status in ("failed", "interrupted"):
        raise RunError(f"{folder.id}: {end.message}")
    return Run(folder)


def configured(
    config: RunConfig,
    settings: Mapping[str, Any],
    *,
    steps: int | None = None,
    data: str | None = None,
    seed: int | None = None,
    device: str | None = None,
    name: str | None = None,
) -> RunConfig:
    """`config` with settings changed, and whole paths in it, so that the run can be resumed from anywhere."""
    from ..data.listing.class_folders import typed_path

    short = {
        "data.path": data,
        "optimizer.steps": steps,
        "run.seed": seed,
        "run.device": device,
        "run.name": name,
    }
    config = config.replace({**settings, **{path: value for path, value in short.items() if value is not None}})
    paths = {"data.path": config.data.path, "data.image_path": config.data.image_path}
    return config.replace({name: os.path.abspath(typed_path(path)) for name, path in paths.items() if path})


def open_run(run: AnyRun, root: Path | str | None = None) -> Run:
    """A run by its folder or its id in the folder of runs; a `Run` is given back as it is.

    Args:
        run: a run, its folder, or its id.
        root: the folder of runs, or a URL; $CPC_RUNS or checkpoints/ where not given.

    Raises:
        RunError: there is none.

    Example:
        >>> import cpc_engine as cpc
        >>> cpc.open("example-tones").name
        'Tones'
    """
    if isinstance(run, Run):
        return run
    return Run(run if isinstance(run, RunFolder) else RunFolder.open(run, local_root(root or default_root())))


def runs(root: Path | str | None = None) -> list[Run]:
    """All runs, newest first; broken folders are left out.

    Args:
        root: the folder of runs, or a URL; $CPC_RUNS or checkpoints/ where not given.

    Example:
        >>> import cpc_engine as cpc
        >>> "example-tones" in {run.id for run in cpc.runs()}
        True
    """
    root = local_root(root or default_root())
    return [Run(RunFolder(root / info.id)) for info in list_runs(root)]


def compare(
    runs: AnyRun | Sequence[AnyRun], root: Path | str | None = None, primary: str = PRIMARY, every: bool = False
) -> pd.DataFrame:
    """Final metrics of runs side by side, with verdicts: one row per metric.

    Runs that differ in nothing but their seed are one arm (A, B, …), in the order in which they are given. The first
    arm is the baseline that the others are judged against. Only finished runs count.

    Args:
        runs: runs, their folders, or their ids; a single one needs no list, and a repeated one counts once.
        primary: the metric that decides, chosen before: half of the 5 % of error that is allowed is its own.
        every: also the metrics of single modalities and horizons, which get no verdict.

    Returns:
        A table indexed by the metrics' titles. Each arm has two columns of floats, "A" (mean over seeds) and "A ±"
        (half width of its 95 % Student-t interval, NaN for one seed); then come the verdicts "A or B?", "A or C?", …
        in words. `attrs` holds by title "units", "better" ("higher", "lower" or "neither"), "meaning", and "interval"
        (what the interval covers: "seeds", or "seeds × items" where test items are kept; neither covers the split of
        the data), the ids of each arm's runs as "arms", and a DataFrame of the settings that differ as "settings".

    Raises:
        ConfigError: no such metric.
        RunError: a run does not exist, or its folder is broken.

    Example:
        >>> import cpc_engine as cpc
        >>> table = cpc.compare(["example-tones", "example-collapsed"])
        >>> table.loc["Effective rank", "A or B?"]
        'one seed each: no verdict'
        >>> table.attrs["arms"]
        {'A': ['example-tones'], 'B': ['example-collapsed']}
        >>> bool(table.loc["Effective rank", "A"] > table.loc["Effective rank", "B"]), table.attrs["units"]["Loss"]
        (True, 'nats')
    """
    import pandas as pd

    from ..comparison.arms import group
    from ..comparison.collect import load_compared
    from ..comparison.tables import differences, metrics_csv_columns, shown_metrics
    from ..evaluation.metric_info import describe_metric

    given = [runs] if isinstance(runs, AnyRun) else runs
    opened = dict.fromkeys(open_run(run, root) for run in given)
    arms = group([load_compared(run.folder) for run in opened])
    if not arms:
        return pd.DataFrame()
    first, *others = (arm.letter for arm in arms)
    columns: dict[str, str] = {}
    for letter in (first, *others):
        columns |= {f"{letter} mean": letter, f"{letter} half width 95 %": f"{letter} ±"}
    verdicts = {f"{first} − {other} verdict": f"{first} or {other}?" for other in others}
    names = shown_metrics(arms, primary, every)
    numbers = pd.DataFrame(metrics_csv_columns(arms, arms[0], primary)).set_index("metric").loc[names]
    table = numbers[[*columns, *verdicts]].astype(dict.fromkeys(columns, float)).rename(columns=columns | verdicts)
    described = [describe_metric(name) for name in names]
    table.index = pd.Index([metric.title for metric in described], name="Metric")
    table.attrs["units"] = {metric.title: metric.unit for metric in described}
    table.attrs["better"] = {metric.title: metric.better for metric in described}
    table.attrs["meaning"] = {metric.title: metric.meaning for metric in described}
    table.attrs["interval"] = dict(zip(table.index, numbers["interval"], strict=True))
    table.attrs["arms"] = {arm.letter: [run.id for run in arm.runs] for arm in arms}
    table.attrs["settings"] = pd.DataFrame(differences(arms)).set_index("Setting")
    return table


def place(run: AnyRun, items: Item | Sequence[Item], root: Path | str | None = None) -> list[Placed]:
    """Where items land on a run, one result each; a bad one does not spoil the others.

    Args:
        run: a run, its folder, or its id in the folder of runs.
        items: paths of files, (name, bytes) pairs, or decoded sounds and pictures; a single one needs no list.

    Raises:
        RunError: the run cannot be used.

    Example:
        >>> import cpc_engine as cpc, numpy as np
        >>> from cpc_engine.media import Sound
        >>> tone = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000).astype(np.float32)
        >>> [placed] = cpc.place("example-tones", [Sound(tone, 16000)])
        >>> placed.placement.predicted
        '440 Hz'
    """
    return open_run(run, root).place(items)
