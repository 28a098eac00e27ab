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
    pooled = [F.normalize(contexts.float().mean(1), dim=1) for contexts in (first, second)]
    logits = pooled[0] @ pooled[1].T / temperature
    targets = torch.arange(len(logits), device=logits.device)
    copies = (pairs[:, None] == pairs).fill_diagonal_(False)
    logits = logits.masked_fill(copies, -torch.inf)
    return 0.5 * (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets))
