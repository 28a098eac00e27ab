"""Hardness weights, debiasing and mixed candidates in the block-wise loss, against an obvious float64 reference."""

from __future__ import annotations

import math
from typing import NamedTuple
from unittest.mock import patch

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from cpc_engine.negatives.block_pass import SHAPES, Shape
from cpc_engine.negatives.candidates import Candidates
from cpc_engine.negatives.identity import Mask, item_index, item_of, pack
from cpc_engine.negatives.infonce import InfoNCE, info_nce
from cpc_engine.negatives.weighting import DOT_FLOOR, Weighting
from cpc_engine.sources import CandidateSet
from tests.support.reference import weighted_losses

BLOCKS = [Shape(16, 64, 1, False), Shape(16, 4096, 1, True), SHAPES["cpu"]]


class Case(NamedTuple):
    """Random vectors of every source in float64 and what is scored against them."""

    anchors: Tensor
    positives: Tensor
    candidates: Candidates
    weights: Tensor
    scale: Tensor
    leaves: list[Tensor]


def make(seed: int, mode: str, same_item: bool, permuted: str, weighting: Weighting, tau: float) -> Case:
    torch.manual_seed(seed)
    batch, length, dim = (int(torch.randint(low, high, ())) for low, high in ((1, 5), (2, 5), (2, 9)))
    queued, mixed, extra = (int(torch.randint(0, high, ())) for high in (9, 7, 3))
    items = torch.randint(0, 3, (batch,)) if seed % 3 == 0 else torch.arange(batch)  # repeated items, or none
    ids = pack("image", items[:, None], torch.arange(1, length)).reshape(-1)
    cross_ids = pack("audio", items[:, None], torch.arange(length)).reshape(-1)
    n = len(ids)

    def unit(rows: int) -> Tensor:
        vectors = torch.randn(rows, dim, dtype=torch.float64)
        return (F.normalize(vectors, dim=1) if weighting.cosine else 0.5 * vectors).requires_grad_()

    def labels(rows: int) -> Tensor:
        return torch.randint(0, 3, (rows,))

    futures, perturbed, crossed, anchors = unit(n), unit(n), unit(len(cross_ids)), unit(n + extra)
    sources = [CandidateSet("in_batch", futures, ids, labels(n))]
    if queued:
        sources.append(
            CandidateSet("queue", unit(queued).detach(), ids[torch.randint(0, n, (queued,))], labels(queued))
        )
    sources.append(CandidateSet("perturbed", perturbed, ids, labels(n)))
    if mixed:
        parents = ids[torch.randint(0, n, (2, mixed))]
        classes = torch.stack([labels(mixed), labels(mixed)])
        mixture = CandidateSet(
            "mixed", unit(mixed).detach(), parents[0], classes[0], second=parents[1], parents=classes
        )
        sources.append(mixture)
    sources.append(CandidateSet("cross_modal", crossed, cross_ids, labels(len(cross_ids))))
    candidates = Candidates(sources, permuted, mode, same_item, weighting)  # type: ignore[arg-type]
    candidates.same_class = seed % 4 != 1
    positives = torch.randint(0, n, (n + extra,))
    weights = torch.rand(n + extra).double()
    scale = torch.tensor(1 / tau, dtype=torch.float64, requires_grad=True)
    return Case(anchors, positives, candidates, weights, scale, [anchors, futures, perturbed, crossed, scale])


def negatives(candidates: Candidates, positives: Tensor) -> list[Tensor]:
    """Which cells are negatives, (N, n) bool per source and last the permuted copy, cell by cell."""
    own = candidates.sources[0].ids[positives]

    classes = candidates.sources[0].labels[positives].tolist()

    def masked(name: str, anchor: int, candidate: int) -> bool:
        if candidates.mode == "reference":
            return False
        a, c = torch.tensor(anchor), torch.tensor(candidate)
        if name == "cross_modal":
            return bool(item_index(a) == item_index(c))
        return anchor == candidate or (not candidates.same_item and bool(item_of(a) == item_of(c)))

    cells = []
    for source in candidates.sources:
        if not candidates.same_class and candidates.mode != "reference":
            of_parents = [source.labels.tolist()] * 2 if source.parents is None else source.parents.tolist()
            cells.append(torch.tensor([[one not in pair for pair in zip(*of_parents, strict=True)] for one in classes]))
            continue
        parents = [source.ids.tolist(), (source.ids if source.second is None else source.second).tolist()]
        cells.append(
            torch.tensor(
                [
                    [not any(masked(source.name, i, j) for j in pair) for pair in zip(*parents, strict=True)]
                    for i in own.tolist()
                ]
            )
        )
    permuted = cells[0].clone()
    cells[0][torch.arange(len(own)), positives] = False
    return [*cells, permuted] if candidates.permuted != "absent" else cells


