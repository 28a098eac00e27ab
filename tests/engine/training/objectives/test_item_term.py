"""Terms that compare whole items: against public implementations and slow ones."""

from __future__ import annotations

import pytest
import torch
from lightly.loss import NTXentLoss, VICRegLoss
from torch.nn import functional as F

from cpc_engine.config import LossConfig, RunConfig
from cpc_engine.model import Encoding, MultiModalCPC
from cpc_engine.negatives.infonce import InfoNCE
from cpc_engine.terms import Modality
from cpc_engine.training.objectives.item_term import ItemTerm
from cpc_engine.training.objectives.origin import Origin
from cpc_engine.training.objectives.pair_term import pair_loss
from cpc_engine.training.objectives.regularizers import vicreg
from tests.engine.training.test_trainer import trainer
from tests.support.tiny_data import TINY


def encodings(first: torch.Tensor, second: torch.Tensor) -> dict[Modality, Encoding]:
    none = torch.zeros(0)
    return {"image": Encoding(none, none, none, {}, {}, {}, none, item=first, view_item=second)}


def term(**changes: object) -> ItemTerm:
    values = {key.replace("__", "."): value for key, value in changes.items()}
    config = RunConfig().replace({**TINY, "loss.item_weight": 1.0, "context.item_dim": 6, **values})
    model = MultiModalCPC(config, ("image",))
    return ItemTerm(config, model, None, torch.Generator().manual_seed(0))


def compared(
    item_term: ItemTerm, first: torch.Tensor, second: torch.Tensor, items: list[int], step: int = 0
) -> InfoNCE:
    """The loss of two views of items; their keys enter the queue."""
    both, source = encodings(first, second), origin(items)
    keys = item_term.keys(both, {"image": (first, second)}, source)
    found = item_term.losses(both, keys, {}, source, step, record=True)["image"]
    item_term.enqueue(keys, step)
    return found


