"""Candidates of each source, masks, and what enters the queue."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from cpc_engine.config import SamplerConfig
from cpc_engine.negatives.candidates import Candidates
from cpc_engine.negatives.identity import Mask, item_index, item_of, pack
from cpc_engine.negatives.infonce import info_nce
from cpc_engine.negatives.sampler import HybridSampler, keys_of
from cpc_engine.negatives.weighting import Weighting
from cpc_engine.sources import Anchors, CandidateSet, Keys


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


@pytest.mark.parametrize("hardness", [0.0, 0.5])
@pytest.mark.parametrize("class_prior", [0.0, 0.1])
def test_negatives_are_weighed_where_hardness_or_debiasing_asks_for_it(hardness: float, class_prior: float) -> None:
    weighting = sampler(hardness=hardness, class_prior=class_prior).candidates(keys().futures(1), 0).weighting
    assert weighting == (Weighting(hardness, class_prior, True) if hardness or class_prior else None)


@pytest.mark.parametrize("shuffled", ["off", "batch", "time"])
def test_shuffled_input_and_the_other_modality_are_negatives_only_where_asked_for(shuffled: str) -> None:
    drawn = sampler(shuffled=shuffled).candidates(keys().futures(1), 0, other=keys(), shuffled_input=keys())
    assert [source.name for source in drawn.sources] == ["in_batch"]


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
        drawn = {source.name: source for source in s.candidates(keys().futures(1), step).sources}
        assert ("queue" in drawn) == (step >= 3)
        if step >= 3:  # the first item of each step is 10 times the step
            assert (item_index(drawn["queue"].ids) // 10).unique().tolist() == [step - 2, step - 1]
        s.enqueue(keys(first_item=10 * step).futures(1), step)


def test_the_number_of_latents_per_item_in_the_queue_is_limited() -> None:
    s = sampler(queue_size=100, queue_per_item=2)
    s.enqueue(keys(batch=5, length=9).futures(1), 0)
    items = item_of(s.queue.entries(1).ids)
    assert len(items) == 10
    assert torch.equal(torch.bincount(items), torch.full((5,), 2))
    assert len(s.queue.entries(1).ids.unique()) == 10


@pytest.mark.parametrize(("size", "per_item"), [(64, 0), (150, 0), (40, 2)])
def test_the_part_of_a_batch_that_the_queue_keeps_is_of_all_classes(size: int, per_item: int) -> None:
    """The items of a batch come sorted by class; what is kept of it is not chosen by class."""
    s = sampler(queue_size=size, queue_per_item=per_item)
    for step in range(3):
        batch = keys(batch=32, length=5, first_item=100 * step)
        s.enqueue(replace(batch, labels=(torch.arange(32) >= 16).long().repeat_interleave(5)).futures(1), step)
        kept = s.queue.state()
        assert len(kept["ids"].unique()) == len(kept["ids"])
        for stored in kept["steps"].unique():
            labels = kept["labels"][kept["steps"] == stored]
            assert 0.1 < labels.float().mean() < 0.9, (int(stored), labels)


def test_a_queue_of_whole_batches_keeps_their_order() -> None:
    batches = [keys(first_item=10 * step).futures(1) for step in range(4)]
    s = sampler(queue_size=2 * len(batches[0].ids))
    for step, batch in enumerate(batches):
        s.enqueue(batch, step)
    assert s.queue.state()["ids"].tolist() == torch.cat([batch.ids for batch in batches[2:]]).tolist()


def mixed_of(s: HybridSampler, futures: Keys, step: int = 1) -> tuple[Candidates, CandidateSet, Anchors]:
    """Candidates of random predictions, their mixed source, and the predictions."""
    columns = torch.arange(len(futures.ids))
    anchors = Anchors(F.normalize(torch.randn(len(columns), futures.vectors.shape[1]), dim=1), columns)
    candidates = s.candidates(futures, step, anchors=anchors)
    [mixed] = [source for source in candidates.sources if source.name == "mixed"]
    return candidates, mixed, anchors


@settings(max_examples=40)
@given(
    st.integers(1, 5),
    st.integers(2, 6),
    st.sampled_from([1, 7, 40, 150]),
    st.integers(2, 30),
    st.booleans(),
    st.integers(0, 999),
)
def test_mixed_latents_are_mixtures_of_two_hard_negatives_of_one_anchor(
    batch: int, length: int, count: int, pool: int, same_item: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    s = sampler(mixed=count, mixed_pool=pool, queue_size=12, same_item=same_item)
    s.enqueue(keys(batch=3, length=3, first_item=50), 0)
    futures = keys(batch=batch, length=length).futures(1)
    _, mixed, anchors = mixed_of(s, futures)
    queued = s.queue.entries(1)
    vectors, ids = torch.cat([futures.vectors, queued.vectors]), torch.cat([futures.ids, queued.ids])
    labels = torch.cat([futures.labels, queued.labels])
    assert len(mixed.ids) == count
    assert mixed.second is not None
    assert not mixed.vectors.requires_grad
    assert torch.allclose(mixed.vectors.norm(dim=1), torch.ones(count), atol=1e-5)
    key = (lambda x: x) if same_item else item_of
    hardest = []  # of each anchor, its hardest negatives
    for anchor, own in zip(anchors.vectors, futures.ids, strict=True):
        scores = (vectors @ anchor).masked_fill(key(ids) == key(own), -2)
        hardest.append(set(ids[scores.topk(min(pool, len(ids) - int((key(ids) == key(own)).sum()))).indices].tolist()))
    for vector, a, b, label in zip(mixed.vectors, mixed.ids, mixed.second, mixed.labels, strict=True):
        first, second = (vectors[ids == i][0].detach() for i in (a, b))
        part = torch.linalg.lstsq(torch.stack([first, second], 1), vector[:, None]).solution[:, 0]
        assert torch.allclose(part[0] * first + part[1] * second, vector, atol=1e-4)
        assert part[0] >= part[1] - 1e-4 >= -2e-4  # the first identity has the larger part
        assert a != b
        assert any({int(a), int(b)} <= pool_of for pool_of in hardest)
        classes = {int(labels[ids == i][0]) for i in (a, b)}
        assert (int(label) in classes) == (len(classes) == 1)
        assert len(classes) == 1 or label > labels.amax()


@settings(max_examples=40)
@given(
    st.integers(2, 5),
    st.integers(2, 6),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["exclude_positives", "reference"]),
)
def test_a_mixture_is_no_negative_where_a_parent_is_none(
    batch: int, length: int, same_item: bool, same_class: bool, mode: str
) -> None:
    """The number of masked cells, counted one by one."""
    s = sampler(mixed=30, same_item=same_item, same_class=same_class, mode=mode)
    futures = keys(batch=batch, length=length).futures(1)
    candidates, mixed, anchors = mixed_of(s, futures)
    scale = torch.tensor(1.0)
    stats = info_nce(anchors.vectors, anchors.positives, candidates, scale, labels=futures.labels).stats
    assert stats is not None
    assert mixed.second is not None
    masked = 0
    label_of = dict(zip(futures.ids.tolist(), futures.labels.tolist(), strict=True))
    for own in futures.ids.tolist():
        for parents in zip(mixed.ids.tolist(), mixed.second.tolist(), strict=True):
            masked += any(
                p == own
                or (not same_item and p >> 16 == own >> 16)
                or (not same_class and label_of[p] == label_of[own])
                for p in parents
            )
    expected = 0 if mode == "reference" else masked / len(futures.ids)
    assert stats.sources["mixed"].masked == pytest.approx(expected, abs=1e-5)
    same = [
        [bool(label == anchor) for label in mixed.labels.tolist()] for anchor in futures.labels.tolist()
    ]  # a class is that of both parents
    if mode == "reference":
        assert stats.sources["mixed"].false_negatives == pytest.approx(sum(map(sum, same)) / (30 * len(same)), abs=1e-5)


def test_mixtures_are_those_of_the_generator_and_none_without_two_latents() -> None:
    torch.manual_seed(0)
    futures = keys().futures(1)
    draws = []
    for _ in range(2):
        torch.manual_seed(1)
        draws.append(mixed_of(sampler(mixed=8), futures)[1])
    assert torch.equal(draws[0].vectors, draws[1].vectors)
    assert torch.equal(draws[0].ids, draws[1].ids)
    one = keys(batch=1, length=2).futures(1)
    alone = sampler(mixed=8).candidates(one, 0, anchors=Anchors(one.vectors.detach(), torch.zeros(1).long()))
    assert alone.counts() == {"in_batch": 1}


def test_both_parents_are_any_two_of_the_hardest_equally_often() -> None:
    futures = keys(batch=4, length=5).futures(1)
    anchor = Anchors(futures.vectors[:1].detach(), torch.zeros(1).long())
    mixed = sampler(mixed=4000, mixed_pool=5).candidates(futures, 0, anchors=anchor).sources[1]
    assert mixed.second is not None
    scores = (futures.vectors @ anchor.vectors[0]).detach()
    hardest = futures.ids[1:][scores[1:].topk(5).indices].tolist()
    drawn = Counter(frozenset(pair) for pair in zip(mixed.ids.tolist(), mixed.second.tolist(), strict=True))
    assert drawn.keys() == {frozenset(pair) for pair in combinations(hardest, 2)}
    assert all(320 < times < 480 for times in drawn.values())  # 400 ± 4 standard deviations


def test_dot_products_mix_without_rescaling() -> None:
    config = SamplerConfig(mixed=20)
    s = HybridSampler(config, 8, False, torch.Generator().manual_seed(0))
    futures = keys_of("audio", 5 * torch.randn(3, 4, 8), torch.arange(3), torch.zeros(3).long(), cosine=False).futures(
        1
    )
    _, mixed, _ = mixed_of(s, futures)
    assert (mixed.vectors.norm(dim=1) <= futures.vectors.norm(dim=1).amax() + 1e-4).all()
    assert (mixed.vectors.norm(dim=1) > 1.5).all()
