"""Rebuilt batches give the trainer's own loss; line-ups agree with autograd and with counts by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from cpc_engine.anatomy.choice import survey
from cpc_engine.anatomy.frozen import Batch, Frozen
from cpc_engine.anatomy.gradients import effective_number, on_logits
from cpc_engine.anatomy.lineup import Lineup, line_up, nearest_real
from cpc_engine.anatomy.opened import Opened, joined
from cpc_engine.anatomy.what_if import what_if
from cpc_engine.config import RunConfig
from cpc_engine.data import load_dataset
from cpc_engine.execution.execute import execute
from cpc_engine.negatives.identity import item_index, item_of
from cpc_engine.negatives.weighting import Weighting
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from cpc_engine.training.fabric import Fabric
from cpc_engine.training.trainer import Trainer
from tests.support.reference import weighted_losses
from tests.support.tiny import tiny

EVERYTHING = {
    "data__dataset": "tones_bars",
    "sampler__queue_size": 300,
    "sampler__perturbed": True,
    "sampler__shuffled": "batch",
    "sampler__cross_modal": True,
    "sampler__mixed": 20,
}
RUNS: dict[str, dict[str, object]] = {
    "in_batch": {},
    "everything": EVERYTHING,
    "reference": {**EVERYTHING, "sampler__mode": "reference", "loss__similarity": "dot"},
    "momentum": {**EVERYTHING, "sampler__key_momentum": 0.9, "loss__learnable_temperature": True},
    "input": {**EVERYTHING, "sampler__shuffled": "input", "sampler__queue_per_item": 2, "sampler__same_item": False},
    "weighted": {
        **EVERYTHING,
        "sampler__hardness": 0.7,
        "sampler__class_prior": 0.1,
        "sampler__detach_synthetic": True,
    },
    "orders": {**EVERYTHING, "context__orders": "four_ways", "sampler__queue_per_item": 2},
    "batch_norm": {"context__batch_norm": True, "sampler__key_momentum": 0.9, "sampler__queue_size": 300},
    "items": {"sampler__queue_size": 40, "sampler__perturbed": True, "loss__item_weight": 1.0},
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFolder]:
    """A finished run of each kind, made when first asked for."""
    root = tmp_path_factory.mktemp("anatomy")

    class Made(dict[str, RunFolder]):
        def __missing__(self, name: str) -> RunFolder:
            folder = RunFolder.create(root, tiny(run__precision="32-true", **RUNS[name]))
            assert execute(folder, Control()).status == "finished"
            self[name] = folder
            return folder

    return Made()


def frozen_of(folder: RunFolder, row: int | None = None) -> list[Frozen]:
    return list(Batch(Opened(folder), row).losses.values())


@pytest.mark.parametrize("name", list(RUNS))
def test_the_present_settings_give_the_trainers_own_loss(folders: dict[str, RunFolder], name: str) -> None:
    folder = folders[name]
    config = folder.config()
    trainer = Trainer(config, load_dataset(config), Fabric(accelerator="cpu", devices=1))
    trainer.load(folder.tensors("checkpoint"))
    record = trainer.step()
    assert record is not None
    for frozen in frozen_of(folder):
        expected = (record.modalities if frozen.term == "prediction" else record.items or {})[frozen.modality]
        outcome = what_if(frozen, 0)
        assert outcome.loss == pytest.approx(expected.loss, abs=1e-5)
        assert outcome.accuracy == pytest.approx(expected.accuracy, abs=1e-6)
        for source, stats in expected.sources.items():
            assert outcome.sources[source].share == pytest.approx(stats.share, abs=1e-5)
        assert outcome.cosine(what_if(frozen, 0)) == pytest.approx(1, abs=1e-6), "the same draws every time"


def brute_force(frozen: Frozen, lineup: Lineup) -> tuple[torch.Tensor, torch.Tensor]:
    """(loss, its gradient on the similarities) from the line-up's similarities, by autograd and a plain formula."""
    config = frozen.opened.config
    similarities = torch.cat([s.similarities[s.counts] for s in lineup.strips.values()]).double().requires_grad_()
    scale = frozen.inputs.scale.detach().double()
    positive = torch.tensor(lineup.similarity, dtype=torch.float64)
    hardness, prior = config.sampler.hardness, config.sampler.class_prior
    if hardness or prior:
        allowed = [torch.ones(1, len(similarities), dtype=torch.bool)]
        cosine = config.loss.similarity == "cosine" or frozen.term == "item"
        floor = (-scale).exp() if cosine else torch.tensor(1e-8).double()
        losses = weighted_losses([similarities[None]], allowed, positive[None], scale, hardness, prior, floor)
        loss = losses[0]
    else:
        loss = torch.logsumexp(torch.cat([positive[None], similarities]) * scale, 0) - positive * scale
    return loss.detach(), torch.autograd.grad(loss, similarities)[0]


