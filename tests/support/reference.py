"""Direct implementations of Algorithm 2 of docs/method.md, with and without masks: slow, simple, and without blocks."""

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
    """Compute the loss of Algorithm 2 (docs/method.md#algorithm-2) for k = 1, without masks and without enqueueing.

    Args:
        contexts: (B, T, d) contexts, already mapped to predictions.
        latents: (B, T, d).
        tau: temperature τ.
        queue: (Q, d) queued latents.
        sigma: noise level σ of the perturbed negatives.
        noise: (B·(T − 1), d) standard normal draws for the perturbed negatives.
        order: (B·(T − 1),) random permutation for the shuffled negatives.
        cross: (X, d) latents of the other modality.
    """
    d = latents.shape[2]
    positives = latents[:, 1:, :].reshape(-1, d)
    anchors = contexts[:, :-1, :].reshape(-1, d)
    candidates = positives
    if len(queue):
        candidates = torch.cat([candidates, queue])
    perturbed = positives + sigma * noise
    shuffled = positives[order]
    candidates = torch.cat([candidates, perturbed, shuffled])
    if len(cross):
        candidates = torch.cat([candidates, cross])
    logits = anchors @ candidates.T / tau
    return torch.nn.functional.cross_entropy(logits, torch.arange(len(anchors)))


def masked_loss(
    anchors: Tensor, candidates: list[Tensor], allowed: list[Tensor], positives: Tensor, weights: Tensor
) -> tuple[Tensor, list[dict[str, float]]]:
    """Compute weighted InfoNCE over the allowed cells, one anchor at a time.

    Args:
        anchors: (N, d), divided by τ.
        candidates: (n, d) per source.
        allowed: (N, n) bool per source, true for negatives.
        positives: (N, d).
        weights: (N,).

    Returns:
        The loss, and per source the mean softmax mass ("mass") and the mean number of negatives ("cells").
    """
    losses, stats = [], [{"mass": 0.0, "cells": 0.0} for _ in candidates]
    for i, anchor in enumerate(anchors):
        positive = anchor @ positives[i]
        negatives = [c[a[i]] @ anchor for c, a in zip(candidates, allowed, strict=True)]
        logits = torch.cat([positive[None], *negatives])
        losses.append(torch.logsumexp(logits, 0) - positive)
        p = torch.softmax(logits.detach(), 0)[1:]
        for row, part in zip(stats, p.split([len(n) for n in negatives]), strict=True):
            row["mass"] += part.sum().item() / len(anchors)
            row["cells"] += len(part) / len(anchors)
    return (torch.stack(losses) * weights).sum(), stats


def weighted_losses(
    similarities: list[Tensor],
    allowed: list[Tensor],
    positive: Tensor,
    scale: Tensor,
    hardness: float,
    class_prior: float,
    floor: Tensor,
) -> Tensor:
    """Compute hardness-weighted, debiased InfoNCE (Robinson et al. 2021, Chuang et al. 2020), one anchor at a time.

    Args:
        similarities: (N, n) per source, not divided by τ.
        allowed: (N, n) bool per source, true for negatives.
        positive: (N,) similarities of the positives.
        scale: 1/τ.
        hardness: β. class_prior: τ⁺.
        floor: scalar, the smallest exponential of a logit.

    Returns:
        (N,) losses.
    """
    losses = []
    for i in range(len(positive)):
        logits = scale * torch.cat([s[i][a[i]] for s, a in zip(similarities, allowed, strict=True)])
        own, count = (scale * positive[i]).exp(), len(logits)
        if count == 0:
            losses.append(0 * positive[i])
            continue
        weights = count * torch.softmax(hardness * logits, 0)
        mass = (weights * logits.exp()).sum()
        if class_prior > 0:
            mass = (mass - count * class_prior * own) / (1 - class_prior)
            mass = torch.where(mass < count * floor, count * floor, mass)
        losses.append((1 + mass / own).log())
    return torch.stack(losses)
