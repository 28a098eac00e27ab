"""Positives with Gaussian noise added: hard synthetic negatives."""

from __future__ import annotations

from typing import Any

from ..settings import Section, setting
from .base import CandidateSet, NegativeSource, SourceInputs, StepShape

NAME = "noise-perturbed"


class PerturbedSettings(Section):
    """Noise-perturbed negatives."""

    perturbed: bool = setting(
        False, "Add a noise-perturbed copy of every positive as a negative.", label=NAME.capitalize(), live=True
    )
    sigma: float = setting(
        0.3,
        "Noise σ of perturbed negatives; unit latents in d dimensions keep cos ≈ 1/√(1+dσ²).",
        label="Noise σ",
        ge=0,
        le=10,
        live=True,
        speed=False,
        low="perturbed negatives are the positive itself (false negatives)",
        high="perturbed negatives are random directions, trivially easy",
    )


def _count(sampler: Any, shape: StepShape) -> int:
    return shape.batch * shape.futures if sampler.perturbed else 0


def _draw(inputs: SourceInputs) -> CandidateSet | None:
    """z + σ·N(0, I), back on the unit sphere where cosine similarity is used."""
    if not inputs.settings.perturbed:
        return None
    import torch
    from torch.nn import functional as F

    futures = inputs.futures
    clean = futures.vectors.detach() if inputs.settings.detach_synthetic else futures.vectors
    noise = torch.randn(clean.shape, generator=inputs.generator, device=clean.device)
    noisy = clean + inputs.settings.sigma * noise
    return CandidateSet("perturbed", F.normalize(noisy, dim=1) if inputs.cosine else noisy, futures.ids, futures.labels)


SOURCE = NegativeSource(
    name="perturbed",
    label=NAME,
    color="green",
    order=2,
    summary="Futures with Gaussian noise of standard deviation σ added.",
    count=_count,
    draw=_draw,
    off={"sampler.perturbed": False},
    recipe={"sampler.perturbed": True},
    settings=PerturbedSettings,
    copies=True,
)