class Exact(NamedTuple):
    """The reference's answer: losses, similarities per source (leaves of the shares), and their cells."""

    losses: Tensor
    similarities: list[Tensor]
    cells: list[Tensor]


def exact(case: Case) -> Exact:
    candidates, weighting = case.candidates, case.candidates.weighting
    assert weighting is not None
    vectors = [source.vectors for source in candidates.sources]
    if candidates.permuted != "absent":
        vectors.append(vectors[0] if candidates.permuted == "attached" else vectors[0].detach())
    similarities = [case.anchors @ v.T for v in vectors]
    positive = (case.anchors * vectors[0][case.positives]).sum(1)
    cells = negatives(candidates, case.positives)
    floor = (-case.scale).exp() if weighting.cosine else torch.tensor(math.exp(DOT_FLOOR), dtype=torch.float64)
    losses = weighted_losses(
        similarities, cells, positive, case.scale, weighting.hardness, weighting.class_prior, floor
    )
    return Exact(losses, similarities, cells)


@torch.no_grad()
def assume_clear(case: Case, cells: list[Tensor], similarities: list[Tensor]) -> None:
    """Leave out anchors whose mass is so near its floor, or to nothing, that rounding decides on which side it is."""
    weighting = case.candidates.weighting
    assert weighting is not None
    if weighting.class_prior == 0:
        return
    positive = (case.anchors * case.candidates.sources[0].vectors[case.positives]).sum(1)
    for i, own in enumerate((case.scale * positive).exp().tolist()):
        logits = case.scale * torch.cat([s[i][c[i]] for s, c in zip(similarities, cells, strict=True)])
        mass = float(len(logits) * torch.softmax(weighting.hardness * logits, 0) @ logits.exp()) if len(logits) else 1.0
        floor = float((-case.scale).exp()) if weighting.cosine else math.exp(DOT_FLOOR)
        left = mass - len(logits) * (weighting.class_prior * own + (1 - weighting.class_prior) * floor)
        assume(not len(logits) or abs(left) > 0.01 * mass)


def found(case: Case, block: Shape, statistics: bool = True) -> InfoNCE:
    labels = case.candidates.sources[0].labels[case.positives] if statistics else None
    with patch.dict(SHAPES, cpu=block):
        return info_nce(case.anchors, case.positives, case.candidates, case.scale, case.weights.float(), labels)


cases = st.builds(
    make,
    st.integers(0, 10**6),
    st.sampled_from(["reference", "exclude_positives"]),
    st.booleans(),
    st.sampled_from(["absent", "attached", "detached"]),
    st.builds(Weighting, st.sampled_from([0.0, 0.5, 1.0, 4.0]), st.sampled_from([0.0, 0.05, 0.5]), st.booleans()),
    st.sampled_from([0.02, 0.2, 5.0]),
)


