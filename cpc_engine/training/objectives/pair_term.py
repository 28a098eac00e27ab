"""The pair term: symmetric InfoNCE between pooled contexts of paired items (see docs/method.md#pair-term)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def pair_loss(first: Tensor, second: Tensor, pairs: Tensor, temperature: float) -> Tensor:
    """Return the mean loss of finding each item's partner among all partners, in both directions, in nats.

    Args:
        first, second: (B, T, h) contexts of the two modalities, row by row of one pair; T may differ.
        pairs: (B,) int64 pair numbers; items with the same number are not pushed apart.
        temperature: τ of the term.

    Example:
        >>> contexts = 10 * torch.eye(3)[:, None]
        >>> round(float(pair_loss(contexts, contexts, torch.arange(3), temperature=0.1)), 4)
        0.0001
    """
    logits = _similarities(first, second) / temperature
    targets = torch.arange(len(logits), device=logits.device)
    copies = (pairs[:, None] == pairs).fill_diagonal_(False)
    logits = logits.masked_fill(copies, -torch.inf)
    return 0.5 * (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets))


def class_pair_loss(first: Tensor, second: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Return the mean loss of finding all partners of each item's class among all partners, both ways, in nats.

    The supervised contrastive loss of Khosla et al. 2020 (arXiv 2004.11362, L_out) across two modalities: the target is
    spread evenly over the partners with the item's label.

    Args:
        first, second: (B, T, h) contexts of the two modalities; T may differ.
        labels: (B,) int64 classes.
        temperature: τ of the term.

    Example:
        >>> contexts = 10 * torch.eye(2).repeat_interleave(2, 0)[:, None]
        >>> loss = class_pair_loss(contexts, contexts, torch.tensor([0, 0, 1, 1]), temperature=0.1)
        >>> round(float(loss), 4)  # ln 2: both partners of the class are equally near
        0.6932
    """
    logits = _similarities(first, second) / temperature
    same = (labels[:, None] == labels).float()
    targets = same / same.sum(1, keepdim=True)  # symmetric, as both modalities have the same labels row by row
    return 0.5 * (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets))


def _similarities(first: Tensor, second: Tensor) -> Tensor:
    """Cosines of mean contexts, (B, B)."""
    pooled = [F.normalize(contexts.float().mean(1), dim=1) for contexts in (first, second)]
    return pooled[0] @ pooled[1].T
