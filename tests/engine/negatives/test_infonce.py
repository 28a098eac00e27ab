"""The block-wise loss against direct implementations of Algorithm 2, for random shapes and in both modes."""

from __future__ import annotations

import math
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from cpc_engine.negatives.block_pass import SHAPES, Shape
from cpc_engine.negatives.candidates import Candidates
from cpc_engine.negatives.identity import item_index, item_of, pack
from cpc_engine.negatives.infonce import info_nce
from cpc_engine.sources import CandidateSet
from tests.support.reference import algorithm_2, masked_loss

shapes = st.tuples(st.integers(1, 5), st.integers(2, 6), st.integers(2, 9), st.integers(0, 12))


def make(
    shape: tuple[int, int, int, int], seed: int, items: list[int] | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Latents and predictions (B, T, d), queue (Q, d), cross-modal latents (B·T, d), item numbers, noise; float64."""
    batch, length, dim, queued = shape
    torch.manual_seed(seed)
    draw = [torch.randn(*size, dtype=torch.float64) for size in [(batch, length, dim)] * 2 + [(queued, dim)]]
    cross, noise = torch.randn(batch * length, dim).double(), torch.randn(batch * (length - 1), dim).double()
    numbers = torch.arange(batch) if items is None else torch.tensor(items)
    return *draw, cross, numbers, noise


@settings(max_examples=60)
@given(shapes, st.integers(0, 10**6), st.sampled_from([0.05, 0.3, 1.0, 20.0]), st.booleans())
def test_reference_mode_is_algorithm_2(
    shape: tuple[int, int, int, int], seed: int, tau: float, with_cross: bool
) -> None:
    latents, contexts, queue, cross, items, noise = make(shape, seed)
    batch, length, dim, _ = shape
    n = batch * (length - 1)
    leaves = [latents.requires_grad_(), contexts.requires_grad_(), cross.requires_grad_()]
    order = torch.randperm(n)
    expected = algorithm_2(contexts, latents, tau, queue, 0.3, noise, order, cross if with_cross else cross[:0])
    expected_gradients = torch.autograd.grad(expected, leaves, allow_unused=True)

    futures = latents[:, 1:].reshape(-1, dim)
    ids = pack("image", items[:, None], torch.arange(1, length)).reshape(-1)
    labels = (ids >> 16) % 2
    sources = [CandidateSet("in_batch", futures, ids, labels)]
    if len(queue):
        sources.append(CandidateSet("queue", queue, torch.zeros(len(queue)).long(), torch.zeros(len(queue)).long()))
    sources.append(CandidateSet("perturbed", futures + 0.3 * noise, ids, labels))
    if with_cross:
        cross_ids = pack("audio", items[:, None], torch.arange(length)).reshape(-1)
        sources.append(CandidateSet("cross_modal", cross, cross_ids, torch.zeros(len(cross)).long()))
    anchors = contexts[:, :-1].reshape(-1, dim)
    candidates = Candidates(sources, permuted="attached", mode="reference")
    result = info_nce(anchors, torch.arange(n), candidates, torch.tensor(1 / tau), labels=labels)
    gradients = torch.autograd.grad(result.loss, leaves, allow_unused=True)

    assert result.loss.item() == pytest.approx(expected.item(), rel=2e-5, abs=2e-5)
    for gradient, exact in zip(gradients, expected_gradients, strict=True):
        assert (gradient is None) == (exact is None)
        if gradient is not None:
            torch.testing.assert_close(gradient, exact, rtol=1e-3, atol=1e-4 / tau)
    assert result.stats is not None
    assert sum(s.share for s in result.stats.sources.values()) == pytest.approx(1, abs=1e-3)
    assert result.loss.item() >= math.log(2) - 1e-5  # the permuted copy of each positive is a negative


def allowed_cells(candidates: Candidates, positives: Tensor) -> list[Tensor]:
    """Which cells are negatives, (N, n) per source and last the permuted copy, by docs/method.md#identity-and-masks."""
    own = candidates.sources[0].ids[positives]
    cells = []
    for source in candidates.sources:
        if source.name == "in_batch" and not candidates.in_batch:
            allowed = torch.zeros(len(own), len(source.ids), dtype=torch.bool)
        elif candidates.mode == "reference":
            allowed = torch.ones(len(own), len(source.ids), dtype=torch.bool)
        elif not candidates.same_class:
            allowed = candidates.sources[0].labels[positives][:, None] != source.labels
        elif source.name == "cross_modal":
            allowed = item_index(own)[:, None] != item_index(source.ids)
        else:
            allowed = own[:, None] != source.ids
            if not candidates.same_item:
                allowed &= item_of(own)[:, None] != item_of(source.ids)
        cells.append(allowed)
    permuted = cells[0].clone()
    cells[0][torch.arange(len(own)), positives] = False
    return [*cells, permuted] if candidates.permuted != "absent" else cells


@settings(max_examples=80)
@given(
    shapes,
    st.integers(0, 10**6),
    st.sampled_from(["reference", "exclude_positives"]),
    st.sampled_from(["all", "other items", "other classes"]),
    st.sampled_from(["absent", "attached", "detached", "in_batch off"]),
    st.sampled_from([0.01, 0.2, 5.0]),
    st.sampled_from([Shape(16, 64, 1, False), Shape(16, 4096, 1, True), SHAPES["cpu"]]),
)
def test_masks_and_the_permuted_copy_equal_the_direct_form(
    shape: tuple[int, int, int, int],
    seed: int,
    mode: str,
    negatives: str,
    permuted: str,
    tau: float,
    block: Shape,
) -> None:
    batch, length, dim, queued = shape
    in_batch = permuted != "in_batch off"
    permuted = permuted if in_batch else "absent"
    repeated = [seed % max(batch, 1)] * batch if seed % 3 == 0 else None  # the same item several times in a batch
    latents, _, queue, cross, items, noise = make(shape, seed, repeated)
    ids = pack("image", items[:, None], torch.arange(1, length)).reshape(-1)
    labels = torch.randint(0, 3, (len(ids),))
    futures = F.normalize(latents[:, 1:].reshape(-1, dim), dim=1).requires_grad_()
    perturbed = F.normalize(futures.detach() + noise, dim=1).requires_grad_()
    crossed = F.normalize(cross, dim=1).requires_grad_()
    queue_ids = ids[torch.randint(0, len(ids), (queued,))]
    cross_ids = pack("audio", items[:, None], torch.arange(length)).reshape(-1)
    sources = [
        CandidateSet("in_batch", futures, ids, labels),
        CandidateSet("perturbed", perturbed, ids, labels),
        CandidateSet("cross_modal", crossed, cross_ids, torch.randint(0, 3, (len(cross_ids),))),
    ]
    if queued:
        past = F.normalize(queue, dim=1)
        sources.insert(1, CandidateSet("queue", past, queue_ids, torch.randint(0, 3, (queued,))))
    candidates = Candidates(
        sources,
        permuted,  # type: ignore[arg-type]
        mode,  # type: ignore[arg-type]
        same_item=negatives == "all",
        in_batch=in_batch,
        same_class=negatives != "other classes",
    )
    positives = torch.randint(0, len(ids), (len(ids) + 2,))
    anchors = F.normalize(torch.randn(len(positives), dim).double(), dim=1).requires_grad_()
    weights = torch.rand(len(positives)).double()
    leaves = [anchors, futures, perturbed, crossed]

    vectors = [source.vectors for source in sources]
    if permuted != "absent":
        vectors.append(futures if permuted == "attached" else futures.detach())
    expected, rows = masked_loss(
        anchors / tau, vectors, allowed_cells(candidates, positives), futures[positives], weights
    )
    expected_gradients = torch.autograd.grad(expected, leaves)
    with patch.dict(SHAPES, cpu=block):
        result = info_nce(anchors, positives, candidates, torch.tensor(1 / tau), weights.float(), labels[positives])
    gradients = torch.autograd.grad(result.loss, leaves)
    assert result.loss.item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-4)
    for gradient, exact in zip(gradients, expected_gradients, strict=True):
        assert (gradient - exact).norm() <= 1e-4 * exact.norm() + 1e-4 / tau * 1e-2
    assert result.stats is not None
    names: list[str] = [source.name for source in sources] + (["shuffled"] if permuted != "absent" else [])
    for name, row in zip(names, rows, strict=True):
        source = result.stats.sources[name]
        assert source.mass == pytest.approx(row["mass"], abs=1e-4)
        assert source.count - source.masked == pytest.approx(row["cells"], abs=1e-6)


