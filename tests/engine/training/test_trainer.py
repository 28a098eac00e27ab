"""The training step: the loss decreases, a resumed run is bit-identical, and invalid values change no weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cpc_engine.config import RunConfig
from cpc_engine.errors import ConfigError
from cpc_engine.evaluation.metrics import queue_drift
from cpc_engine.training.batches import BatchSampler
from cpc_engine.training.fabric import Fabric
from cpc_engine.training.ranks import ManyRanks
from cpc_engine.training.schedule import learning_rate
from cpc_engine.training.trainer import Trainer
from tests.support.tiny_data import TINY, dataset

HYBRID = {
    "sampler.queue_size": 50,
    "sampler.queue_per_item": 2,
    "sampler.perturbed": True,
    "sampler.shuffled": "batch",
    "sampler.cross_modal": True,
    "sampler.key_momentum": 0.9,
    "loss.pair_weight": 0.5,
    "loss.learnable_temperature": True,
}


def trainer(audio: bool = True, image: bool = False, **changes: object) -> Trainer:
    values = {key.replace("__", "."): value for key, value in changes.items()}
    config = RunConfig().replace({**TINY, **values})
    return Trainer(config, dataset(audio, image), Fabric(accelerator="cpu", devices=1))


def both(extra: dict[str, object] | None = None) -> Trainer:
    return trainer(image=True, **{key.replace(".", "__"): value for key, value in {**HYBRID, **(extra or {})}.items()})


def test_the_loss_decreases_and_the_record_is_consistent() -> None:
    run = trainer()
    records = [run.step() for _ in range(20)]
    assert records[-1] is not None
    assert records[0] is not None
    assert records[-1].loss < 0.9 * records[0].loss
    audio = records[-1].modalities["audio"]
    assert records[-1].loss == pytest.approx(audio.loss)
    assert audio.loss == pytest.approx(sum(audio.horizons.values()) / len(audio.horizons), rel=1e-5)
    assert sum(s.share for s in audio.sources.values()) == pytest.approx(1, abs=1e-4)
    assert audio.positive_mass + sum(s.mass for s in audio.sources.values()) == pytest.approx(1, abs=1e-4)


ITEMS = {"loss.item_weight": 0.5, "loss.global_weight": 0.5, "loss.variance_weight": 0.1}
RESIDUAL = {"audio.encoder": "residual", "image.encoder": "residual", "audio.directions": 8, "image.directions": 8}


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"sampler.shuffled": "input"},
        {"sampler.key_momentum": 0.0},
        ITEMS,
        {**ITEMS, **RESIDUAL, "sampler.shuffled": "input"},
        {**ITEMS, **RESIDUAL, "sampler.key_momentum": 0.0, "context.other_view": True},
        {"sampler.mixed": 20, "sampler.hardness": 0.5, "sampler.class_prior": 0.1},
        {"context.batch_norm": True},
    ],
)
def test_a_resumed_run_is_bit_identical(extra: dict[str, object]) -> None:
    uninterrupted = both(extra)
    for _ in range(3):
        uninterrupted.step()
    state = {name: tensor.clone() for name, tensor in uninterrupted.state().items()}
    expected = [uninterrupted.step() for _ in range(4)]
    resumed = both(extra)
    resumed.load(state)
    records = [resumed.step() for _ in range(4)]
    for a, b in zip(expected, records, strict=True):
        assert a is not None
        assert b is not None
        assert {**a.to_dict(), "seconds": 0} == {**b.to_dict(), "seconds": 0}
    for name, tensor in uninterrupted.state().items():
        if name != "progress":
            assert torch.equal(tensor, resumed.state()[name]), name


def test_settings_that_are_off_change_nothing() -> None:
    """Off, neither weights nor mixtures draw random numbers or touch the loss."""
    plain, off = both(), both({"sampler.mixed": 0, "sampler.mixed_pool": 7, "sampler.hardness": 0.0})
    for _ in range(3):
        records = [run.step() for run in (plain, off)]
        first, second = (record.to_dict() | {"seconds": 0} for record in records if record is not None)
        assert first == second
    assert all(torch.equal(x, off.state()[name]) for name, x in plain.state().items() if name != "progress")


def test_weights_and_mixtures_can_be_switched_on_while_a_run_goes_on() -> None:
    run = both()
    run.step()
    changes = {"sampler.mixed": 9, "sampler.hardness": 1.0, "sampler.class_prior": 0.05}
    run.change(run.config.replace(changes))
    record = run.step()
    assert record is not None
    for part in record.modalities.values():
        assert part.sources["mixed"].count == 9
        assert sum(source.share for source in part.sources.values()) == pytest.approx(1, abs=1e-4)
        assert part.positive_mass + sum(s.mass for s in part.sources.values()) == pytest.approx(1, abs=1e-4)


def test_without_the_queue_a_resumed_run_would_differ() -> None:
    """Checks that the test above is sensitive to the queue's part of the state."""
    uninterrupted = both()
    for _ in range(3):
        uninterrupted.step()
    state = {name: tensor.clone() for name, tensor in uninterrupted.state().items()}
    expected = uninterrupted.step()
    for name in [name for name in state if name.startswith("queue.")]:
        state[name] = state[name][:0] if not name.endswith("begin") else state[name]
    resumed = both()
    resumed.load(state)
    record = resumed.step()
    assert expected is not None
    assert record is not None
    assert expected.loss != record.loss


