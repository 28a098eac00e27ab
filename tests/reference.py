"""Algorithm 2 of the seed, transcribed line by line, and its masked form: slow, obvious, one row at a time."""

from __future__ import annotations

import torch
from torch import Tensor


def algorithm_2(
    contexts: Tensor,
    latents: Tensor,
    tau: float,
    queue: Tensor,
    sigma: float,
    noise: Tensor,
    order: Tensor,
    cross: Tensor,
) -> Tensor:
    """Lines 1 to 16 of Algorithm 2; `noise` and `order` are the random draws of lines 8 and 9.

    Args:
        contexts: (B, T, d), already mapped to predictions. latents: (B, T, d). queue: (Q, d). cross: (X, d).
    """
    d = latents.shape[2]
    positives = latents[:, 1:, :].reshape(-1, d)
    anchors = contexts[:, :-1, :].reshape(-1, d)
    everything = positives
    if len(queue):
        everything = torch.cat([everything, queue])
    perturbed = positives + sigma * noise
    shuffled = positives[order]
    everything = torch.cat([everything, perturbed, shuffled])
    if len(cross):
        everything = torch.cat([everything, cross])
    logits = anchors @ everything.T / tau
    return torch.nn.functional.cross_entropy(logits, torch.arange(len(anchors)))


def masked_loss(
    anchors: Tensor, candidates: list[Tensor], allowed: list[Tensor], positives: Tensor, weights: Tensor
) -> tuple[Tensor, list[dict[str, float]]]:
    """Weighted InfoNCE over the cells that are allowed, one anchor at a time, with the account per source.

    Args:
        anchors: (N, d), divided by τ. candidates: per source (n, d). allowed: per source (N, n) bool, negatives only.
        positives: (N, d).
    """
    losses, account = [], [{"mass": 0.0, "cells": 0.0} for _ in candidates]
    for i, anchor in enumerate(anchors):
        positive = anchor @ positives[i]
        negatives = [c[a[i]] @ anchor for c, a in zip(candidates, allowed, strict=True)]
        everything = torch.cat([positive[None], *negatives])
        losses.append(torch.logsumexp(everything, 0) - positive)
        p = torch.softmax(everything.detach(), 0)[1:]
        for row, part in zip(account, p.split([len(n) for n in negatives]), strict=True):
            row["mass"] += part.sum().item() / len(anchors)
            row["cells"] += len(part) / len(anchors)
    return (torch.stack(losses) * weights).sum(), account