def one_source(n: int, dim: int, seed: int = 0) -> tuple[Tensor, Candidates, Tensor]:
    torch.manual_seed(seed)
    vectors = F.normalize(torch.randn(n, dim), dim=1)
    ids = pack("audio", torch.arange(n), torch.zeros(1).long())
    labels = torch.arange(n) % 2
    return vectors, Candidates([CandidateSet("in_batch", vectors, ids, labels)]), labels


def test_statistics_equal_those_of_the_full_matrix() -> None:
    vectors, candidates, labels = one_source(40, 8)
    anchors = F.normalize(torch.randn(40, 8), dim=1)
    stats = info_nce(anchors, torch.arange(40), candidates, torch.tensor(7.0), labels=labels).stats
    assert stats is not None
    scores = anchors @ vectors.T
    off = ~torch.eye(40, dtype=torch.bool)
    in_batch = stats.sources["in_batch"]
    assert in_batch.similarity == pytest.approx(scores[off].mean().item(), abs=1e-5)
    assert in_batch.spread == pytest.approx(scores[off].std(correction=0).item(), abs=1e-5)
    assert in_batch.hardest == pytest.approx(scores.masked_fill(~off, -9).amax(1).mean().item(), abs=1e-5)
    same = (labels[:, None] == labels) & off
    assert in_batch.false_negatives == pytest.approx((same.sum() / off.sum()).item(), abs=1e-6)
    p = torch.softmax(scores * 7, 1)
    assert in_batch.false_mass == pytest.approx((p[same].sum() / p[off].sum()).item(), abs=1e-5)
    assert stats.accuracy == pytest.approx((scores.argmax(1) == torch.arange(40)).float().mean().item())