@pytest.mark.parametrize("name", list(RUNS))
@settings(max_examples=6)
@given(data=st.data())
def test_shares_are_autograds_gradient_on_the_similarities(
    folders: dict[str, RunFolder], name: str, data: st.DataObject
) -> None:
    row = data.draw(st.one_of(st.none(), st.integers(0, 63)))
    for frozen in frozen_of(folders[name], row):
        horizon = data.draw(st.sampled_from([part for part, _ in frozen.inputs.parts]))
        anchor = data.draw(st.sampled_from([i for i, part in enumerate(frozen.parts) if part == horizon]))
        lineup = line_up(frozen, anchor)
        loss, gradient = brute_force(frozen, lineup)
        assert lineup.loss == pytest.approx(float(loss), abs=2e-4)
        shares = torch.cat([strip.share[strip.counts] for strip in lineup.strips.values()]).double()
        assert float(shares.sum()) == pytest.approx(1, abs=1e-4)
        torch.testing.assert_close(shares, gradient / gradient.sum(), rtol=2e-3, atol=2e-5)
        masked = torch.cat([strip.share[~strip.counts] for strip in lineup.strips.values()])
        assert float(masked.abs().sum()) == 0


@pytest.mark.parametrize("name", list(RUNS))
def test_figures_equal_a_count_by_hand(folders: dict[str, RunFolder], name: str) -> None:
    for frozen in frozen_of(folders[name]):
        anchor = len(frozen.parts) // 2
        lineup = line_up(frozen, anchor)
        opened, inputs = frozen.opened, frozen.inputs
        labels = opened.items.labels
        own = int(inputs.futures.ids[inputs.positives[anchor]])
        assert lineup.item == int(item_index(torch.tensor(own)))
        assert lineup.label == int(labels[lineup.item])
        for source, strip in lineup.strips.items():
            for j in range(0, len(strip.items), 7):
                similarity = float(inputs.anchors[anchor].detach() @ strip.vectors[j])
                assert float(strip.similarities[j]) == pytest.approx(similarity, abs=1e-4)
                assert (
                    bool(strip.closer[j]) == (similarity > lineup.similarity)
                    or abs(similarity - lineup.similarity) < 1e-5
                )
                same = labels[strip.items[j]] == lineup.label
                if strip.second is not None:
                    same = same and labels[strip.second[j]] == lineup.label
                assert bool(strip.same_class[j]) == bool(same)
            counted = [j for j in range(len(strip.items)) if bool(strip.counts[j])]
            alike = [j for j in counted if bool(strip.same_class[j])]
            assert strip.false_negatives == pytest.approx(len(alike) / max(len(counted), 1))
            total = sum(float(strip.share[j]) for j in counted)
            same_total = sum(float(strip.share[j]) for j in alike)
            assert strip.total == pytest.approx(total, abs=1e-5)
            assert strip.false_share == pytest.approx(same_total / total if total else 0, abs=1e-4)
            best = strip.hardest(5)
            assert all(bool(strip.counts[j]) for j in best)
            assert [float(strip.share[j]) for j in best] == sorted(
                (float(strip.share[j]) for j in counted), reverse=True
            )[:5]
            together: dict[int, list[float]] = {}
            for j in counted:
                together.setdefault(int(strip.items[j]), []).append(float(strip.share[j]))
            for index, number, share in strip.by_item(3):
                own_shares = together.pop(int(strip.items[index]))
                assert number == len(own_shares)
                assert share == pytest.approx(sum(own_shares), abs=1e-5)
                assert float(strip.share[index]) == max(own_shares)
                assert share >= max(map(sum, together.values()), default=-1.0) - 1e-5 or number == 0
            if source == "queue":
                stored = inputs.sampler.queue.state()
                by_hand = {
                    (int(i), float(v[0])): opened.step - int(s)
                    for i, v, s in zip(stored["ids"], stored["vectors"], stored["steps"], strict=True)
                }
                entries = inputs.sampler.queue.entries(opened.step)
                assert strip.ages.tolist() == [
                    by_hand[int(i), float(v[0])] for i, v in zip(entries.ids, entries.vectors, strict=True)
                ]
                assert strip.detached
                assert min(strip.ages.tolist()) >= 1
            else:
                assert strip.ages.tolist() == [0] * len(strip.items)
        if frozen.opened.config.sampler.mode == "exclude_positives":
            queue = lineup.strips.get("queue")
            if queue is not None and frozen.opened.config.sampler.same_item and frozen.term == "prediction":
                copies = inputs.sampler.queue.entries(opened.step).ids == own
                assert torch.equal(queue.counts, ~copies)


