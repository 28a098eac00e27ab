"""k-means patches: features learned without gradients, a strong baseline for small images and short audio clips.

Coates, Ng & Lee 2011, "An Analysis of Single-Layer Networks in Unsupervised Feature Learning": patches are
contrast-normalized, ZCA-whitened, and clustered. A position of an item is described by how much closer than the average
centroid each centroid is to its patch ("triangle" encoding). See `docs/method.md#k-means-patches`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

SAMPLED = 50_000  # patches that whitening and clustering are fitted on
WHITENING = 0.1  # added to the variance of every direction before whitening; patches have a variance of about 1
_ROWS = 16  # items unfolded at once: 16 images of 32 × 32 px give 5 MB of patches, and 24 MB of distances

Reader = Callable[[Tensor], Tensor]  # rows (n,) int64 → (n, C, H, W) float32


@dataclass(frozen=True)
class Patches:
    """A fitted dictionary of patches with P = C · height · width values each.

    Attributes:
        size: (height, width) of a patch. floor: ε, added to the variance of a patch in contrast normalization.
        mean: (P,), of normalized patches. whitening: (P, P), ZCA matrix. centroids: (k, P), in whitened space.
    """

    size: tuple[int, int]
    floor: float
    mean: Tensor
    whitening: Tensor
    centroids: Tensor

    def encode(self, maps: Tensor) -> Tensor:
        """Return max(0, mean distance − distance to the centroid) at every position.

        Args:
            maps: (B, C, H, W).

        Returns:
            (B, k, H − height + 1, W − width + 1).
        """
        patches = _normalized(_unfold(maps, self.size), self.floor)
        white = (patches - self.mean) @ self.whitening
        distances = torch.cdist(white, self.centroids)
        activations = (distances.mean(-1, keepdim=True) - distances).clamp_(min=0)
        height, width = (side - size + 1 for side, size in zip(maps.shape[2:], self.size, strict=True))
        result: Tensor = activations.transpose(1, 2).unflatten(2, (height, width))
        return result


def fit_patches(read: Reader, items: int, size: tuple[int, int], floor: float, seed: int, centroids: int) -> Patches:
    """Fit a dictionary on patches from random positions of all items; the same seed gives the same dictionary.

    Args:
        read: returns the maps (n, C, H, W) of the given rows; called for 16 rows at a time to limit memory.
        items: number of items.
        size: (height, width) of a patch, at most those of the maps.
        floor: ε, added to the variance of a patch in contrast normalization.
        seed: of the random positions and of k-means.
        centroids: k, their number.
    """
    from sklearn.cluster import MiniBatchKMeans

    generator = torch.Generator().manual_seed(seed)
    each = -(-SAMPLED // items)
    parts: list[Tensor] = []
    for rows in torch.arange(items).split(_ROWS):
        patches = _unfold(read(rows), size)
        places = torch.randint(patches.shape[1], (len(rows), each), generator=generator).to(patches.device)
        parts.append(patches.gather(1, places[..., None].expand(-1, -1, patches.shape[2])).flatten(0, 1))
    sample = _normalized(torch.cat(parts), floor)
    del parts
    mean = sample.mean(0)
    sample -= mean
    values, vectors = torch.linalg.eigh(sample.T @ sample / len(sample))
    whitening = (vectors / (values.clamp(min=0) + WHITENING).sqrt()) @ vectors.T
    model = MiniBatchKMeans(centroids, batch_size=4096, n_init=1, random_state=seed)
    model.fit((sample @ whitening).cpu().numpy())
    centers = torch.from_numpy(model.cluster_centers_).float().to(sample.device)
    return Patches(size, floor, mean, whitening, centers)


def encode_items(patches: Patches, read: Reader, items: int, cells: tuple[tuple[int, int], ...]) -> list[Tensor]:
    """Encode every item and average the activations over grids of cells.

    Args:
        read: returns the maps (n, C, H, W) of the given rows.
        items: number of items.
        cells: (rows, columns) of each grid to average over.

    Returns:
        One tensor (items, k · rows · columns) on the CPU for each grid.
    """
    parts: list[list[Tensor]] = [[] for _ in cells]
    for rows in torch.arange(items).split(_ROWS):
        activations = patches.encode(read(rows))
        for part, grid in zip(parts, cells, strict=True):
            part.append(F.adaptive_avg_pool2d(activations, grid).flatten(1))
    return [torch.cat(part).cpu() for part in parts]


def _unfold(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, H, W) → (B, positions, C · height · width)."""
    return F.unfold(maps, size).transpose(1, 2)


def _normalized(patches: Tensor, floor: float) -> Tensor:
    """Contrast-normalize patches (…, P): zero mean, divided by √(variance + floor)."""
    centered = patches - patches.mean(-1, keepdim=True)
    return centered.div_((centered.square().mean(-1, keepdim=True) + floor).sqrt())