def test_a_tie_of_the_positive_with_a_negative_counts_as_correct() -> None:
    """As with permuted copies that are not masked, where every positive stands among its own negatives."""
    vectors, candidates, labels = one_source(40, 8)
    anchors = F.normalize(vectors + 0.5 * torch.randn(40, 8), dim=1)
    alone = info_nce(anchors, torch.arange(40), candidates, torch.tensor(7.0), labels=labels).stats
    candidates.sources.append(CandidateSet("queue", vectors.clone(), torch.arange(40) + 10**6, labels))
    tied = info_nce(anchors, torch.arange(40), candidates, torch.tensor(7.0), labels=labels).stats
    assert alone is not None
    assert tied is not None
    assert 0 < alone.accuracy < 1
    assert tied.accuracy == alone.accuracy


def test_the_hardest_negatives_are_those_of_the_full_matrix() -> None:
    vectors, candidates, labels = one_source(60, 8)
    queue = F.normalize(torch.randn(50, 8), dim=1)
    queue_ids = torch.arange(50) + 10**6
    candidates.sources.append(CandidateSet("queue", queue, queue_ids, torch.arange(50) % 2))
    anchors = F.normalize(torch.randn(60, 8), dim=1)
    stats = info_nce(anchors, torch.arange(60), candidates, torch.tensor(7.0), labels=labels).stats
    assert stats is not None
    scores = anchors @ torch.cat([vectors, queue]).T
    ids = torch.cat([candidates.sources[0].ids, queue_ids])
    p = torch.softmax(7 * scores, 1)
    watched = sorted({negative.anchor for negative in stats.hard})
    assert len(watched) == 4
    for anchor in watched:
        row = scores[anchor].clone()
        row[anchor] = -2
        best = row.topk(8)
        hard = [negative for negative in stats.hard if negative.anchor == anchor]
        assert [negative.identity for negative in hard] == ids[best.indices].tolist()
        assert [negative.similarity for negative in hard] == pytest.approx(best.values.tolist(), abs=1e-5)
        shares = p[anchor, best.indices] / (1 - p[anchor, anchor])
        assert [negative.share for negative in hard] == pytest.approx(shares.tolist(), rel=1e-4)
        assert {n.source for n in hard} == {"in_batch" if i < 60 else "queue" for i in best.indices.tolist()}


