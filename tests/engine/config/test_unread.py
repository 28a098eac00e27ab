"""Settings said to have no effect have none: the weights of a run do not change with them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from cpc_engine.config import RunConfig, all_settings, unread
from cpc_engine.data import load_dataset
from cpc_engine.training.fabric import Fabric
from cpc_engine.training.trainer import Trainer
from tests.engine.config.test_every_setting_matters import ELSEWHERE, SOUNDS, WHOLE_RUN, other_value, trained

BASES: dict[str, dict[str, Any]] = {
    "all sources off": {},
    "nothing masked": {"sampler.mode": "reference", "sampler.perturbed": True, "sampler.sigma": 0.1},
    "a momentum encoder": {"sampler.perturbed": True, "sampler.key_momentum": 0.9},
    "horizons in seconds": {"context.horizon_seconds": [0.1], "audio.noise": 0.0},
    "a ConvNet": {"audio.encoder": "convnet"},
    "a ConvNet of pictures": {"data.dataset": "bars", "image.encoder": "convnet"},
    "a residual encoder": {"audio.encoder": "residual", "audio.directions": 8},
}
# Refused where they would have no effect, before the first step.
REFUSED = {"image.view_share", "image.size", "image.grid", "loss.pair_weight", "sampler.cross_modal"}
CASES = [
    (name, path)
    for name, changes in BASES.items()
    for path in sorted(unread(RunConfig().replace(SOUNDS | changes)))
    if path not in {*ELSEWHERE, *REFUSED} and not path.startswith(WHOLE_RUN)
]


@pytest.mark.parametrize(("name", "path"), CASES)
def test_what_is_not_read_changes_nothing(name: str, path: str) -> None:
    base = RunConfig().replace(SOUNDS | BASES[name])
    assert trained(base.replace({path: other_value(path, base)}).to_json()) == trained(base.to_json())


@pytest.mark.parametrize(
    ("changes", "read"),
    [
        ({"sampler.perturbed": True}, "sampler.sigma"),
        ({"sampler.perturbed": True}, "sampler.detach_synthetic"),
        ({"sampler.queue_size": 64}, "sampler.queue_max_age"),
        ({"sampler.mixed": 16}, "sampler.mixed_pool"),
        ({"sampler.mode": "reference", "sampler.mixed": 16}, "sampler.same_item"),
        ({"sampler.mode": "reference", "loss.item_weight": 1.0}, "sampler.same_class"),
        ({"loss.learnable_temperature": True}, "loss.temperature_max"),
        ({"loss.item_weight": 1.0}, "context.item_dim"),
        ({"audio.encoder": "residual"}, "audio.directions"),
        ({"data.dataset": "bars"}, "image.depth"),
        ({"data.dataset": "tones_bars", "loss.pair_weight": 1.0}, "loss.pair_positives"),
        ({"data.dataset": "tones_bars"}, "loss.pair_weight"),
        ({"data.dataset": "tones_bars"}, "image.width"),
        ({"data.dataset": "fsdd", "data.split": "speaker"}, "data.held_out"),
    ],
)
def test_a_switch_makes_its_settings_count(changes: dict[str, Any], read: str) -> None:
    assert read in unread(RunConfig().replace({"sampler.mode": changes.get("sampler.mode", "exclude_positives")}))
    assert read not in unread(RunConfig().replace(changes))


WITHOUT_TAU: tuple[dict[str, Any], ...] = (
    {"loss.prediction_weight": 0.0, "loss.item_weight": 1.0, "sampler.hardness": 1.0},
    {"loss.prediction_weight": 0.0, "loss.invariance_weight": 1.0, "loss.variance_weight": 1.0},
    {"loss.prediction_weight": 0.0, "loss.pair_weight": 1.0, "data.dataset": "tones_bars"},
)
TAU = {"loss.temperature": 1.0, "loss.learnable_temperature": True}
UNCLIPPED = {"optimizer.clip_norm": 0.0}  # the norm of one more gradient, which is 0, is rounded otherwise
BOUNDS = {"loss.temperature_min", "loss.temperature_max"}


def weights(config: RunConfig) -> dict[str, torch.Tensor]:
    """The weights after all steps, without τ itself, which is stored with them."""
    trainer = Trainer(config, load_dataset(config), Fabric(accelerator="cpu"))
    for _ in range(config.optimizer.steps):
        trainer.step()
    return {name: x.clone() for name, x in trainer.model.weights().items() if "log_scale" not in name}


@pytest.mark.parametrize("changes", WITHOUT_TAU)
def test_no_term_reads_the_temperature_where_neither_prediction_nor_global_term_counts(changes: dict[str, Any]) -> None:
    base = RunConfig().replace(SOUNDS | UNCLIPPED | changes)
    assert {*TAU, *BOUNDS} <= unread(base)
    assert {*TAU, *BOUNDS} <= unread(base.replace({"loss.learnable_temperature": True}))
    expected = weights(base)
    for path, value in TAU.items():
        found = weights(base.replace({path: value}))
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize("term", ["loss.prediction_weight", "loss.global_weight"])
def test_the_temperature_counts_where_a_term_reads_it(term: str) -> None:
    base = RunConfig().replace(SOUNDS | WITHOUT_TAU[0] | {term: 0.5})
    assert not TAU.keys() & unread(base)
    assert unread(base) >= BOUNDS, "nothing is learned within bounds"
    assert not BOUNDS & unread(base.replace({"loss.learnable_temperature": True}))
    expected, found = weights(base), weights(base.replace({"loss.temperature": 1.0}))
    assert not all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_switches_always_count() -> None:
    switches = {"sampler.queue_size", "sampler.perturbed", "sampler.shuffled", "sampler.mixed", "sampler.key_momentum"}
    assert not switches & unread(RunConfig())
    assert unread(RunConfig()) <= {setting.path for setting in all_settings()}