def test_the_run_depends_on_the_seed() -> None:
    losses = []
    for seed in (0, 0, 1):
        run = trainer(run__seed=seed)
        records = [run.step() for _ in range(3)]
        losses.append([r.loss for r in records if r is not None])
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


def test_a_loss_that_is_not_finite_changes_no_weights() -> None:
    run = trainer()
    run.step()
    run.model.encoders["audio"].norm.weight.data[0] = float("nan")
    before = {name: tensor.clone() for name, tensor in run.model.weights().items()}
    record = run.step()
    assert record is not None
    assert not math.isfinite(record.loss)
    assert record.to_dict()["loss"] is None
    for name, tensor in run.model.weights().items():
        assert torch.equal(tensor, before[name]) or torch.isnan(before[name]).any()


def test_the_momentum_encoder_is_a_moving_average_without_gradient() -> None:
    run = trainer(sampler__key_momentum=0.75)
    assert run.ema is not None
    before = [p.clone() for p in run.ema.parameters()]
    run.step()
    for average, old, parameter in zip(run.ema.parameters(), before, run.model.encoders.parameters(), strict=True):
        torch.testing.assert_close(average, 0.75 * old + 0.25 * parameter.detach())
        assert average.grad is None


def test_changes_of_live_settings_take_effect() -> None:
    run = trainer(sampler__perturbed=True)
    first = run.step()
    run.change(run.config.replace({"sampler.perturbed": False, "loss.temperature": 0.5}))
    second = run.step()
    assert first is not None
    assert second is not None
    assert "perturbed" in first.modalities["audio"].sources
    assert "perturbed" not in second.modalities["audio"].sources
    assert second.temperature == pytest.approx(0.5)


def test_a_learned_temperature_changes_and_stays_within_its_bounds() -> None:
    run = trainer(
        loss__learnable_temperature=True,
        loss__temperature_min=0.15,
        loss__temperature_max=0.25,
        optimizer__learning_rate=0.5,
        optimizer__warmup_steps=0,
    )
    temperatures = [r.temperature for r in (run.step() for _ in range(6)) if r is not None]
    assert len(set(temperatures)) > 1
    assert all(0.15 - 1e-6 <= t <= 0.25 + 1e-6 for t in temperatures)


def test_a_temperature_at_its_bound_still_learns() -> None:
    """Beyond a bound the loss once passed no gradient, so that τ stayed there whatever the loss said."""
    run = trainer(
        loss__learnable_temperature=True,
        loss__temperature=0.2,
        loss__temperature_min=0.19,
        loss__temperature_max=0.21,
        optimizer__learning_rate=0.5,
        optimizer__warmup_steps=0,
    )
    at_a_bound = 0
    for _ in range(8):
        before = run.model.scale().item()
        run.step()
        gradient = run.model.log_scale.grad
        assert gradient is not None
        assert gradient.item() != 0
        at_a_bound += before == pytest.approx(1 / 0.19) or before == pytest.approx(1 / 0.21)
    assert at_a_bound > 3