@pytest.mark.parametrize("scale", [5.0, 16.0, 20.0, 40.0])
def test_shares_are_shares_where_positives_are_far_above_all_negatives(scale: float) -> None:
    """p₊ rounds to 1 in float32, and what is left to 1 would be noise."""
    keys, items = torch.eye(8), torch.arange(8)
    queue = CandidateSet("queue", -torch.eye(8)[:4], 100 + items[:4], items[:4])
    candidates = Candidates([CandidateSet("in_batch", keys, items, items), queue])
    stats = info_nce(keys, items, candidates, torch.tensor(scale), labels=items).stats
    assert stats is not None
    assert sum(source.share for source in stats.sources.values()) == pytest.approx(1, rel=1e-5)
    assert all(0 <= negative.share <= 1 + 1e-5 for negative in stats.hard)
    first = [negative.share for negative in stats.hard if negative.anchor == 0]
    assert sum(first) == pytest.approx(0.8, rel=1e-2), "the 8 shown of 10 that weigh alike"


def test_gradient_shares_are_shares_of_the_gradient_on_similarities() -> None:
    """share(S) = Σ_{j∈S} |∂L/∂s_j| / Σ_negatives |∂L/∂s_j|, by autograd (docs/method.md#source-statistics)."""
    vectors, candidates, labels = one_source(12, 6)
    extra = F.normalize(torch.randn(9, 6), dim=1)
    candidates.sources.append(CandidateSet("queue", extra, torch.arange(9) + 10**6, labels[:9]))
    anchors = F.normalize(torch.randn(12, 6), dim=1)
    stats = info_nce(anchors, torch.arange(12), candidates, torch.tensor(5.0), labels=labels).stats
    assert stats is not None
    scores = (anchors @ torch.cat([vectors, extra]).T).requires_grad_()
    F.cross_entropy(scores * 5, torch.arange(12)).backward()
    assert scores.grad is not None
    gradient = scores.grad.clone()
    gradient[torch.arange(12), torch.arange(12)] = 0
    assert stats.sources["queue"].share == pytest.approx((gradient[:, 12:].sum() / gradient.sum()).item(), abs=1e-5)


@pytest.mark.parametrize("tau", [0.005, 0.02, 0.2, 100.0])
def test_extreme_temperatures_stay_finite_and_exact(tau: float) -> None:
    vectors, candidates, _ = one_source(30, 16)
    anchors = F.normalize(vectors + 0.1 * torch.randn(30, 16), dim=1).requires_grad_()
    scale = torch.tensor(1 / tau, requires_grad=True)
    loss = info_nce(anchors, torch.arange(30), candidates, scale).loss
    loss.backward()
    exact_anchors = anchors.detach().double().requires_grad_()
    exact_scale = scale.detach().double().requires_grad_()
    exact = F.cross_entropy(exact_anchors @ vectors.double().T * exact_scale, torch.arange(30))
    exact.backward()
    assert loss.item() == pytest.approx(exact.item(), rel=1e-5, abs=1e-6)
    assert anchors.grad is not None
    assert exact_anchors.grad is not None
    assert (anchors.grad - exact_anchors.grad).norm() <= 1e-5 * exact_anchors.grad.norm() + 1e-6
    assert scale.grad is not None
    assert exact_scale.grad is not None
    assert scale.grad.item() == pytest.approx(exact_scale.grad.item(), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("n", [1, 2, 32])
@pytest.mark.parametrize("tau", [0.01, 0.05, 0.2])
def test_gradients_of_nearly_solved_anchors_do_not_cancel(n: int, tau: float) -> None:
    """The difference p₊ − 1 would be rounding noise for p₊ → 1, compared with a float64 reference."""
    torch.manual_seed(1)
    vectors, candidates, _ = one_source(n, 16)
    queue = F.normalize(torch.randn(40, 16), dim=1)
    candidates.sources.append(CandidateSet("queue", queue, torch.arange(40) + 10**9, torch.zeros(40).long()))
    futures = vectors.clone().requires_grad_()
    candidates.sources[0].vectors = futures
    anchors = F.normalize(vectors + 0.05 * torch.randn(n, 16), dim=1).requires_grad_()
    loss = info_nce(anchors, torch.arange(n), candidates, torch.tensor(1 / tau)).loss
    gradients = torch.autograd.grad(loss, [anchors, futures])
    a, f = (x.detach().double().requires_grad_() for x in (anchors, futures))
    logits = a @ torch.cat([f, queue.double()]).T / tau
    # log(1 + Σ exp(l_j − l_p)) over the negatives only, so that the reference itself does not cancel
    differences = (logits - logits.gather(1, torch.arange(n)[:, None])).masked_fill(
        F.one_hot(torch.arange(n), n + 40).bool(), -torch.inf
    )
    reference = torch.autograd.grad(torch.log1p(differences.exp().sum(1)).mean(), [a, f])
    for gradient, exact in zip(gradients, reference, strict=True):
        assert (gradient - exact).norm() <= 1e-5 * exact.norm()


def test_large_dot_products_do_not_overflow() -> None:
    """Without a shift of the logits, the sum of exponentials would be infinite here."""
    vectors, candidates, _ = one_source(10, 4)
    candidates.sources[0].vectors = vectors * 300
    anchors = (vectors * 5).requires_grad_()
    loss = info_nce(anchors, torch.arange(10), candidates, torch.tensor(10.0)).loss
    loss.backward()
    expected = F.cross_entropy((vectors * 5).double() @ (vectors * 300).double().T * 10, torch.arange(10))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-4)
    assert anchors.grad is not None
    assert torch.isfinite(anchors.grad).all()


