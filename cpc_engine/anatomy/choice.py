"""Which anchor to look at: the hardest of a batch, the most mistaken, the one that its own class pulls at most."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .frozen import Frozen
from .lineup import derive, unfolded

_LOGITS = 8 << 20  # at once


@dataclass(frozen=True)
class Survey:
    """All N anchors of a loss, in its order.

    Attributes:
        losses: (N,) in nats.
        margin: (N,) similarity of the hardest negative minus that of the positive; above 0 the anchor is mistaken.
        false_share: (N,) how much of the gradient on negatives comes from candidates of the anchor's class.
        labels: (N,) classes.
    """

    losses: Tensor
    margin: Tensor
    false_share: Tensor
    labels: Tensor

    def most(self, kind: str, label: int | None = None) -> int:
        """The anchor that leads in one respect.

        Args:
            kind: "losses", "margin", or "false_share". label: only anchors of this class; None: all.

        Raises:
            ValueError: no anchor of the batch has this class.
        """
        values: Tensor = getattr(self, kind)
        if label is not None:
            values = torch.where(self.labels == label, values, -torch.inf)
        best = int(values.argmax())
        if label is not None and int(self.labels[best]) != label:
            raise ValueError(f"no anchor of class {label} in this batch")
        return best


@torch.no_grad()
def survey(frozen: Frozen) -> Survey:
    """Look at every anchor of a batch once, under the run's own settings."""
    inputs, candidates = frozen.draw(frozen.opened.config)
    classes = torch.cat([source.labels for source in unfolded(candidates)])
    labels = inputs.futures.labels[inputs.positives]
    losses, margins, shares = [], [], []
    for rows in torch.arange(len(labels)).split(max(1, _LOGITS // len(classes))):
        positive, logits, found = derive(inputs, candidates, rows)
        losses.append(found.losses)
        margins.append((logits.amax(1) - positive) / inputs.scale)
        shares.append(torch.where(classes == labels[rows, None], found.share, 0.0).sum(1))
    return Survey(torch.cat(losses), torch.cat(margins), torch.cat(shares), labels)