def test_evaluation_uses_the_temperature_of_training() -> None:
    """Weights of earlier versions may hold a τ beyond its bounds, which training clamped and evaluation did not."""
    run = trainer(loss__learnable_temperature=True, loss__temperature_min=0.15, loss__temperature_max=0.25)
    weights = {name: tensor.clone() for name, tensor in run.model.weights().items()}
    weights["log_scale"].fill_(math.log(1 / 0.01))
    run.model.load_weights(weights)
    assert 1 / run.model.scale().item() == pytest.approx(0.15)
    record = run.step()
    assert record is not None
    assert record.temperature == pytest.approx(0.15)


def test_pair_term_and_cross_modal_negatives_need_two_modalities() -> None:
    with pytest.raises(ConfigError, match="sound and pictures"):
        trainer(loss__pair_weight=1.0)
    with pytest.raises(ConfigError, match="sound and pictures"):
        trainer(sampler__cross_modal=True)


def test_batch_normalization_needs_whole_batches() -> None:
    config = RunConfig().replace({**TINY, "context.batch_norm": True})
    with pytest.raises(ConfigError, match="whole batches"):
        Trainer(config, dataset(True, False), Fabric(accelerator="cpu", devices=1), ranks=ManyRanks(0, 2))


def test_looking_at_the_queue_leaves_statistics_of_batch_normalization_alone() -> None:
    run = trainer(context__batch_norm=True, sampler__queue_size=50, sampler__key_momentum=0.9)
    run.step()
    before = {name: tensor.clone() for name, tensor in run.state().items()}
    assert queue_drift(run, "audio") is not None
    assert all(torch.equal(tensor, run.state()[name]) for name, tensor in before.items())


def test_without_in_batch_negatives_only_the_other_sources_have_a_share() -> None:
    record = both({"sampler.in_batch": False, "sampler.shuffled": "input"}).step()
    assert record is not None
    for part in record.modalities.values():
        in_batch = part.sources["in_batch"]
        assert (in_batch.masked, in_batch.share, in_batch.similarity) == (in_batch.count, 0, 0)
        assert sum(source.share for source in part.sources.values()) == pytest.approx(1, abs=1e-4)


def test_horizons_beyond_the_sequence_are_rejected() -> None:
    with pytest.raises(ConfigError, match="no horizon"):
        trainer(context__horizons=[40])


def test_loss_is_the_mean_of_both_modalities_plus_the_pair_term() -> None:
    record = both().step()
    assert record is not None
    losses = [m.loss for m in record.modalities.values()]
    assert record.loss == pytest.approx(sum(losses) / 2 + 0.5 * record.pair_loss, rel=1e-5)


@pytest.mark.parametrize("wrap", [False, True])
def test_every_horizon_weighs_the_same_and_only_its_own_anchors_count(wrap: bool) -> None:  # pragma: allowlist secret
    """The image loss against a softmax over all pairs (t, t + k) of a 4 × 4 grid, written out."""
    changes = {"image.grid": 4, "image.wrap": wrap, "context.horizons": [1, 2, 4], "loss.similarity": "dot"}
    run = trainer(False, True, **{k.replace(".", "__"): v for k, v in changes.items()}, sampler__mode="reference")
    rows = run.order.rows(0)
    rows = rows[run._labels[rows].argsort(stable=True)]
    generator = torch.Generator().manual_seed(run.config.run.seed)
    with torch.no_grad():
        encoding = run.model({"image": run.model.features["image"](run.data.train.take(rows).image, generator)})[
            "image"
        ]
    keys = encoding.latents[:, 1:].flatten(0, 1)
    per_horizon = []
    for k in (1, 2, 4):
        losses = []
        positions = [t for t in range(16 - k) if wrap or t % 4 + k % 4 < 4]
        for item in range(len(rows)):
            for index, t in enumerate(positions):
                logits = keys @ encoding.predictions[k][item, index] / run.config.loss.temperature
                losses.append(float(logits.logsumexp(0) - logits[item * 15 + t + k - 1]))
        per_horizon.append(sum(losses) / len(losses))
    record = run.step()
    assert record is not None
    assert list(record.modalities["image"].horizons.values()) == pytest.approx(per_horizon, rel=1e-3)
    assert record.loss == pytest.approx(sum(per_horizon) / 3, rel=1e-3)