def test_what_is_detached_is_said(folders: dict[str, RunFolder]) -> None:
    def detached(name: str) -> dict[str, bool]:
        frozen = frozen_of(folders[name])[0]
        return {source: strip.detached for source, strip in line_up(frozen, 0).strips.items()}

    free = {
        "in_batch": False,
        "queue": True,
        "perturbed": False,
        "cross_modal": False,
        "mixed": True,
        "shuffled": False,
    }
    assert detached("everything") == free
    assert detached("weighted") == {**free, "perturbed": True, "shuffled": True}
    assert detached("momentum") == dict.fromkeys(free, True)


def test_an_item_can_be_put_into_the_batch(folders: dict[str, RunFolder]) -> None:
    opened = Opened(folders["in_batch"])
    inside = opened.next_rows().tolist()
    outside = next(row for row in range(64) if row not in inside)
    held_out = opened.row_of("test", int(opened.held_out[3]))
    assert opened.items.names[held_out] == load_dataset(opened.config).test.names[int(opened.held_out[3])]
    assert not Batch(opened, inside[0]).replaced
    for row in (outside, held_out):
        batch = Batch(opened, row)
        (frozen,) = batch.losses.values()
        assert batch.replaced
        anchors = frozen.anchors_of(row)
        assert {frozen.parts[i] for i in anchors} == {"1", "2", "4"}
        beside = frozen.beside(anchors[0])
        assert all(
            int(frozen.positions[i]) - int(part) == int(frozen.positions[anchors[0]]) - 1 for part, i in beside.items()
        )
        assert len(beside) == 3


def test_anchors_of_several_reading_orders_are_told_apart(folders: dict[str, RunFolder]) -> None:
    for frozen in frozen_of(folders["orders"]):
        encoding = frozen.batch.forward.encodings[frozen.modality]
        item = int(frozen.items[0])
        found = set()
        for anchor in frozen.anchors_of(item):
            read = frozen.read(anchor)
            assert read is not None
            order = encoding.orders[read.order].tolist()
            at = order.index(read.last)
            assert read.count == at + 1
            assert order[at + int(frozen.parts[anchor])] == int(frozen.positions[anchor])
            assert frozen.beside(anchor)[frozen.parts[anchor]] == anchor
            assert {frozen.read(i) for i in frozen.beside(anchor).values()} == {read}
            found.add((read, frozen.parts[anchor]))
        assert len(found) == len(frozen.anchors_of(item)), "no two anchors predict the same from the same"
        assert {read.order for read, _ in found} == set(range(len(encoding.orders)))


def test_a_run_without_a_checkpoint_gets_its_queue_filled_again(folders: dict[str, RunFolder], tmp_path: Path) -> None:
    import shutil

    copy = RunFolder(Path(shutil.copytree(folders["everything"].path, tmp_path / "copy")))
    (copy.path / "checkpoint.safetensors").unlink()
    opened = Opened(copy)
    assert opened.refilled == opened.step == 3
    frozen = Batch(opened).losses["prediction", "audio"]
    queue = line_up(frozen, 0).strips["queue"]
    assert len(queue.items) == 300
    assert set(queue.ages.tolist()) <= {1, 2, 3}
    stored = Opened(folders["everything"])
    assert stored.refilled == 0


def changed(frozen: Frozen, **changes: object) -> RunConfig:
    return frozen.opened.config.replace({name.replace("__", "."): value for name, value in changes.items()})


def test_other_settings_act_on_the_frozen_batch(folders: dict[str, RunFolder]) -> None:
    frozen = frozen_of(folders["everything"])[0]
    now = what_if(frozen, 5)
    warm = what_if(frozen, 5, changed(frozen, loss__temperature=1.0))
    assert warm.lineup.effective > now.lineup.effective
    assert warm.lineup.similarity == pytest.approx(now.lineup.similarity)
    assert 0 < warm.cosine(now) < 1
    less = what_if(frozen, 5, changed(frozen, sampler__queue_size=100))
    assert len(less.lineup.strips["queue"].items) == 100
    newest = frozen.inputs.sampler.queue.state()["vectors"][-100:]
    assert torch.equal(less.lineup.strips["queue"].vectors.sort(0).values, newest.sort(0).values)
    more = what_if(frozen, 5, changed(frozen, sampler__queue_size=100_000))
    assert len(more.lineup.strips["queue"].items) >= 300
    assert "queue" not in what_if(frozen, 5, changed(frozen, sampler__queue_size=0)).lineup.strips
    near = what_if(frozen, 5, changed(frozen, sampler__sigma=0.0)).lineup.strips["perturbed"]
    torch.testing.assert_close(near.vectors, frozen.inputs.futures.vectors.detach())
    small, large = (
        what_if(frozen, 5, changed(frozen, sampler__sigma=s)).lineup.strips["perturbed"] for s in (0.1, 0.2)
    )
    noise = [F.normalize(s.vectors - near.vectors, dim=1) for s in (small, large)]
    assert float((noise[0] * noise[1]).sum(1).mean()) > 0.95, "the same noise, another size"
    other = what_if(frozen, 5, changed(frozen, sampler__same_item=False)).lineup
    own = item_of(frozen.inputs.futures.ids)[frozen.inputs.positives[5]]
    in_batch = other.strips["in_batch"]
    assert not bool((in_batch.counts & (item_of(frozen.inputs.futures.ids) == own)).any())
    destroyed = what_if(frozen, 5, changed(frozen, sampler__shuffled="input"))
    assert len(destroyed.lineup.strips["shuffled"].items) > len(in_batch.items)
    assert what_if(frozen, 5).loss == now.loss, "nothing was changed on the way"


