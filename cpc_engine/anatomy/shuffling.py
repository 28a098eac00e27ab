"""How much of what it stands for a shuffled negative keeps: where shuffling changes nothing, the negative is a copy.

A negative from shuffled input is compared with the latent (of the item-level term, the embedding) at the same place of
the input that was not shuffled. A permuted latent is compared with the one whose place it takes, which is the positive
of the anchors that predict this place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..evaluation.embed import clips_of
from ..model.encoded import Encoded
from ..terms import Modality
from ..training.plan import NEAR_COPY
from .opened import Opened
from .past import Term

ITEMS = 64  # held-out items, evenly spaced over the map's

Permuted = Literal["batch", "time"]
Shuffle = Literal["batch", "time", "input"]


@dataclass(frozen=True)
class Kept:
    """What N items keep when they are shuffled.

    Attributes:
        cosines: (N,) float64, mean cosine of an item's shuffled negatives to what they stand for; 1: nothing changes.
        copies: (N,) float64, which part of them is practically a copy: has a cosine above `plan.NEAR_COPY`.
    """

    cosines: Tensor
    copies: Tensor


def kept_by_input(latents: Tensor, shuffled: Tensor) -> Kept:
    """Compare latents of shuffled input with those of the input itself, place by place.

    Args:
        latents, shuffled: (N, T, d).

    Example:
        >>> latents = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]])
        >>> kept_by_input(latents, torch.tensor([[[3.0, 0.0], [1.0, 0.0]]]))
        Kept(cosines=tensor([0.5000], dtype=torch.float64), copies=tensor([0.5000], dtype=torch.float64))
    """
    return _kept(F.cosine_similarity(latents.double(), shuffled.double(), dim=2))


def kept_by_permutation(latents: Tensor, over: Permuted) -> Kept:
    """Compare latents with those that a random permutation puts in their places, as the mean over all permutations.

    Every latent comes to every place equally often, also to its own.

    Args:
        latents: (N, T, d).
        over: what is permuted, the latents of all items ("batch") or those of each item ("time").

    Example:
        >>> latents = torch.tensor([[[1.0, 0.0], [0.0, 2.0]], [[1.0, 0.0], [3.0, 0.0]]])
        >>> kept_by_permutation(latents, "time").cosines.tolist()
        [0.5, 1.0]
        >>> kept_by_permutation(latents, "batch").cosines.tolist()
        [0.5, 0.75]
    """
    units = F.normalize(latents.double(), dim=2)
    all_units = units.flatten(0, 1)
    found = [_kept((own @ (all_units if over == "batch" else own).T).view(1, -1)) for own in units]
    return Kept(torch.cat([one.cosines for one in found]), torch.cat([one.copies for one in found]))


@torch.no_grad()
def shuffling(opened: Opened, term: Term, modality: Modality, shuffle: Shuffle, count: int = ITEMS) -> Kept:
    """What held-out items of a run's map keep, whether or not the run has shuffled negatives.

    One clip of each, without augmentation and in evaluation mode, is encoded by the network that makes the keys. The
    input is shuffled with the same random numbers at every step of a run, so that only the network differs.

    Args:
        term: "prediction", or "item" for the embeddings of the item-level term.
        shuffle: a value of `sampler.shuffled`.
        count: items at most.
    """
    trainer = opened.trainer
    values, items = clips_of(trainer.model, modality, opened.items.take(torch.from_numpy(opened.held_out_rows(count))))
    windows = items.bincount()
    middle = windows.cumsum(0) - windows + windows // 2
    features = trainer.model.features[modality](values[middle])
    encoders = trainer.model.encoders if trainer.ema is None else trainer.ema
    with opened.drawing:  # no other page meets the network in evaluation mode
        was_training = encoders.training
        encoders.eval()
        own = _vectors(opened, term, modality, encoders[modality](features))
        shuffled = own
        if shuffle == "input":
            trainer.generator.manual_seed(opened.config.run.seed)
            shuffled = _vectors(opened, term, modality, trainer.shuffled_input(modality, features))
        encoders.train(was_training)
    if shuffle == "input":
        return kept_by_input(own, shuffled)
    first = trainer.model.first_targets[modality] if term == "prediction" else 0  # what no anchor predicts stays
    return kept_by_permutation(own[:, first:], shuffle)


def _vectors(opened: Opened, term: Term, modality: Modality, encoded: Encoded) -> Tensor:
    """What keys are made of, (N, T, d); one embedding of each item, (N, 1, e), of the item-level term."""
    if term == "prediction":
        return encoded.latents
    item_term = opened.trainer.item_term
    assert item_term is not None
    return item_term.embedded(modality, encoded)[:, None]


def _kept(cosines: Tensor) -> Kept:
    """From (N, n) cosines of each item's shuffled negatives."""
    return Kept(cosines.mean(1).clamp(-1, 1), (cosines > NEAR_COPY).double().mean(1))