def origin(items: list[int]) -> Origin:
    numbers = torch.tensor(items)
    return Origin({"image": numbers}, numbers % 2, numbers, torch.zeros_like(numbers))


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_different_items_give_the_loss_of_simclr(temperature: float) -> None:
    first, second = (torch.randn(7, 6, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    results = [first.clone().requires_grad_(), second.clone().requires_grad_()]
    item_term = term(loss__item_temperature=temperature)
    loss = compared(item_term, *results, list(range(7)))
    expected_inputs = [first.clone().requires_grad_(), second.clone().requires_grad_()]
    expected = NTXentLoss(temperature=temperature)(*expected_inputs)
    torch.testing.assert_close(loss.loss, expected)
    for ours, theirs in zip(
        torch.autograd.grad(loss.loss, results), torch.autograd.grad(expected, expected_inputs), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("mode", ["exclude_positives", "reference"])
def test_copies_of_an_item_are_never_its_negatives(mode: str) -> None:
    items = [0, 1, 2, 1, 0]
    first, second = (torch.randn(5, 6, generator=torch.Generator().manual_seed(seed)) for seed in (2, 3))
    found = compared(term(sampler__mode=mode), first, second, items)
    anchors, keys = (F.normalize(torch.cat(parts), dim=1) for parts in ((first, second), (second, first)))
    numbers = items * 2
    expected = []
    for row, anchor in enumerate(anchors):
        logits = [anchor @ keys[row] / 0.2]
        logits += [anchor @ key / 0.2 for column, key in enumerate(keys) if numbers[column] != numbers[row]]
        expected.append(F.cross_entropy(torch.stack(logits)[None], torch.tensor([0])))
    torch.testing.assert_close(found.losses, torch.stack(expected))


def test_cross_modal_negatives_are_the_other_modalitys_embeddings_of_other_pairs() -> None:
    config = RunConfig().replace({**TINY, "loss.item_weight": 1.0, "context.item_dim": 6, "sampler.cross_modal": True})
    item_term = ItemTerm(config, MultiModalCPC(config, ("audio", "image")), None, torch.Generator().manual_seed(0))
    numbers, none = torch.arange(4), torch.zeros(0)
    views: dict[Modality, tuple[torch.Tensor, torch.Tensor]] = {
        m: (torch.randn(4, 6), torch.randn(4, 6)) for m in item_term.samplers
    }
    both = {m: Encoding(none, none, none, {}, {}, {}, none, item=a, view_item=b) for m, (a, b) in views.items()}
    source = Origin(dict.fromkeys(views, numbers), numbers, numbers, torch.zeros_like(numbers))
    losses = item_term.losses(both, item_term.keys(both, views, source), {}, source, 0, record=False)
    keys = {m: F.normalize(torch.cat([b, a]), dim=1) for m, (a, b) in views.items()}
    for modality, (first, second) in views.items():
        expected = []
        for row, anchor in enumerate(F.normalize(torch.cat([first, second]), dim=1)):
            logits = [anchor @ keys[modality][row] / 0.2]
            logits += [anchor @ key / 0.2 for m in keys for n, key in enumerate(keys[m]) if n % 4 != row % 4]
            expected.append(F.cross_entropy(torch.stack(logits)[None], torch.tensor([0])))
        torch.testing.assert_close(losses[modality].losses, torch.stack(expected))


def test_the_queue_holds_one_view_of_each_item() -> None:
    item_term = term(sampler__queue_size=12)
    first, second = torch.randn(5, 6), torch.randn(5, 6)
    for step in range(3):
        compared(item_term, first, second, list(range(5)), step)
    assert item_term.queued() == {"image": 12}
    stats = compared(item_term, first, second, list(range(5, 10)), 3).stats
    assert stats is not None
    assert sum(source.share for source in stats.sources.values()) == pytest.approx(1, abs=1e-5)
    assert set(stats.sources) == {"in_batch", "queue"}


def test_vicreg_equals_a_public_implementation() -> None:
    first, second = (torch.randn(9, 5, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    weights = LossConfig(invariance_weight=25.0, variance_weight=25.0, covariance_weight=1.0)
    expected = VICRegLoss(lambda_param=25.0, mu_param=25.0, nu_param=1.0)(first, second)
    torch.testing.assert_close(vicreg(first, second, weights), expected)


def test_the_global_term_tells_items_apart_by_their_summary() -> None:
    run = trainer(
        audio=False, image=True, loss__global_weight=2.0, loss__prediction_weight=0.5, sampler__same_item=False
    )
    record = run.step()
    assert record is not None
    image = record.modalities["image"]
    horizons = [value for name, value in image.horizons.items() if name != "global"]
    assert record.loss == pytest.approx(0.5 * sum(horizons) / len(horizons) + 2.0 * image.horizons["global"], rel=1e-4)
    assert image.loss == pytest.approx(sum(horizons) / len(horizons), rel=1e-4)


def test_item_level_training_brings_views_together() -> None:
    run = trainer(
        audio=False,
        image=True,
        image__encoder="residual",
        image__directions=16,
        loss__item_weight=1.0,
        loss__prediction_weight=0.0,
        image__crop=0.0,
        image__jitter=0.0,
        optimizer__warmup_steps=1,
        optimizer__steps=60,
        optimizer__learning_rate=3e-3,
    )
    records = [run.step() for _ in range(30)]
    assert records[0] is not None
    assert records[-1] is not None
    assert records[0].items is not None
    assert records[-1].items is not None
    assert records[-1].items["image"].loss < 0.9 * records[0].items["image"].loss
    assert records[-1].loss == pytest.approx(records[-1].items["image"].loss, rel=1e-5)


def test_pairs_with_one_content_are_not_pushed_apart() -> None:
    first, second = torch.randn(4, 3, 5), torch.randn(4, 2, 5)
    pairs = torch.tensor([0, 1, 0, 3])
    pooled = [F.normalize(x.mean(1), dim=1) for x in (first, second)]
    logits = pooled[0] @ pooled[1].T / 0.3
    expected = []
    for matrix in (logits, logits.T):
        for row in range(4):
            kept = [column for column in range(4) if column == row or pairs[column] != pairs[row]]
            expected.append(F.cross_entropy(matrix[row, kept][None], torch.tensor([kept.index(row)])))
    torch.testing.assert_close(pair_loss(first, second, pairs, 0.3), torch.stack(expected).mean())


def test_changed_settings_act_as_if_they_had_been_there_from_the_beginning() -> None:
    first, second = (torch.randn(7, 6, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    wanted = {"loss.item_temperature": 0.7, "sampler.perturbed": True, "sampler.sigma": 0.5}
    changed, fresh = term(), term(**{path.replace(".", "__"): value for path, value in wanted.items()})
    changed.change(changed.config.replace(wanted))
    found, expected = (compared(one, first, second, list(range(7))) for one in (changed, fresh))
    torch.testing.assert_close(found.loss, expected.loss, rtol=0, atol=0)
    assert not torch.equal(found.loss, compared(term(), first, second, list(range(7))).loss)
