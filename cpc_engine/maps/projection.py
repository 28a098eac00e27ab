"""Two-dimensional maps of pooled contexts, and where a new item falls on a finished map.

Every map, its quality and `neighbors` compare items by direction (x̂ = x/‖x‖), so that the dots beside a point are the
items listed beside it: on unit vectors the Euclidean and the cosine order are the same.

Placing never moves the map, and a point placed alone lands where it lands in a batch. openTSNE's own `transform` shifts
the map before it places, and umap-learn's `transform` gives a single point another place than the same point in a batch
(umap#566), so neither is used: see `tsne_placing` and `Map.place`.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ..errors import DataError
from .tsne_placing import place_among

Method = Literal["pca", "tsne", "umap"]
Floats = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]

QUALITY_NEIGHBORS = 15
_QUALITY_ROWS = 2000  # each row costs a sort of all N distances; the mean over 2000 rows is exact enough beyond that
_CELLS = 4_000_000  # cells of one chunk of a distance matrix
_PLACING_PERPLEXITY = 5.0  # of a new point on a t-SNE map; openTSNE's own
_PLACED_BY = 3  # more items pull a new point off the clusters: 10-NN accuracy on digits 0.88 with 3, 0.84 with 15
# Not every library's kernels may run in two threads at once, and warning filters are shared by all threads.
_LIBRARIES = threading.Lock()


@dataclass(frozen=True, eq=False, repr=False)
class Map:
    """A finished map of N items.

    Attributes:
        method: "pca", "tsne" or "umap".
        layout: (N, 2) float32, in the method's own units; (N, 3) in three dimensions.
        features: (N, F) float32, what the map was made from.
        trustworthiness: from 0 to 1: how far neighbors on the map are neighbors in the space (Venna & Kaski 2001);
            about 0.5 for a random layout.
        overlap: share of the (up to) 15 nearest items on the map that are among as many nearest in the space.
        parameters: what the method ran with after fitting it to N, plus "seed"; JSON can hold it.
        mean, components: (F,) and (dimensions, F) of "pca"; empty otherwise.
    """

    method: Method
    layout: Floats
    features: Floats
    trustworthiness: float
    overlap: float
    parameters: dict[str, float]
    mean: Floats
    components: Floats

    def __repr__(self) -> str:
        return f"<Map {self.method} of {len(self.layout)} items: trustworthiness {self.trustworthiness:.3f}>"

    def place(self, new: ArrayLike) -> Floats:
        """(M, 2) float32 positions of new features (M, F); the map stays as it is.

        PCA projects. t-SNE finds each point's best place among the frozen dots. UMAP takes the mean of the dots of the
        3 nearest items, weighted by 1/distance²; where these lie in different clusters, that is the ground between.
        """
        points = _unit(_features(new, self.features.shape[1]))
        if len(points) == 0:
            return np.zeros((0, 2), np.float32)
        if self.method == "pca":
            return ((points - self.mean) @ self.components.T).astype(np.float32)
        return self._place_tsne(points) if self.method == "tsne" else self._place_by_neighbors(points)

    def meta(self) -> dict[str, Any]:
        """What is not a tensor, as values that JSON can hold."""
        names = ("method", "trustworthiness", "overlap", "parameters")
        return {name: getattr(self, name) for name in names}

    def to_tensors(self) -> dict[str, Tensor]:
        """The arrays as tensors, for safetensors."""
        names = ("layout", "features", "mean", "components")
        return {name: torch.from_numpy(np.ascontiguousarray(getattr(self, name))) for name in names}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> Map:
        """The map that gave `to_tensors()` and `meta()`; a TypeError where one of its parts is missing."""
        values: dict[str, Any] = {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
        return cls(**values, **meta)

    def _place_by_neighbors(self, points: Floats) -> Floats:
        indices, distances = self._nearest(points, _PLACED_BY)
        weights = 1 / (np.square(distances) + 1e-12)
        weights /= weights.sum(1, keepdims=True)
        placed: Floats = (weights[:, :, None] * self.layout[indices]).sum(1).astype(np.float32)
        return placed

    def _place_tsne(self, points: Floats) -> Floats:
        perplexity = min(_PLACING_PERPLEXITY, self.parameters["perplexity"])
        indices, distances = self._nearest(points, int(3 * perplexity))
        return place_among(self.layout, indices, distances, perplexity).astype(np.float32)

    def _nearest(self, points: Floats, k: int) -> tuple[Indices, Floats]:
        """(M, k) nearest items of unit vectors (M, F), and their Euclidean distances in float64."""
        indices, _ = neighbors(self.features, points, k)
        stored = _unit(self.features)
        # Differences, not 2 − 2cos: near a stored item the latter is mostly rounding, which changes with the batch.
        pairs = zip(indices, points, strict=True)
        return indices, np.stack([np.linalg.norm(stored[near] - point, axis=1) for near, point in pairs])


def fit_map(
    method: Method,
    features: ArrayLike,
    seed: int,
    perplexity: float = 30.0,
    neighbors: int = 15,
    dimensions: Literal[2, 3] = 2,
) -> Map:
    """A map of features (N, F); the same seed gives the same layout.

    t-SNE and UMAP start from PCA, so that they turn up the same way round run after run. Perplexity (t-SNE) and
    neighbors (UMAP) are lowered where N is too small for them; `Map.parameters` says what was used.

    Raises:
        ValueError: fewer than 5 items, an unknown method, t-SNE in three dimensions, or features that are no matrix.
        DataError: features that are not finite.
    """
    if method not in get_args(Method):
        raise ValueError(f"a map is one of {', '.join(get_args(Method))}, not {method!r}")
    if method == "tsne" and dimensions == 3:
        raise ValueError("t-SNE is drawn in two dimensions only: its fast gradients are for those")
    kept = _features(features)
    if len(kept) < 5:
        raise ValueError(f"a map needs at least 5 items, got {len(kept)}")
    points = _unit(kept)
    mean, components = principal(points, dimensions)
    plane = (points - mean) @ components.T
    parameters: dict[str, float] = {"seed": seed}
    if method == "tsne":
        parameters["perplexity"] = min(perplexity, (len(points) - 1) / 3)
        layout = _tsne(points, plane, parameters)
    elif method == "umap":
        parameters["neighbors"] = min(neighbors, len(points) - 1)
        layout = _umap(points, plane, parameters)
    else:
        layout = plane
    if method != "pca":
        mean, components = np.zeros(0), np.zeros((0, 0))
    layout = layout.astype(np.float32)
    trust, overlap = map_quality(kept, layout, seed)
    return Map(method, layout, kept, trust, overlap, parameters, mean, components)


def neighbors(features: ArrayLike, query: ArrayLike, k: int) -> tuple[Indices, Floats]:
    """The k items (all, where there are fewer) of features (N, F) nearest to each query (M, F), nearest first.

    Returns:
        (M, k) indices and (M, k) float32 cosines, in the original space.
    """
    stored = _features(features)
    queries, stored = _unit(_features(query, stored.shape[1])), _unit(stored)
    k = min(k, len(stored))
    indices = np.zeros((len(queries), k), np.int64)
    cosines = np.zeros((len(queries), k), np.float32)
    for rows in _chunks(len(queries), len(stored)):
        scores = queries[rows] @ stored.T
        # Stable, so that equal items come in their own order.
        nearest = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        indices[rows], cosines[rows] = nearest, np.take_along_axis(scores, nearest, 1)
    return indices, cosines


def quality_neighbors(items: int, k: int = QUALITY_NEIGHBORS) -> int:
    """Return how many neighbors of each item a map's quality is measured by: `k`, but below half of the items.

    Example:
        >>> quality_neighbors(500), quality_neighbors(12)
        (15, 5)
    """
    return min(k, (items - 1) // 2)


def map_quality(features: ArrayLike, layout: ArrayLike, seed: int, k: int = QUALITY_NEIGHBORS) -> tuple[float, float]:
    """(trustworthiness, neighborhood overlap) of a layout (N, 2) of features (N, F), as `Map` describes them.

    k is lowered to below N/2, where trustworthiness is defined. Beyond 2000 items, the
    neighbors of 2000 that `seed` draws are counted among all.
    """
    points, plane = _unit(_features(features)), np.asarray(layout, dtype=np.float64)
    n = len(points)
    k = quality_neighbors(n, k)
    sampled = np.arange(n)
    if n > _QUALITY_ROWS:
        sampled = np.sort(np.random.default_rng(seed).choice(n, _QUALITY_ROWS, replace=False))
    penalty, shared = 0, 0
    for rows in _chunks(len(sampled), n):
        items = sampled[rows]
        order = np.argsort(_apart(points, items), axis=1, kind="stable")
        rank = np.empty_like(order)  # of every item as a neighbor in the space; 0 is the nearest
        np.put_along_axis(rank, order, np.arange(n)[None], 1)
        ranks = np.take_along_axis(rank, np.argsort(_apart(plane, items), axis=1, kind="stable")[:, :k], 1)
        penalty += int(np.maximum(ranks + 1 - k, 0).sum())
        shared += int((ranks < k).sum())
    return 1 - 2 * penalty / (len(sampled) * k * (2 * n - 3 * k - 1)), shared / (len(sampled) * k)


def rotation_onto(moving: Floats, fixed: Floats) -> Floats:
    """(2, 2) turn or mirror that brings points (N, 2), centered, nearest to others (N, 2): orthogonal Procrustes."""
    left, _, right = np.linalg.svd((moving - moving.mean(0)).T @ (fixed - fixed.mean(0)))
    rotation: Floats = left @ right
    return rotation


def planes_over_time(features: Sequence[Floats]) -> list[tuple[Floats, Floats]]:
    """PCA of the same N items at each of several times, turned onto the time before so that what stays put stays put.

    Args:
        features: (N, F) at each time.

    Returns:
        (F,) mean and (F, 2) axes of each time: items lie at (x − mean) @ axes.
    """
    planes: list[tuple[Floats, Floats]] = []
    before: Floats | None = None
    for points in features:
        mean, components = principal(points)
        layout = (points - mean) @ components.T
        turn = np.eye(2) if before is None else rotation_onto(layout, before)
        before = layout @ turn
        planes.append((mean, components.T @ turn))
    return planes


def _tsne(points: Floats, plane: Floats, parameters: Mapping[str, float]) -> Floats:
    with _library():
        from openTSNE import TSNE

        start = 1e-4 * _start(plane, int(parameters["seed"]))
        model = TSNE(random_state=int(parameters["seed"]), n_jobs=1)
        return np.asarray(model.fit(affinities=_affinities(points, parameters), initialization=start))


def _affinities(points: Floats, parameters: Mapping[str, float]) -> Any:
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.nearest_neighbors import Annoy, Sklearn

    # An exact search below 1000 items and Annoy's, which the seed makes repeatable, above. openTSNE's own "auto" makes
    # the same choice, but to make it imports pynndescent, which compiles for seconds and is then not used.
    search = Sklearn if len(points) < 1000 else Annoy
    near = min(len(points) - 1, int(3 * parameters["perplexity"]))
    index = search(points, near, random_state=int(parameters["seed"]))
    return PerplexityBasedNN(perplexity=parameters["perplexity"], knn_index=index)


def _umap(points: Floats, plane: Floats, parameters: Mapping[str, float]) -> Floats:
    with _library():
        from umap import UMAP

        seed = int(parameters["seed"])
        start = _start(plane, seed)
        near, dimensions = int(parameters["neighbors"]), plane.shape[1]
        model = UMAP(n_neighbors=near, n_components=dimensions, init=start, random_state=seed, n_jobs=1)
        return np.asarray(model.fit_transform(points.astype(np.float32)))


def _start(plane: Floats, seed: int) -> Floats:
    """PCA at unit scale with a little noise, which parts equal items and gives a collapsed set some extent."""
    start: Floats = plane / max(plane.std(0).max(), 1e-6)
    return start + 0.01 * np.random.default_rng(seed).normal(size=plane.shape)


def principal(points: Floats, dimensions: int = 2) -> tuple[Floats, Floats]:
    """(mean (F,), components (dimensions, F)); the largest entry of each is positive, so no sign flips."""
    mean = points.mean(0)
    components = np.linalg.svd(points - mean, full_matrices=False)[2][:dimensions]
    components = np.pad(components, ((0, dimensions - len(components)), (0, 0)))  # one feature has one component
    largest = np.take_along_axis(components, np.abs(components).argmax(1)[:, None], 1)
    return mean, components * np.where(largest < 0, -1.0, 1.0)


def _apart(points: Floats, items: Indices) -> Floats:
    """(len(items), N) squared distances of items to all points; an item is infinitely far from itself."""
    chosen = points[items]
    squares: Floats = np.square(chosen).sum(1)[:, None] + np.square(points).sum(1) - 2 * chosen @ points.T
    squares[np.arange(len(items)), items] = np.inf
    return squares


def _chunks(rows: int, columns: int) -> Iterator[slice]:
    step = max(1, _CELLS // columns)
    return (slice(start, start + step) for start in range(0, rows, step))


def _features(x: ArrayLike, width: int | None = None) -> Floats:
    """x as a finite float32 matrix (N, width)."""
    features = np.asarray(x, dtype=np.float32)
    if features.ndim != 2 or features.shape[1] < 1 or (width is not None and features.shape[1] != width):
        raise ValueError(f"expected features of shape (items, {width or 'features'}), not {features.shape}")
    if not np.isfinite(features).all():
        raise DataError("some features are not finite; the network has diverged")
    return features


def _unit(features: Floats) -> Floats:
    """Rows of length 1 in float64; a zero row stays zero."""
    wide = features.astype(np.float64)
    unit: Floats = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-30)
    return unit


@contextmanager
def _library() -> Iterator[None]:
    """One library call at a time, without its warnings (the libraries warn of their own and each other's habits)."""
    with _LIBRARIES, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
