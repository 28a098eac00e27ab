"""k-means patches: features without gradients, and a hard baseline for small pictures and sounds.

Coates, Lee & Ng 2011, "An analysis of single-layer networks in unsupervised feature learning": patches are normalised
in contrast, whitened (ZCA), and clustered; a place of an item is then described by how much nearer than on average each
centroid is to the patch there ("triangle" encoding).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

CENTROIDS = 128
SAMPLED = 50_000  # patches that whitening and clustering see
WHITENING = 0.1  # added to the variance of every direction before whitening; patches have a variance of about 1
_ROWS = 64  # items unfolded at once: 64 pictures of 32 × 32 are 20 MB of patches

Reader = Callable[[Tensor], Tensor]  # rows (n,) int64 → (n, C, H, W) float32


@dataclass(frozen=True)
class Patches:
    """A fitted dictionary.

    Attributes:
        size: height and width of a patch. floor: added to a patch's variance before it is divided by.
        mean: (P,), whitening: (P, P), centroids: (k, P); P = C · height · width.
    """

    size: tuple[int, int]
    floor: float
    mean: Tensor
    whitening: Tensor
    centroids: Tensor

    def encode(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) → (B, k, H − height + 1, W − width + 1): max(0, mean distance − distance to the centroid)."""
        patches = _normalised(_unfold(maps, self.size), self.floor)
        white = (patches - self.mean) @ self.whitening
        distances = torch.cdist(white, self.centroids)
        activations = (distances.mean(-1, keepdim=True) - distances).clamp_(min=0)
        height, width = (side - size + 1 for side, size in zip(maps.shape[2:], self.size, strict=True))
        return activations.transpose(1, 2).unflatten(2, (height, width))


def fit_patches(read: Reader, items: int, size: tuple[int, int], floor: float, seed: int) -> Patches:
    """Cluster patches at random places of all `items`; equal for equal seeds.

    Args:
        read: gives the maps of some rows; called for a few at a time, so that memory stays small.
        size: height and width of a patch, at most those of the maps.
    """
    from sklearn.cluster import MiniBatchKMeans

    generator = torch.Generator().manual_seed(seed)
    each = -(-SAMPLED // items)
    parts: list[Tensor] = []
    for rows in torch.arange(items).split(_ROWS):
        patches = _unfold(read(rows), size)
        chosen = torch.randint(patches.shape[1], (len(rows), each), generator=generator)
        parts.append(patches.gather(1, chosen[..., None].expand(-1, -1, patches.shape[2])).flatten(0, 1))
    sample = _normalised(torch.cat(parts), floor)
    del parts
    mean = sample.mean(0)
    sample -= mean
    values, vectors = torch.linalg.eigh(sample.T @ sample / len(sample))
    whitening = (vectors / (values.clamp(min=0) + WHITENING).sqrt()) @ vectors.T
    model = MiniBatchKMeans(CENTROIDS, batch_size=4096, n_init=1, random_state=seed)
    model.fit((sample @ whitening).numpy())
    return Patches(size, floor, mean, whitening, torch.from_numpy(model.cluster_centers_).float())


def encode_items(patches: Patches, read: Reader, items: int, cells: tuple[tuple[int, int], ...]) -> list[Tensor]:
    """For each (rows, columns) of `cells`, (items, k · rows · columns): activations averaged over such a grid."""
    parts: list[list[Tensor]] = [[] for _ in cells]
    for rows in torch.arange(items).split(_ROWS):
        activations = patches.encode(read(rows))
        for part, grid in zip(parts, cells, strict=True):
            part.append(F.adaptive_avg_pool2d(activations, grid).flatten(1))
    return [torch.cat(part) for part in parts]


def _unfold(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, H, W) → (B, places, C · height · width)."""
    return F.unfold(maps, size).transpose(1, 2)


def _normalised(patches: Tensor, floor: float) -> Tensor:
    centred = patches - patches.mean(-1, keepdim=True)
    return centred.div_((centred.square().mean(-1, keepdim=True) + floor).sqrt())