@settings(max_examples=200)
@given(cases, st.sampled_from(BLOCKS))
def test_loss_gradients_and_shares_equal_those_of_the_direct_form(case: Case, block: Shape) -> None:
    expected = exact(case)
    assume_clear(case, expected.cells, expected.similarities)
    reference = torch.autograd.grad(expected.losses @ case.weights, case.leaves, retain_graph=True, allow_unused=True)
    result = found(case, block)
    gradients = torch.autograd.grad(result.loss, case.leaves)
    torch.testing.assert_close(result.losses.double(), expected.losses, rtol=1e-3, atol=1e-4)
    assert result.loss.item() == pytest.approx((expected.losses @ case.weights).item(), rel=1e-3, abs=1e-4)
    size = case.scale.item()
    for gradient, right in zip(gradients, reference, strict=True):
        right = torch.zeros_like(gradient) if right is None else right
        assert (gradient - right).norm() <= 1e-3 * right.norm() + 1e-4 * (1 if gradient is gradients[-1] else size)

    pushes = torch.autograd.grad(expected.losses.sum(), expected.similarities, allow_unused=True)
    sums = [0.0 if p is None else p[c].sum().item() for p, c in zip(pushes, expected.cells, strict=True)]
    assert result.stats is not None
    names = [source.name for source in case.candidates.sources]
    names += ["shuffled"] if case.candidates.permuted != "absent" else []
    whole = sum(sums)
    for name, push, cells in zip(names, sums, expected.cells, strict=True):
        source = result.stats.sources[name]
        assert source.count - source.masked == pytest.approx(cells.double().sum(1).mean().item(), abs=1e-5)
        if whole > 1e-3 * len(cells) * size:
            assert source.share == pytest.approx(push / whole, abs=2e-3)
    if whole > 1e-3 * len(case.anchors) * size:
        assert sum(s.share for s in result.stats.sources.values()) == pytest.approx(1, abs=1e-4)
    masses = [s.mass for s in result.stats.sources.values()]
    assert min(masses) >= 0
    assert sum(masses) + result.stats.positive_mass == pytest.approx(1, abs=1e-4)
    assert all(0 <= s.false_mass <= 1 + 1e-5 for s in result.stats.sources.values())


@settings(max_examples=60)
@given(cases, st.sampled_from(BLOCKS))
def test_the_shares_of_hard_negatives_are_those_of_their_gradients(case: Case, block: Shape) -> None:
    expected = exact(case)
    assume_clear(case, expected.cells, expected.similarities)
    pushes = torch.autograd.grad(expected.losses.sum(), expected.similarities, allow_unused=True)
    stats = found(case, block).stats
    assert stats is not None
    for hard in stats.hard:
        row = [
            0.0 if p is None else p[hard.anchor][c[hard.anchor]].sum().item()
            for p, c in zip(pushes, expected.cells, strict=True)
        ]
        index = [source.name for source in case.candidates.sources].index(hard.source)
        source = case.candidates.sources[index]
        push = pushes[index]
        if sum(row) < 1e-3 * case.scale.item() or push is None:
            continue
        cells = (source.ids == hard.identity) & expected.cells[index][hard.anchor]
        near = (expected.similarities[index][hard.anchor] - hard.similarity).abs() < 1e-4
        right = push[hard.anchor][cells & near].tolist()
        assert any(hard.share == pytest.approx(r / sum(row), abs=2e-3) for r in right)


