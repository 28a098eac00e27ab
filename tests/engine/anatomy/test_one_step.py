"""The stages of one step agree with the trainer's own step, with autograd, and with the line-up."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from cpc_engine.anatomy.frozen import Batch, Frozen
from cpc_engine.anatomy.lineup import line_up
from cpc_engine.anatomy.one_step import OneStep, one_step
from cpc_engine.anatomy.opened import Opened
from cpc_engine.anatomy.what_if import what_if
from cpc_engine.config import RunConfig
from cpc_engine.data import load_dataset
from cpc_engine.execution.execute import execute
from cpc_engine.negatives.identity import item_index
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from cpc_engine.training.fabric import Fabric
from cpc_engine.training.records import StepRecord
from cpc_engine.training.trainer import Trainer
from tests.support.tiny import tiny


def of_anchor(frozen: Frozen, anchor: int) -> OneStep:
    return one_step(frozen, what_if(frozen, anchor))


def next_step(folder: RunFolder) -> tuple[Trainer, StepRecord]:
    """The trainer of a run one step further on."""
    config = folder.config()
    trainer = Trainer(config, load_dataset(config), Fabric(accelerator="cpu", devices=1))
    trainer.load(folder.tensors("checkpoint"))
    record = trainer.step()
    assert record is not None
    return trainer, record


def check(folder: RunFolder, place: float) -> None:
    """Compare every loss of the next batch with what the step then does, at an anchor from the first to the last."""
    trainer, record = next_step(folder)
    batch = Batch(Opened(folder))
    for frozen in batch.losses.values():
        anchor = round(place * (len(frozen.parts) - 1))
        found = of_anchor(frozen, anchor)
        recorded = (record.modalities if frozen.term == "prediction" else record.items or {})[frozen.modality]
        assert found.number == record.step
        assert found.rate == pytest.approx(record.learning_rate)
        assert found.loss == pytest.approx(record.loss, abs=1e-4)
        assert found.outcome.loss == pytest.approx(recorded.loss, abs=1e-4)
        lineup = line_up(frozen, anchor)
        assert found.outcome.lineup.loss == pytest.approx(lineup.loss, abs=1e-5)
        assert found.negatives == sum(int(strip.counts.sum()) for strip in lineup.strips.values())
        assert found.chance == pytest.approx(math.log(1 + found.negatives))
        vector, positive = found.prediction.values
        assert float(vector @ positive) == pytest.approx(lineup.similarity, abs=1e-4)
        check_stages(frozen, found)
        check_gradient(frozen, found, anchor)
        check_queue(trainer, frozen, found)


def check_stages(frozen: Frozen, found: OneStep) -> None:
    """Latents, contexts and the prediction are those that follow from the input by the network's own layers."""
    opened, lineup = frozen.opened, found.outcome.lineup
    model = opened.trainer.model
    with torch.no_grad():
        encoding = model({frozen.modality: found.input.values[None]})[frozen.modality]
    torch.testing.assert_close(found.latents.values, encoding.latents[0], rtol=1e-4, atol=1e-4)
    contexts = encoding.contexts[0]
    if found.read is not None and len(encoding.orders) > 1:
        order = encoding.orders[found.read.order]
        contexts = torch.empty_like(contexts)
        contexts[order] = model.gru(encoding.latents[:, order])[0][0].detach()
    torch.testing.assert_close(found.contexts.values, contexts, rtol=1e-4, atol=1e-4)
    assert found.latents.shape[1:] == tuple(encoding.latents.shape[1:])
    if lineup.part.isdigit():
        k = int(lineup.part)
        read = found.read
        assert read is not None
        places = zip(encoding.anchors[k].tolist(), encoding.targets[k].tolist(), strict=True)
        per_order = len(encoding.anchors[k]) // len(encoding.orders)
        at = list(places).index((read.last, found.target), read.order * per_order)
        assert at < (read.order + 1) * per_order
        own = encoding.predictions[k][0, at]
        assert found.prediction.shape[1:] == tuple(encoding.predictions[k].shape[1:])
        if not opened.config.context.other_view and opened.trainer.ema is None:
            key = encoding.latents[0, found.target]
            cosine = opened.config.loss.similarity == "cosine"
            expected = F.normalize(key, dim=0) if cosine else key
            torch.testing.assert_close(found.prediction.values[1], expected, rtol=1e-4, atol=1e-4)
    elif lineup.part == "item":
        assert encoding.item is not None
        own = encoding.item[0]
    else:
        own = model.globals[frozen.modality](encoding.summary)[0]
    if opened.config.loss.similarity == "cosine" or frozen.term == "item":
        own = F.normalize(own.detach(), dim=0)
    torch.testing.assert_close(found.prediction.values[0], own.detach(), rtol=1e-4, atol=1e-4)


