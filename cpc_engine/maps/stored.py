"""A run's maps on disk: pooled contexts of held-out items, and where each method puts them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from ..config import RunConfig
from ..data.dataset import Dataset
from ..data.splits import FEWEST_TEST, sample_rows
from ..errors import DataError, RunError
from ..evaluation.embed import embed
from ..model import MultiModalCPC
from ..storage.folder import RunFolder
from ..storage.schema import check_below, check_tensors
from ..terms import Modality
from .projection import Map, Method, fit_map

STORED: tuple[Method, ...] = ("pca", "tsne")  # the quick ones, kept with every run
_MORE_TEST_ITEMS = "raise data.test_items where it is lower, hold out a larger group, or add files to test on"
FARTHEST = 1e6  # that a dot may lie from the origin; t-SNE's lie within some hundred


@dataclass(frozen=True, repr=False)
class RunMap:
    """Items of a run's test split (of each modality) and their maps; row i of everything is one item.

    Attributes:
        features: (N, h) float32 mean contexts. labels: (N,) class indices. modalities, names: N each.
        rows: (N,) row of each item in the test split. maps: fitted so far, by method.
    """

    features: np.ndarray
    labels: np.ndarray
    rows: np.ndarray
    modalities: list[Modality]
    names: list[str]
    classes: list[str]
    maps: dict[str, Map]

    def __repr__(self) -> str:
        return f"<RunMap of {len(self.names)} items: {', '.join(self.maps)}>"


def check_mappable(data: Dataset) -> None:
    """Refuse data that no map can be drawn of, before a run spends its time on them.

    Raises:
        DataError: too few held-out items.
    """
    dots = len(data.test) * len(data.modalities)
    if dots < FEWEST_TEST:
        raise DataError(
            f"{data.name}: too few held-out items for a map, {dots} where {FEWEST_TEST} are needed; {_MORE_TEST_ITEMS}"
        )


def save_maps(folder: RunFolder, model: MultiModalCPC, data: Dataset, config: RunConfig) -> RunMap:
    """Embed held-out items, fit the quick maps (PCA, t-SNE), and keep them with the run."""
    rows = sample_rows(data.test, config.evaluation.map_items, config.data.seed)
    shown = data.test.take(rows)
    features = {m: f.mean_context for m, f in embed(model, shown).items()}
    run_map = RunMap(
        features=torch.cat(list(features.values())).numpy(),
        labels=shown.labels.cpu().repeat(len(features)).numpy(),
        rows=rows.repeat(len(features)).numpy(),
        modalities=[m for m in features for _ in range(len(shown))],
        names=list(shown.names) * len(features),
        classes=list(data.classes),
        maps={},
    )
    for method in STORED:
        run_map.maps[method] = _fit(method, run_map.features, config)
    _save(folder, run_map)
    return run_map


def load_map(folder: RunFolder, method: Method = "pca") -> RunMap:
    """A run's maps. Where `method` is not stored it is fitted now and kept in memory: reading never writes.

    Raises:
        RunError: the run has no map (it never finished a step), or its files are damaged.
    """
    if not folder.has("map"):
        diverged = folder.info().status == "diverged"
        raise RunError(f"{folder.id} has no map{': it diverged' if diverged else ' yet: it has not ended'}")
    stored = _read(folder)
    if method not in stored.maps:
        stored.maps[method] = _fitted(folder.path, folder.stamp("map", "config"), method)
    return stored


def keep_map(folder: RunFolder, method: Method) -> None:
    """Fit one more map of a run and keep it with the others, so that opening it later takes no time.

    Raises:
        RunError: the run has no map, or its files are damaged. StorageError: it cannot be written.
    """
    run_map = load_map(folder, method)
    _save(folder, run_map)


def _read(folder: RunFolder) -> RunMap:
    meta, tensors = folder.json("map"), folder.tensors("map")
    config, file = folder.config(), f"{folder.id}: map.safetensors"
    width = config.context.hidden_dim
    shapes = {"features": f"float N {width}", "labels": "int N", "rows": "int N"}
    for name in meta["maps"]:
        shapes |= {f"{name}.layout": "float N 2"}
        if name == "pca":
            shapes |= {"pca.mean": f"float {width}", "pca.components": f"float 2 {width}"}
    points = check_tensors(tensors, shapes, file)["N"]
    # Dots that lie too far out for the precision of their distances cannot be told apart.
    far = [name for name in meta["maps"] if bool((tensors[f"{name}.layout"].abs() > FARTHEST).any())]
    if far:
        raise RunError(f"{file} is damaged ({far[0]}.layout has values beyond {FARTHEST:g})")
    if len(meta["modalities"]) != points or len(meta["sources"]) != points:
        raise RunError(f"{folder.id}: map.json is damaged (it does not name each of {points} items)")
    if meta["classes"] != folder.facts()["classes"] or not set(meta["modalities"]) <= set(folder.facts()["modalities"]):
        raise RunError(f"{folder.id}: map.json is damaged (its classes or modalities are not those of run.json)")
    check_below(tensors["labels"], len(meta["classes"]), "labels", file)
    maps = {}
    for name, facts in meta["maps"].items():
        if facts["method"] != name or (name == "tsne" and "perplexity" not in facts["parameters"]):
            raise RunError(f"{folder.id}: map.json is damaged (maps.{name}: another method, or no perplexity)")
        parts = {key.partition(".")[2]: t for key, t in tensors.items() if key.startswith(f"{name}.")}
        try:
            maps[name] = Map.from_tensors({**parts, "features": tensors["features"]}, facts)
        except TypeError as error:
            raise RunError(f"{folder.id}: the map's files are incomplete ({error})") from None
    return RunMap(
        features=tensors["features"].numpy(),
        labels=tensors["labels"].numpy(),
        rows=tensors["rows"].numpy(),
        modalities=meta["modalities"],
        names=meta["sources"],
        classes=meta["classes"],
        maps=maps,
    )


@lru_cache(maxsize=8)
def _fitted(path: Path, stamp: tuple[int, ...], method: Method) -> Map:
    """A map that the run does not store, fitted once for its files as they are."""
    folder = RunFolder(path)
    return _fit(method, _read(folder).features, folder.config())


def _fit(method: Method, features: np.ndarray, config: RunConfig) -> Map:
    evaluation = config.evaluation
    return fit_map(method, features, config.run.seed, evaluation.perplexity, evaluation.neighbors)


def _save(folder: RunFolder, run_map: RunMap) -> None:
    tensors = {
        "features": torch.from_numpy(run_map.features),
        "labels": torch.from_numpy(run_map.labels),
        "rows": torch.from_numpy(run_map.rows),
    }
    for name, fitted in run_map.maps.items():
        tensors |= {f"{name}.{key}": t for key, t in fitted.to_tensors().items() if key != "features"}
    # Before map.json, without which there is no map: killed in between, a run has the map that it had, or none.
    folder.save_tensors("map", tensors)
    meta = {
        "modalities": run_map.modalities,
        "sources": run_map.names,
        "classes": run_map.classes,
        "maps": {name: fitted.meta() for name, fitted in run_map.maps.items()},
    }
    folder.save_json("map", meta)