@pytest.mark.parametrize("tau", [0.1, 0.5])
@pytest.mark.parametrize("hardness", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("class_prior", [0.0, 0.1])
def test_the_loss_is_that_of_the_published_code(tau: float, hardness: float, class_prior: float) -> None:
    """Debiased and hard estimators as in Robinson et al. 2021 (arXiv 2010.04592), Algorithm 1, on one batch."""
    torch.manual_seed(0)
    n = 24
    vectors = F.normalize(torch.randn(n, 6), dim=1)
    anchors = F.normalize(vectors + 0.8 * torch.randn(n, 6), dim=1)
    weighting = Weighting(hardness, class_prior)
    ids = pack("image", torch.arange(n), torch.zeros(1).long())
    candidates = Candidates([CandidateSet("in_batch", vectors, ids, ids * 0)], weighting=weighting)
    leaf = anchors.requires_grad_()
    loss = info_nce(leaf, torch.arange(n), candidates, torch.tensor(1 / tau)).loss
    scores = torch.exp(leaf @ vectors.T / tau)
    pos = scores.diagonal()
    neg = scores[~torch.eye(n, dtype=torch.bool)].view(n, n - 1)
    imp = (hardness * neg.log()).exp()
    reweighted = (imp * neg).sum(1) / imp.mean(1)
    ng = (-class_prior * (n - 1) * pos + reweighted) / (1 - class_prior)
    ng = torch.clamp(ng, min=(n - 1) * math.exp(-1 / tau))
    published = -torch.log(pos / (pos + ng)).mean()
    assert loss.item() == pytest.approx(published.item(), rel=1e-5)
    for gradient, right in zip(*(torch.autograd.grad(x, leaf) for x in (loss, published)), strict=True):
        torch.testing.assert_close(gradient, right, rtol=1e-3, atol=1e-5)


@settings(max_examples=40)
@given(cases, st.sampled_from(BLOCKS))
def test_weights_of_nothing_change_nothing(case: Case, block: Shape) -> None:
    """β → 0 and τ⁺ → 0 give the plain loss, and so does `None`, which takes the plain path."""
    case.candidates.weighting = None
    plain = found(case, block)
    case.candidates.weighting = Weighting(0.0, 0.0)
    weighted = found(case, block)
    torch.testing.assert_close(plain.losses, weighted.losses, rtol=1e-4, atol=1e-5)
    for a, b in zip(*(torch.autograd.grad(r.loss, case.leaves) for r in (plain, weighted)), strict=True):
        assert (a - b).norm() <= 1e-4 * b.norm() + 1e-5 * case.scale.item()


def test_at_the_floor_only_the_positive_and_the_temperature_move() -> None:
    """N e^{−1/τ} depends on a learned τ, and on nothing else."""
    vectors = torch.eye(4, requires_grad=True)
    ids = pack("image", torch.arange(4), torch.zeros(1).long())
    candidates = Candidates([CandidateSet("in_batch", vectors, ids, ids * 0)], weighting=Weighting(class_prior=0.5))
    scale = torch.tensor(3.0, requires_grad=True)
    anchors = torch.eye(4, requires_grad=True)
    result = info_nce(anchors, torch.arange(4), candidates, scale, labels=torch.zeros(4).long())
    expected = (1 + 3 * (-2 * scale).exp()).log()  # e^{1/τ} + 3 e^{−1/τ} over e^{1/τ}
    assert result.loss.item() == pytest.approx(expected.item(), rel=1e-5)
    found = torch.autograd.grad(result.loss, [scale, anchors])
    assert found[0].item() == pytest.approx(torch.autograd.grad(expected, scale)[0].item(), rel=1e-4)
    assert (found[1].diagonal() < 0).all()
    assert (found[1] - found[1].diagonal().diag()).abs().max() == 0
    assert result.stats is not None
    assert result.stats.sources["in_batch"].share == 0


@pytest.mark.parametrize("weighting", [Weighting(hardness=2.0), Weighting(class_prior=0.1), Weighting(3.0, 0.2)])
def test_extreme_logits_and_anchors_without_negatives_stay_finite(weighting: Weighting) -> None:
    torch.manual_seed(0)
    ids = pack("image", torch.zeros(1).long(), torch.arange(1, 6))
    vectors = F.normalize(torch.randn(5, 4), dim=1).requires_grad_()
    scale = torch.tensor(200.0, requires_grad=True)
    for same_item in (True, False):  # False: all are positions of one item, so no negative is left
        candidates = Candidates(
            [CandidateSet("in_batch", vectors, ids, ids * 0)], same_item=same_item, weighting=weighting
        )
        result = info_nce(vectors, torch.arange(5), candidates, scale, labels=torch.zeros(5).long())
        gradients = torch.autograd.grad(result.loss, [vectors, scale])
        assert all(torch.isfinite(x).all() for x in (result.losses, *gradients))
        assert result.stats is not None
        if not same_item:
            assert result.losses.tolist() == [0.0] * 5
            assert gradients[0].abs().max() == 0


keys = st.lists(st.integers(0, 4), max_size=12)


@given(keys, st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=12))
def test_a_cell_of_two_keys_is_masked_once_if_either_is_equal(anchors: list[int], pairs: list[tuple[int, int]]) -> None:
    a, first, second = (
        torch.tensor(x, dtype=torch.int64) for x in (anchors, [p for p, _ in pairs], [q for _, q in pairs])
    )
    mask = Mask(a, first, torch.where(second == first, -1, second))
    expected = torch.zeros(len(a), len(pairs), dtype=torch.bool)
    for i, anchor in enumerate(anchors):
        for j, pair in enumerate(pairs):
            expected[i, j] = anchor in pair
    rows, columns = mask.cells()
    matrix = torch.zeros_like(expected)
    matrix[rows, columns] = True
    assert torch.equal(matrix, expected)
    assert len(rows) == expected.sum()  # no cell twice
    assert (rows[1:] >= rows[:-1]).all()
    assert torch.equal(mask.counts(), expected.sum(1))
    assert torch.equal(mask.equal(slice(0, None), slice(0, None)), expected)