def test_learned_temperature_with_masked_cells_has_a_finite_gradient() -> None:
    """If logits were masked with −inf before the division by τ, the gradient of τ would be NaN."""
    torch.manual_seed(0)
    vectors = F.normalize(torch.randn(6, 4), dim=1)
    ids = pack("audio", torch.tensor([0, 0, 0, 1, 1, 2]), torch.tensor([0, 0, 1, 0, 1, 0]))
    candidates = Candidates([CandidateSet("in_batch", vectors, ids, ids * 0)], same_item=False)
    log_scale = torch.tensor(1.0, requires_grad=True)
    info_nce(vectors, torch.arange(6), candidates, log_scale.exp()).loss.backward()
    assert log_scale.grad is not None
    assert torch.isfinite(log_scale.grad)
    assert log_scale.grad.abs() > 0


def test_an_anchor_without_unmasked_negatives_has_loss_zero() -> None:
    vectors, candidates, labels = one_source(1, 4)
    result = info_nce(vectors.requires_grad_(), torch.arange(1), candidates, torch.tensor(3.0), labels=labels)
    result.loss.backward()
    assert result.loss.item() == pytest.approx(0, abs=1e-6)
    assert result.stats is not None
    assert result.stats.sources["in_batch"].count == 1
    assert result.stats.sources["in_batch"].masked == 1


def test_half_precision_inputs_are_scored_in_float32() -> None:
    vectors, candidates, _ = one_source(64, 32)
    anchors = F.normalize(torch.randn(64, 32), dim=1)
    candidates.sources[0].vectors = vectors.bfloat16()
    result = info_nce(anchors.bfloat16(), torch.arange(64), candidates, torch.tensor(20.0))
    exact = F.cross_entropy(anchors.bfloat16().double() @ vectors.bfloat16().double().T * 20, torch.arange(64))
    assert result.loss.dtype == torch.float32
    assert result.loss.item() == pytest.approx(exact.item(), rel=1e-5)


def test_the_softmax_is_over_candidates_not_over_anchors() -> None:
    """With more candidates than anchors, the two give different losses."""
    vectors, candidates, _ = one_source(7, 5)
    anchors = torch.randn(3, 5)
    positives = torch.tensor([6, 0, 3])
    result = info_nce(anchors, positives, candidates, torch.tensor(1.0))
    assert result.loss.item() == pytest.approx(F.cross_entropy(anchors @ vectors.T, positives).item(), rel=1e-5)


def test_mismatched_sizes_are_rejected() -> None:
    vectors, candidates, _ = one_source(5, 4)
    with pytest.raises(ValueError, match="do not fit"):
        info_nce(vectors[:0], torch.arange(0), candidates, torch.tensor(1.0))
    with pytest.raises(ValueError, match="do not fit"):
        info_nce(torch.randn(5, 3), torch.arange(5), candidates, torch.tensor(1.0))