def check_gradient(frozen: Frozen, found: OneStep, anchor: int) -> None:
    """The gradient is autograd's on the batch's loss, divided by the anchor's weight; the arrows add up to it."""
    inputs, candidates = frozen.draw(frozen.opened.config)
    (gradient,) = torch.autograd.grad(inputs.loss(candidates, record=False).loss, [inputs.anchors], retain_graph=True)
    weight = 1 / len(inputs.anchors) if inputs.weights is None else float(inputs.weights[anchor])
    torch.testing.assert_close(found.gradient, gradient[anchor] / weight, rtol=2e-3, atol=2e-4)
    along, across = (sum(arrow[i] for name, arrow in found.arrows.items() if name != "all") for i in (0, 1))
    assert found.arrows["all"] == pytest.approx((along, across), rel=1e-4, abs=1e-4)
    step = -found.gradient * frozen.temperature
    first = F.normalize(found.prediction.values[0], dim=0)
    assert found.arrows["all"][0] == pytest.approx(float(step @ first), rel=1e-4, abs=1e-4)


def check_queue(trainer: Trainer, frozen: Frozen, found: OneStep) -> None:
    """The queue is filled and emptied as the step did it."""
    samplers = trainer.prediction.samplers
    if frozen.term == "item":
        assert trainer.item_term is not None
        samplers = trainer.item_term.samplers
    queue = samplers[frozen.modality].queue
    if queue.size == 0:
        assert found.queue is None
        return
    assert found.queue is not None
    state, old = queue.state(), frozen.inputs.sampler.queue.state()
    step = frozen.opened.step
    new = state["steps"] == step
    assert found.queue.capacity == queue.size
    assert found.queue.entering == int(new.sum())
    assert found.queue.own == int((item_index(state["ids"][new]) == found.outcome.lineup.item).sum())
    assert found.queue.leaving == sum(
        int((old["steps"] == s).sum()) - int((state["steps"] == s).sum()) for s in old["steps"].unique().tolist()
    )
    for part, steps in ((found.queue.before, old["steps"]), (found.queue.after, state["steps"])):
        assert [s for s, count in part for _ in range(count)] == steps.tolist()


@st.composite
def configurations(draw: st.DrawFn) -> RunConfig:
    """Small runs with any sources, masks, weights of negatives, and terms."""
    both = draw(st.booleans())
    shuffled = draw(st.sampled_from(["off", "batch", "time", "input"]))
    changes: dict[str, object] = {
        "data__dataset": "tones_bars" if both else draw(st.sampled_from(["tones", "bars"])),
        "sampler__queue_size": draw(st.sampled_from([0, 30, 500])),
        "sampler__queue_per_item": draw(st.sampled_from([0, 2])),
        "sampler__key_momentum": draw(st.sampled_from([0.0, 0.9])),
        "sampler__perturbed": draw(st.booleans()),
        "sampler__shuffled": shuffled,
        "sampler__mixed": draw(st.sampled_from([0, 10])),
        "sampler__cross_modal": both and draw(st.booleans()),
        "sampler__mode": draw(st.sampled_from(["exclude_positives", "reference"])),
        "sampler__same_item": draw(st.booleans()),
        "sampler__same_class": draw(st.booleans()),
        "sampler__hardness": draw(st.sampled_from([0.0, 0.5])),
        "sampler__class_prior": draw(st.sampled_from([0.0, 0.1, 0.8])),
        "loss__similarity": draw(st.sampled_from(["cosine", "dot"])),
        "loss__item_weight": draw(st.sampled_from([0.0, 0.7])),
        "loss__global_weight": draw(st.sampled_from([0.0, 0.5])),
        "loss__pair_weight": draw(st.sampled_from([0.0, 0.3])) if both else 0.0,
        "loss__pair_positives": draw(st.sampled_from(["pair", "class"])),
        "loss__variance_weight": draw(st.sampled_from([0.0, 0.2])),
        "context__other_view": draw(st.booleans()),
        "context__orders": draw(st.sampled_from(["forward", "both_ways", "four_ways"])),
        "optimizer__steps": 2,
        "optimizer__batch_size": 8,
        "run__precision": "32-true",
        "run__seed": draw(st.integers(0, 99)),
    }
    return tiny(**changes)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(config=configurations(), place=st.floats(0, 1))
def test_the_stages_are_those_of_the_trainers_step(tmp_path: Path, config: RunConfig, place: float) -> None:
    folder = RunFolder.create(tmp_path, config)
    assert execute(folder, Control()).status == "finished"
    check(folder, place)


def test_an_item_that_replaces_another_is_followed(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, tiny(sampler__queue_size=1000, run__precision="32-true"))
    assert execute(folder, Control()).status == "finished"
    opened = Opened(folder)
    row = opened.row_of("test", int(opened.held_out[3]))
    frozen = Batch(opened, row).losses["prediction", "audio"]
    for anchor in frozen.anchors_of(row):
        found = of_anchor(frozen, anchor)
        assert found.outcome.lineup.item == row
        check_stages(frozen, found)
    assert found.queue is not None
    assert found.queue.own == found.queue.entering // 16, "an equal part of each of the 16 items"
