"""A run's maps on disk: pooled contexts of held-out items, and where each method puts them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..config import RunConfig
from ..data.items import Dataset, Modality
from ..errors import DataError, RunError
from ..evaluation.embed import embed
from ..evaluation.maps import Map, fit_map
from ..evaluation.report import balanced_rows
from ..model import MultiModalCPC
from .folder import RunFolder

METHODS = ("pca", "tsne", "umap")
FEWEST = 5  # dots that a map needs


@dataclass(frozen=True)
class RunMap:
    """Items of a run's test split (of each modality) and their maps; row i of everything is one item.

    Attributes:
        features: (N, h) float32 mean contexts. labels: (N,) class indices. modalities, sources: N each.
        rows: (N,) row of each item in the test split. maps: fitted so far, by method.
    """

    features: np.ndarray
    labels: np.ndarray
    rows: np.ndarray
    modalities: list[Modality]
    sources: list[str]
    classes: list[str]
    maps: dict[str, Map]


def check_mappable(data: Dataset) -> None:
    """Refuse data that no map can be drawn of, before a run spends its time on them.

    Raises:
        DataError: too few held-out items.
    """
    dots = len(data.test) * len(data.modalities)
    if dots < FEWEST:
        raise DataError(f"{data.name}: too few held-out items for a map, {dots} where {FEWEST} are needed")


def save_maps(folder: RunFolder, model: MultiModalCPC, data: Dataset, config: RunConfig) -> RunMap:
    """Embed held-out items, fit the quick maps (PCA, t-SNE), and keep them with the run."""
    rows = balanced_rows(data.test.labels, config.evaluation.map_items)
    shown = data.test.take(rows)
    features = {m: f.mean_context for m, f in embed(model, shown).items()}
    run_map = RunMap(
        features=torch.cat(list(features.values())).numpy(),
        labels=shown.labels.cpu().repeat(len(features)).numpy(),
        rows=rows.repeat(len(features)).numpy(),
        modalities=[m for m in features for _ in range(len(shown))],
        sources=list(shown.sources) * len(features),
        classes=list(data.classes),
        maps={},
    )
    for method in ("pca", "tsne"):
        run_map.maps[method] = _fit(method, run_map.features, config)
    _save(folder, run_map)
    return run_map


def load_map(folder: RunFolder, method: str = "pca") -> RunMap:
    """A run's maps, with `method` fitted now (and kept) where it was not yet.

    Raises:
        RunError: the run has no map (it never finished a step), or its files are damaged.
    """
    meta, tensors = folder.json("map"), None
    if meta is None:
        raise RunError(f"{folder.id} has no map yet: it has not ended")
    tensors = folder.tensors("map")
    try:
        maps = {
            name: Map.from_tensors(
                {key.partition(".")[2]: t for key, t in tensors.items() if key.startswith(f"{name}.")}
                | {"features": tensors["features"]},
                facts,
            )
            for name, facts in meta["maps"].items()
        }
        run_map = RunMap(
            features=tensors["features"].numpy(),
            labels=tensors["labels"].numpy(),
            rows=tensors["rows"].numpy(),
            modalities=meta["modalities"],
            sources=meta["sources"],
            classes=meta["classes"],
            maps=maps,
        )
    except (KeyError, TypeError) as error:
        raise RunError(f"{folder.id}: the map's files are incomplete ({error})") from None
    if method not in run_map.maps:
        run_map.maps[method] = _fit(method, run_map.features, folder.config())
        _save(folder, run_map)
    return run_map


def _fit(method: Any, features: np.ndarray, config: RunConfig) -> Map:
    evaluation = config.evaluation
    return fit_map(method, features, config.run.seed, evaluation.perplexity, evaluation.neighbours)


def _save(folder: RunFolder, run_map: RunMap) -> None:
    tensors = {
        "features": torch.from_numpy(run_map.features),
        "labels": torch.from_numpy(run_map.labels),
        "rows": torch.from_numpy(run_map.rows),
    }
    for name, fitted in run_map.maps.items():
        tensors |= {f"{name}.{key}": t for key, t in fitted.to_tensors().items() if key != "features"}
    folder.save_tensors("map", tensors)
    meta = {
        "modalities": run_map.modalities,
        "sources": run_map.sources,
        "classes": run_map.classes,
        "maps": {name: fitted.meta() for name, fitted in run_map.maps.items()},
    }
    folder.save_json("map", meta)