def test_queue_drift_is_smaller_with_a_momentum_encoder() -> None:
    """See docs/method.md#queue-staleness."""
    drifts = []
    for momentum in (0.0, 0.99):
        run = trainer(
            sampler__queue_size=400,
            sampler__key_momentum=momentum,
            optimizer__learning_rate=0.03,
            audio__noise=0.0,
            audio__shift=0.0,
            audio__gain_db=0.0,
            audio__band_drop=0.0,
        )
        assert queue_drift(run, "audio") is None
        for _ in range(12):
            run.step(record=False)
        drift = queue_drift(run, "audio")
        assert drift is not None
        drifts.append(drift)
    assert drifts[0] < drifts[1] - 0.01


def test_every_epoch_uses_each_item_once_in_a_new_order() -> None:
    order = BatchSampler(10, 3, seed=4)
    epochs = [torch.cat([order.rows(3 * epoch + i) for i in range(3)]).tolist() for epoch in range(4)]
    assert all(len(set(epoch)) == 9 for epoch in epochs)
    assert epochs[0] != epochs[1]
    again = BatchSampler(10, 3, seed=4)
    assert torch.equal(again.rows(7), order.rows(7))
    assert len(BatchSampler(5, 64, 0).rows(0)) == 5


@pytest.mark.parametrize(("one", "other"), [(0, 4096), (1, 4097), (10_000, 1808), (2**31 - 1, 4095)])
def test_seeds_that_are_alike_in_their_last_bits_have_orders_of_their_own(one: int, other: int) -> None:
    """PyTorch's generator keeps 32 bits of a seed."""
    orders = [BatchSampler(64, 64, seed) for seed in (one, other)]
    assert not any(torch.equal(orders[0].rows(epoch), orders[1].rows(epoch)) for epoch in range(3))


@settings(max_examples=50)
@given(st.lists(st.integers(0, 4), min_size=2, max_size=60), st.integers(2, 9), st.integers(0, 5))
def test_batches_are_filled_from_one_group_as_far_as_its_items_suffice(
    numbers: list[int], size: int, seed: int
) -> None:
    groups = [f"speaker {number}" for number in numbers]
    order = BatchSampler(len(groups), size, seed, groups)
    batches = [order.rows(step).tolist() for step in range(len(groups) // order.batch_size)]
    items = [row for batch in batches for row in batch]
    assert len(set(items)) == len(items), "an item is used twice in an epoch"
    batch_groups = [{groups[row] for row in batch} for batch in batches]
    for group in set(groups):
        assert batch_groups.count({group}) >= groups.count(group) // order.batch_size
    assert all(len(batch) == order.batch_size for batch in batches)


def test_groups_of_a_single_item_are_mixed_anew_in_every_epoch() -> None:
    order = BatchSampler(40, 8, 0, [str(item) for item in range(40)])
    epochs = [[set(order.rows(5 * epoch + step).tolist()) for step in range(5)] for epoch in range(2)]
    assert not any(batch in epochs[1] for batch in epochs[0])


def test_learning_rate_warms_up_and_decays() -> None:
    config = RunConfig().replace({"optimizer.steps": 100, "optimizer.warmup_steps": 10}).optimizer
    rates = [learning_rate(config, step) for step in range(100)]
    assert rates[0] == pytest.approx(config.learning_rate / 10)
    assert max(rates) == pytest.approx(config.learning_rate)
    assert rates.index(max(rates)) in (9, 10)
    assert rates[-1] == pytest.approx(config.learning_rate * config.final_rate, rel=0.02)
    assert all(a >= b for a, b in pairwise(rates[10:]))


@pytest.mark.parametrize("make", [trainer, both])
def test_what_is_recorded_does_not_change_the_weights(make: Callable[[], Trainer]) -> None:
    """On a CPU, bit for bit."""
    often, seldom = make(), make()
    for step in range(1, 12):
        assert often.step(True) is not None
        assert (seldom.step(step % 5 == 0) is None) == (step % 5 != 0)
    weights = seldom.model.weights()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in often.model.weights().items())
