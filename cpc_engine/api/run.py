"""One run as an object: its settings, its numbers, its maps, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from ..config import RunConfig
from ..errors import ConfigError, RunError
from ..settings import unknown
from ..storage.folder import RunFolder, check_resumable
from ..storage.info import RunInfo
from ..storage.trash import discard

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from ..execution.fork import Forks
    from ..maps.exploration import Exploration
    from ..maps.projection import Method
    from ..maps.snapshots import MapSnapshots
    from ..maps.stored import RunMap
    from ..model import MultiModalCPC
    from ..placing import Item, Placed, Placer
    from ..terms import Modality

Progress = Callable[[str, float], None]
MAIN_METRICS = ("alignment", "uniformity", "effective_rank", "spread", "modality_gap")


def _silent(text: str, share: float) -> None:
    """No progress is shown."""


@dataclass(frozen=True, repr=False)
class Evaluation:
    """What `evaluate` found on held-out items.

    Attributes:
        document: the content of evaluation.json.
        run: the id of the run's folder; `document` has the id of the run that was evaluated, before any renaming.
    """

    document: dict[str, Any]
    run: str

    @property
    def metrics(self) -> pd.Series[float]:
        """Geometry by name (see `evaluation.metric_info.METRICS`)."""
        import pandas as pd

        return pd.Series(
            {name: value for name, value in self.document.items() if isinstance(value, float)}, dtype=float
        )

    @property
    def probes(self) -> pd.DataFrame:
        """One row per feature: test accuracy (0…1) of the trained network, the untrained one and the raw input.

        `knn` and `untrained_knn` are those of nearest neighbors; NaN in evaluations of older versions.
        """
        import pandas as pd

        rows = {
            name: {**row, "low": row["interval"][0], "high": row["interval"][1]}
            for name, row in self.document["probe"].items()
        }
        columns = ["trained", "low", "high", "untrained", "raw", "knn", "untrained_knn", "strength"]
        return pd.DataFrame.from_dict(rows, orient="index").reindex(columns=columns) if rows else pd.DataFrame()

    def __repr__(self) -> str:
        from ..evaluation.metric_info import describe_metric

        values = [
            f"{describe_metric(name).title} {value:.3g}"
            for name, value in self.document.items()
            if name.rpartition(".")[2] in MAIN_METRICS and value is not None
        ]
        probes = self.probes.round(3).to_string(na_rep="–") if self.document["probe"] else "no probes"
        return f"Evaluation of {self.run}: {', '.join(values)}\n{probes}"


class Run:
    """One run. Everything is read from its folder when it is asked for, so a copy of the folder is the same run.

    Example:
        >>> import cpc_engine as cpc
        >>> run = cpc.open("example-tones")
        >>> run.status, run.config.sampler.queue_size
        ('finished', 0)
        >>> list(run.metrics.columns)[:3]
        ['step', 'seconds', 'loss']
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._cache: dict[str, tuple[tuple[int, ...], Any]] = {}

    @property
    def id(self) -> str:
        return self.folder.id

    @property
    def path(self) -> Path:
        return self.folder.path

    @property
    def info(self) -> RunInfo:
        """Its state and the facts of its data.

        Raises:
            RunError: run.json is missing or damaged.
        """
        return self.folder.info()

    @property
    def name(self) -> str:
        """What people call it; its id where it has no name."""
        return self.info.name or self.id

    @property
    def status(self) -> str:
        return self.info.status

    @property
    def config(self) -> RunConfig:
        """The settings it was started with (see `events` for those that were changed on the way)."""
        return self.folder.config()

    @property
    def metrics(self) -> pd.DataFrame:
        """One row per recorded step; nested values have dotted columns ("modalities.audio.loss", "geometry.spread")."""
        import pandas as pd

        return pd.json_normalize([{k: v for k, v in row.items() if k != "hard"} for row in self.folder.records()])

    @property
    def events(self) -> list[dict[str, Any]]:
        """Pauses, resumes and changed settings: {"step", "kind", …}, oldest first.

        Raises:
            RunError: the file cannot be read, or there are some and config.json is damaged.
        """
        return self.folder.events()

    @property
    def evaluation(self) -> Evaluation | None:
        """What the last evaluation found; None before there was one."""
        document = self.folder.json("evaluation")
        return Evaluation(document, self.id) if isinstance(document, dict) else None

    def evaluate(self, data: str | None = None, progress: Progress = _silent) -> Evaluation:
        """Metrics and probes on held-out items, kept with the run; those of an example are kept nowhere.

        Args:
            data: where the data set is now, when it is not where it was.
            progress: called with what is being done and the share done, 0…1.

        Raises:
            RunError: the run has no weights. DataError: the data set is missing or another one.
        """
        from ..execution.evaluate import evaluate_run

        return Evaluation(evaluate_run(self.folder, data, progress), self.id)

    def locate_data(self, path: str | None = None, image_path: str | None = None, download: bool = False) -> None:
        """Say where the data set is now, or fetch it, for all runs of this folder that name the same place.

        Args:
            path, image_path: what `data.path` and `data.image_path` are now; None: as they were.
            download: fetch what is known by name and not on this machine.

        Raises:
            DataError: it is not there, or not what the run learned from. StorageError: it cannot be kept.
            RunError: the file of what was told before is damaged.
        """
        from ..storage.artifacts import move_data

        given = {"data.path": path, "data.image_path": image_path}
        move_data(self.folder, {setting: place for setting, place in given.items() if place}, download)

    def resume(
        self,
        progress: bool = True,
        cluster: str | None = None,
        devices: int | None = None,
        nodes: int = 1,
        device: str | None = None,
    ) -> Run:
        """Train on from the checkpoint and wait for the end; Ctrl-C keeps a usable run.

        Args:
            cluster, devices, nodes: where it trains (see `cpc.train`); it may be elsewhere than before.
            device: replaces the run's own `run.device`, which another machine may not have.

        Raises:
            RunError: it goes on, has finished, is an example, has lost its checkpoint, failed, or was interrupted.
            ConfigError: no such cluster or device. ClusterError: no scheduler answers.
        """
        from ..execution.place import executor
        from .foreground import execute_here

        check_resumable(self.folder)
        if device is not None:
            self.folder.settle({"run.device": device})
        execute = executor(cluster, devices=devices, nodes=nodes)
        end = execute_here(self.folder, True, execute, show=progress)
        if end.status in ("failed", "interrupted"):
            raise RunError(f"{self.id}: {end.message}")
        return self

    def fork(
        self,
        changes: Mapping[str, Any],
        steps: int | None = None,
        progress: bool = True,
        root: Path | None = None,
        cluster: str | None = None,
        pair: int = 0,
    ) -> tuple[Run, Run]:
        """Go on from its checkpoint twice, with changes and without, and train one after the other.

        Both have the same weights, data order and random numbers (see `execution.fork`).

        Args:
            changes: {"section.setting": value} of the first one.
            steps: how many steps they go on; by default those that are left, or a quarter of a finished run.
            root: the folder of runs for both; the run's own by default.
            cluster: where they train (see `cpc.train`).
            pair: 0 goes on with the run's own data order and random numbers, each other number with its own.

        Returns:
            The run with the changes, and its control.

        Raises:
            ConfigError: a change would be other data, another network, or other random numbers; or no step is left.
            RunError: it has no checkpoint, or a fork failed.
            KeyboardInterrupt: one of them was stopped; both are kept and can be resumed.
        """
        from ..execution.fork import fork

        forks = fork(self.folder, changes, self.path.parent if root is None else root, steps, pair)
        return _both(forks, progress, cluster)

    def undo(
        self,
        steps: int | None = None,
        progress: bool = True,
        root: Path | None = None,
        cluster: str | None = None,
        pair: int = 0,
    ) -> tuple[Run, Run]:
        """Train it again twice, without the changes that were made while it trained and with them.

        Both begin with the first step (see `execution.fork.undo`).

        Args:
            steps: how many steps both make; by default as many as the run. pair: others have other first weights too.
            root, cluster: see `fork`.

        Returns:
            The run without the changes, and its control.

        Raises:
            RunError: no setting was changed while it trained, or a fork failed.
            KeyboardInterrupt: one of them was stopped; both are kept and can be resumed.
        """
        from ..execution.fork import undo

        forks = undo(self.folder, self.path.parent if root is None else root, steps, pair)
        return _both(forks, progress, cluster)

    @property
    def model(self) -> MultiModalCPC:
        """Its network, on the CPU in evaluation mode; kept until its files change.

        Raises:
            RunError: it has no weights, or they are damaged.
        """
        from ..storage.artifacts import load_model

        model: MultiModalCPC = self._kept("model", ("config", "weights"), lambda: load_model(self.folder))
        return model

    @property
    def has_map(self) -> bool:
        return self.folder.has("map")

    def map(self, method: Method = "tsne") -> pd.DataFrame:
        """Held-out items on a 2-D map: x, y, class, name, modality; `attrs` hold trustworthiness and overlap.

        Args:
            method: "pca", "tsne" or "umap".

        Raises:
            ConfigError: no such method.
            RunError: the run has no map yet, or its files are damaged.

        Example:
            >>> import cpc_engine as cpc
            >>> table = cpc.open("example-tones").map("pca")
            >>> list(table.columns), len(table), 0.5 < table.attrs["trustworthiness"] <= 1
            (['x', 'y', 'class', 'name', 'modality'], 512, True)
        """
        import pandas as pd

        stored = self.stored_map(method)
        fitted = stored.maps[method]
        table = pd.DataFrame(
            {
                "x": fitted.layout[:, 0],
                "y": fitted.layout[:, 1],
                "class": [stored.classes[label] for label in stored.labels.tolist()],
                "name": stored.names,
                "modality": stored.modalities,
            }
        )
        table.attrs |= {"trustworthiness": fitted.trustworthiness, "overlap": fitted.overlap}
        return table

    def stored_map(self, method: Method = "pca") -> RunMap:
        """The run's map with everything behind it; `method` is fitted now where it is not stored.

        Raises:
            ConfigError: no such method.
            RunError: the run has no map yet, or its files are damaged.
        """
        from ..maps.projection import Method
        from ..maps.stored import load_map

        if method not in get_args(Method):
            raise unknown("map", method, get_args(Method))
        return load_map(self.folder, method)

    def snapshots(self) -> MapSnapshots | None:
        """Where held-out items lay at a few of its steps; None where it kept none.

        Raises:
            RunError: the files are damaged.
        """
        from ..maps.snapshots import load_snapshots

        return load_snapshots(self.folder)

    def explore(self, training: bool = False) -> Exploration:
        """The items of its map, to be looked at one by one (see `maps.exploration`)."""
        from ..maps.exploration import Exploration

        return Exploration(self.folder, training, lambda: self.model)

    def embed(
        self,
        split: str = "test",
        feature: str = "mean_context",
        data: str | None = None,
        modality: Modality | None = None,
    ) -> tuple[np.ndarray, pd.DataFrame]:
        """Frozen features of the run's own data, without augmentation.

        Args:
            split: "train", "validation" or "test".
            feature: a field of `evaluation.embed.Features`.
            data: where the data set is now, when it is not where it was.
            modality: "audio" or "image"; all by default. Needed where a feature has another size for each of them.

        Returns:
            (N, F) float32, and a row for each: name, class, label, group, modality. Of pairs all sounds come first.

        Raises:
            ConfigError: no such split, feature, or modality, or a feature that differs in size between modalities.
            RunError: no weights.
            DataError: the data set is missing or another one.

        Example:
            >>> import cpc_engine as cpc
            >>> vectors, items = cpc.open("example-tones").embed("validation")
            >>> len(vectors) == len(items), list(items.columns)
            (True, ['name', 'class', 'label', 'group', 'modality'])
        """
        import numpy as np
        import pandas as pd

        from ..evaluation.embed import Features, embed
        from ..storage.artifacts import load_data

        if feature not in (names := [field.name for field in fields(Features)]):
            raise unknown("feature", feature, names)
        if modality not in (None, *(there := self.model.modalities)):
            raise ConfigError(f"{self.id} reads {' and '.join(there)}: give modality, one of them, not {modality!r}")
        config = self.config if data is None else self.config.replace({"data.path": data})
        dataset = load_data(self.folder, config)
        splits = dict(dataset.splits())
        if split not in splits:
            raise unknown("split", split, splits)
        items = splits[split]
        found = {kind: features for kind, features in embed(self.model, items).items() if modality in (kind, None)}
        if any(feature not in features.names() for features in found.values()):
            raise ConfigError(f"{feature} needs the residual encoder, which {self.folder.id} does not use")
        parts = {kind: getattr(features, feature).numpy() for kind, features in found.items()}
        if len({part.shape[1] for part in parts.values()}) > 1:
            sizes = " and ".join(f"{part.shape[1]} of {kind}" for kind, part in parts.items())
            raise ConfigError(f"{feature} has another size for each modality, {sizes}: give modality, one of them")
        labels = items.labels.tolist()
        rows = [
            pd.DataFrame(
                {
                    "name": items.names,
                    "class": [dataset.classes[label] for label in labels],
                    "label": labels,
                    "group": items.groups,
                    "modality": kind,
                }
            )
            for kind in parts
        ]
        return np.concatenate(list(parts.values())), pd.concat(rows, ignore_index=True)

    @property
    def placer(self) -> Placer:
        """The run, ready to place items; kept until its files change.

        Raises:
            RunError: it has no weights or no map yet, or its files are damaged.
        """
        from ..placing import Placer

        parts = ("config", "weights", "map", "ood", "probe")
        placer: Placer = self._kept("placer", parts, lambda: Placer(self.folder, load=lambda: self.model))
        return placer

    def place(self, items: Item | Sequence[Item]) -> list[Placed]:
        """Where items land on the run, one result each; a bad one does not spoil the others.

        Args:
            items: paths of files, (name, bytes) pairs, or decoded sounds and pictures; a single one needs no list.

        Raises:
            RunError: the run cannot be used.
        """
        from ..media import Picture, Sound, start_sandbox

        start_sandbox()  # it gets ready while the run is loaded
        if isinstance(items, Path | str | Sound | Picture):
            return self.placer.place_all([items])
        match items:
            case (str() as name, bytes() as data):
                return self.placer.place_all([(name, data)])
        return self.placer.place_all(items)

    def discard(self) -> None:
        """Move it to the trash of its folder of runs (see `storage.trash.restore`).

        Raises:
            RunError: it goes on, or it is an example. StorageError: it cannot be moved.
        """
        discard(self.id, self.path.parent)

    def _kept(self, name: str, parts: Sequence[str], make: Callable[[], Any]) -> Any:
        """What `make` gives, made anew when a file of these parts of the folder has changed."""
        stamp = self.folder.stamp(*parts)
        if name not in self._cache or self._cache[name][0] != stamp:
            self._cache[name] = (stamp, make())
        return self._cache[name][1]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and self.path.resolve() == other.path.resolve()

    def __hash__(self) -> int:
        return hash(self.path.resolve())

    def __repr__(self) -> str:
        try:
            info = self.info
        except (RunError, ConfigError) as error:
            return f"<Run {self.id}: {error}>"
        loss = "" if info.loss_last is None else f", loss {info.loss_last:.3g}"
        name = f" {info.name!r}" if info.name else ""
        return f"<Run {self.id}{name}: {info.status}, {info.steps_done} of {info.steps} steps{loss}>"


def _both(forks: Forks, progress: bool, cluster: str | None) -> tuple[Run, Run]:
    """Train a fork and then its control; what stops one of them ends both."""
    runs = Run(forks.child), Run(forks.control)
    for run in runs:
        if run.resume(progress, cluster).status == "stopped":
            raise KeyboardInterrupt
    return runs
