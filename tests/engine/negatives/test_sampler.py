"""Candidates of each source, masks, and what enters the queue."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from cpc_engine.config import SamplerConfig
from cpc_engine.negatives.identity import Mask, item_index, item_of, pack
from cpc_engine.negatives.infonce import info_nce
from cpc_engine.negatives.sampler import HybridSampler, keys_of
from cpc_engine.sources import Keys


def keys(batch: int = 3, length: int = 4, dim: int = 8, first_item: int = 0) -> Keys:
    items = torch.arange(first_item, first_item + batch)
    return keys_of("audio", torch.randn(batch, length, dim, requires_grad=True), items, items % 2, cosine=True)


def sampler(dim: int = 8, **changes: object) -> HybridSampler:
    return HybridSampler(SamplerConfig(**changes), dim, True, torch.Generator().manual_seed(0))  # type: ignore[arg-type]


def test_identities_distinguish_modality_item_and_position() -> None:
    items, positions = torch.tensor([0, 5, 2**31 - 1]), torch.tensor([0, 7, 65_534])
    audio, image = pack("audio", items, positions), pack("image", items, positions)
    assert len(torch.cat([audio, image]).unique()) == 6
    assert torch.equal(item_index(audio), items)
    assert torch.equal(item_index(image), items)
    assert not (item_of(audio) == item_of(image)).any()


@given(st.lists(st.integers(0, 4), max_size=12), st.lists(st.integers(0, 4), max_size=12))
def test_equal_pairs_are_those_of_the_full_matrix(anchors: list[int], candidates: list[int]) -> None:
    a, c = torch.tensor(anchors, dtype=torch.int64), torch.tensor(candidates, dtype=torch.int64)
    rows, columns = Mask(a, c).cells()
    matrix = torch.zeros(len(a), len(c), dtype=torch.bool)
    matrix[rows, columns] = True
    assert torch.equal(matrix, a[:, None] == c)
    assert len(rows) == matrix.sum()
    assert (rows[1:] >= rows[:-1]).all()


def test_all_five_sources_with_their_counts() -> None:
    s = sampler(queue_size=10, perturbed=True, shuffled="batch", cross_modal=True)
    s.enqueue(keys(first_item=50), 0)
    other = keys_of("image", torch.randn(3, 6, 8), torch.arange(3), torch.arange(3), cosine=True)
    futures = keys().futures(1)
    counts = s.candidates(futures, 1, other).counts()
    assert counts == {"in_batch": 9, "queue": 10, "perturbed": 9, "cross_modal": 18, "shuffled": 9}


@pytest.mark.parametrize("source", ["in_batch", "queue", "perturbed", "shuffled", "cross_modal"])
def test_no_copy_of_the_positive_is_a_negative_in_any_source(source: str) -> None:
    """In CPC_audio, 11.8 % of anchors have their positive among their negatives; here the share must be 0."""
    torch.manual_seed(0)
    batch = keys(batch=4, length=5)
    futures = batch.futures(1)
    s = sampler(
        queue_size=64,
        perturbed=source == "perturbed",
        shuffled="batch" if source == "shuffled" else "off",
        cross_modal=source == "cross_modal",
    )
    if source == "queue":
        s.enqueue(futures, 0)  # the same positions, from an earlier step
    other = keys_of("image", torch.randn(4, 5, 8), torch.arange(4), torch.arange(4), cosine=True)
    candidates = s.candidates(futures, 1, other)
    anchors = F.normalize(torch.randn(len(futures.ids), 8), dim=1)
    positives = torch.arange(len(futures.ids))
    result = info_nce(anchors, positives, candidates, torch.tensor(3.0), labels=futures.labels)
    own = futures.ids
    cells = torch.tensor(0)
    for index, candidate_set in enumerate(candidates.sources):
        same = (
            own[:, None] == candidate_set.ids
            if candidate_set.name != "cross_modal"
            else (item_index(own)[:, None] == item_index(candidate_set.ids))
        )
        if index == 0:
            same[positives, positives] = False
        assert not same[:, :].all()
        cells = cells + same.sum()
    assert result.stats is not None
    stats = result.stats.sources[source]  # type: ignore[index]
    expected = {"in_batch": 1, "queue": 1, "perturbed": 1, "shuffled": 1, "cross_modal": 5}[source]
    assert stats.masked == pytest.approx(expected)  # in_batch: the positive itself, which is the target


def test_reference_mode_masks_only_the_target() -> None:
    s = sampler(queue_size=64, perturbed=True, shuffled="batch", mode="reference")
    futures = keys().futures(1)
    s.enqueue(futures, 0)
    candidates = s.candidates(futures, 1)
    stats = info_nce(futures.vectors, torch.arange(9), candidates, torch.tensor(1.0), labels=futures.labels).stats
    assert stats is not None
    assert {n: a.masked for n, a in stats.sources.items()} == {
        "in_batch": 1,
        "queue": 0,
        "perturbed": 0,
        "shuffled": 0,
    }


@settings(deadline=None)
@given(st.floats(0.01, 0.4))
def test_perturbed_latents_keep_the_expected_cosine(sigma: float) -> None:
    """E cos ≈ 1/√(1 + dσ²) for unit latents (docs/method.md#perturbed)."""
    z = F.normalize(torch.randn(4000, 64), dim=1)
    futures = Keys(z, torch.arange(4000), torch.zeros(4000).long(), 1)
    perturbed = sampler(64, perturbed=True, sigma=sigma).candidates(futures, 0).sources[1].vectors
    assert torch.allclose(perturbed.norm(dim=1), torch.ones(4000), atol=1e-5)
    assert (perturbed * z).sum(1).mean().item() == pytest.approx((1 + 64 * sigma**2) ** -0.5, abs=0.01)


def gradient_through(source: str, **changes: object) -> Tensor | None:
    """The gradient on the latents through the vectors of one source; None if they are detached."""
    batch = keys()
    futures = batch.futures(1)
    sources = sampler(**changes).candidates(futures, 0, shuffled_input=keys()).sources
    vectors = next(s.vectors for s in sources if s.name == source)
    return None if not vectors.requires_grad else torch.autograd.grad(vectors.sum(), vectors)[0]


def test_detached_synthetic_negatives_carry_no_gradient() -> None:
    assert gradient_through("perturbed", perturbed=True) is not None
    assert gradient_through("perturbed", perturbed=True, detach_synthetic=True) is None
    assert gradient_through("shuffled", shuffled="input") is not None
    assert gradient_through("shuffled", shuffled="input", detach_synthetic=True) is None


def test_queue_has_a_delay_and_a_maximum_age() -> None:
    s = sampler(queue_size=100, queue_delay=3, queue_max_age=2)
    for step in range(6):
        names = [source.name for source in s.candidates(keys().futures(1), step).sources]
        assert ("queue" in names) == (step >= 3)
        if step >= 3:
            ages = step - s.queue.entries(step, 2).steps
            assert ages.max() <= 2
        s.enqueue(keys(first_item=10 * step).futures(1), step)


def test_the_number_of_latents_per_item_in_the_queue_is_limited() -> None:
    s = sampler(queue_size=100, queue_per_item=2)
    s.enqueue(keys(batch=5, length=9).futures(1), 0)
    items = item_of(s.queue.entries(1).ids)
    assert len(items) == 10
    assert torch.equal(torch.bincount(items), torch.full((5,), 2))
    assert len(s.queue.entries(1).ids.unique()) == 10