def test_the_hardest_anchors_are_found(folders: dict[str, RunFolder]) -> None:
    frozen = frozen_of(folders["everything"])[0]
    found = survey(frozen)
    lineups = [line_up(frozen, i) for i in range(0, len(found.losses), 17)]
    for lineup in lineups:
        i = lineup.anchor
        assert float(found.losses[i]) == pytest.approx(lineup.loss, abs=1e-4)
        assert float(found.false_share[i]) == pytest.approx(lineup.false_share, abs=1e-4)
        hardest = max(float(s.similarities[s.counts].max()) for s in lineup.strips.values() if bool(s.counts.any()))
        assert float(found.margin[i]) == pytest.approx(hardest - lineup.similarity, abs=1e-4)
    assert found.most("losses") == int(found.losses.argmax())
    label = int(found.labels[0])
    assert int(found.labels[found.most("margin", label)]) == label
    with pytest.raises(ValueError, match="no anchor of class 77"):
        found.most("margin", 77)


def test_the_nearest_real_latent_of_noise_is_its_own_origin_while_noise_is_small(folders: dict[str, RunFolder]) -> None:
    frozen = frozen_of(folders["everything"])[0]
    lineup = line_up(frozen, 3, changed(frozen, sampler__sigma=1e-4))
    strip = lineup.strips["perturbed"]
    item, position, cosine = nearest_real(strip, 11, lineup)
    assert cosine == pytest.approx(1, abs=1e-3)
    same = frozen.inputs.futures.vectors.detach()[11]
    rebuilt = lineup.strips["in_batch"]
    at = (rebuilt.items == item) & (rebuilt.positions == position)
    assert float((rebuilt.vectors[at] @ same).max()) == pytest.approx(1, abs=1e-3)


@settings(max_examples=60)
@given(
    st.integers(1, 4),
    st.integers(1, 9),
    st.sampled_from([0.0, 0.5, 2.0]),
    st.sampled_from([0.0, 0.1]),
    st.integers(0, 10**6),
)
def test_gradients_equal_autograds(anchors: int, count: int, hardness: float, prior: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    positive = 3 * torch.randn(anchors, generator=generator)
    negatives = 3 * torch.randn(anchors, count, generator=generator)
    allowed = torch.rand(anchors, count, generator=generator) < 0.8
    weighting = Weighting(hardness, prior) if hardness or prior else None
    found = on_logits(positive, negatives.masked_fill(~allowed, -torch.inf), weighting, torch.tensor(-5.0))
    leaf = negatives.double().requires_grad_()
    losses = weighted_losses(
        [leaf],
        [allowed],
        positive.double(),
        torch.ones((), dtype=torch.float64),
        hardness,
        prior,
        torch.tensor(-5.0).double().exp(),
    )
    expected = torch.autograd.grad(losses.sum() + 0 * leaf.sum(), leaf)[0]
    torch.testing.assert_close(found.losses.double(), losses.detach(), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found.push.double(), expected, rtol=2e-3, atol=1e-4)
    assert torch.all((found.mass.sum(1) + found.positive - 1).abs() < 1e-4)
    assert torch.all(effective_number(found.push) <= allowed.sum(1).clamp(min=1) + 1e-3)


def test_splits_are_joined_row_by_row() -> None:
    data = load_dataset(tiny(data__dataset="tones_bars"))
    both = joined(data.train, data.test)
    assert both.names == data.train.names + data.test.names
    assert both.audio is not None
    assert data.test.audio is not None
    assert torch.equal(both.audio[len(data.train) :], data.test.audio)


def test_training_items_stand_in_memory_once(folders: dict[str, RunFolder]) -> None:
    opened = Opened(folders[next(iter(RUNS))])
    items, learned_from = opened.items, opened._learned_from
    assert learned_from.names == items.names[: opened.training_items]
    for modality in items.modalities:
        one, other = items.values(modality), learned_from.values(modality)
        assert one is not None and other is not None  # noqa: PT018
        assert one.data_ptr() == other.data_ptr()
