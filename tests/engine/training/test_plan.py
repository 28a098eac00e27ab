"""The plan of a step against the actual step, and diagnostics."""

from __future__ import annotations

import math

import pytest
import torch

from cpc_engine import PRESETS, RunConfig
from cpc_engine.config.unread import unread
from cpc_engine.data import load_dataset
from cpc_engine.datasets import DATASETS
from cpc_engine.training.fabric import Fabric
from cpc_engine.training.plan import diagnostics, perturbed_cosine, plan, sequence_length
from cpc_engine.training.trainer import Trainer

SMALL = {
    "data.train_items": 40,
    "data.test_items": 20,
    "audio.sample_rate": 8000,
    "audio.clip_seconds": 0.5,
    "audio.width": 8,
    "image.width": 8,
    "image.size": 64,
    "context.hidden_dim": 8,
    "context.latent_dim": 8,
    "optimizer.batch_size": 6,
}
EVERYTHING = {
    "sampler.queue_size": 300,
    "sampler.perturbed": True,
    "sampler.cross_modal": True,
    "sampler.queue_per_item": 3,
    "sampler.mixed": 11,
}


@pytest.mark.parametrize("shuffled", ["off", "batch", "time", "input"])
@pytest.mark.parametrize(
    ("preset", "more"),
    [
        ("tones_bars", {}),
        ("reference_tones_bars", {"image.grid": 4}),
        ("keypad", {"context.horizons": [2, 5, 900]}),
        ("keypad", {"context.orders": "four_ways"}),
        ("tones", {"sampler.cross_modal": False}),
    ],
)
def test_the_plan_describes_the_actual_step(preset: str, more: dict[str, object], shuffled: str) -> None:
    changes = SMALL | EVERYTHING | {"sampler.shuffled": shuffled} | more
    config = PRESETS[preset].config().replace(changes)
    trainer = Trainer(config, load_dataset(config), Fabric(accelerator="cpu", devices=1))
    plans = {planned.modality: planned for planned in plan(config)}
    enqueued, record = 0.0, None
    for _ in range(20):
        before = {m: len(s.queue) for m, s in trainer.prediction.samplers.items()}
        record = trainer.step()
    assert record is not None
    assert set(plans) == set(record.modalities)
    for modality, actual in record.modalities.items():
        planned = plans[modality]
        assert {name: source.count for name, source in actual.sources.items()} == planned.candidates
        assert planned.horizons == tuple(int(k) for k in actual.horizons)
        assert before[modality] == 300
        some = trainer.data.train.take(torch.arange(6))
        predictions = trainer.model({m: trainer.model.features[m](some.values(m)) for m in trainer.model.modalities})[
            modality
        ].predictions.values()
        assert planned.anchors == sum(vectors.shape[0] * vectors.shape[1] for vectors in predictions)
        assert actual.latents_per_item == planned.length - config.first_target(modality)
        enqueued = min(3, actual.latents_per_item) * 6
        assert planned.queue_steps == pytest.approx(300 / enqueued)


def test_the_queue_of_the_item_level_term_holds_whole_items() -> None:
    """It reaches back farther than that of the predictions, which holds many latents of an item."""
    config = PRESETS["tones"].config().replace(SMALL | {"loss.item_weight": 1.0, "sampler.queue_size": 30})
    trainer = Trainer(config, load_dataset(config), Fabric(accelerator="cpu", devices=1))
    for _ in range(20):
        trainer.step()
    assert trainer.item_term is not None
    [sampler] = trainer.item_term.samplers.values()
    [planned] = plan(config, items=len(trainer.data.train))
    steps = sampler.queue.state()["steps"]
    assert trainer.steps_done - int(steps.min()) == math.ceil(planned.item_queue_steps or 0)
    assert planned.item_queue_share == pytest.approx(30 / len(trainer.data.train))
    [without] = plan(config.replace({"loss.item_weight": 0.0}))
    assert (without.item_queue_steps, without.item_queue_share) == (None, None)


@pytest.mark.parametrize(
    "changes",
    [{}, {"audio.encoder": "convnet"}, {"audio.encoder": "residual"}, {"audio.clip_seconds": 1.37, "audio.hop_ms": 7}],
)
def test_the_sequence_length_is_that_of_the_network(changes: dict[str, object]) -> None:
    config = PRESETS["tones"].config().replace(SMALL | changes)
    trainer = Trainer(config, load_dataset(config), Fabric(accelerator="cpu", devices=1))
    clip = trainer.model.features["audio"](trainer.data.train.audio[:1])
    assert trainer.model.encode("audio", clip).shape[1] == sequence_length(config, "audio")


@pytest.mark.parametrize("sigma", [0.01, 0.1, 0.5])
def test_the_cosine_of_perturbed_latents(sigma: float) -> None:
    config = RunConfig().replace({"sampler.sigma": sigma})
    z = torch.nn.functional.normalize(torch.randn(4000, 64), dim=1)
    perturbed = torch.nn.functional.normalize(z + sigma * torch.randn(4000, 64), dim=1)
    expected = perturbed_cosine(config)
    assert expected == pytest.approx((z * perturbed).sum(1).mean().item(), abs=0.01)
    assert perturbed_cosine(config.replace({"loss.similarity": "dot", "context.latent_norm": False})) is None


@pytest.mark.parametrize("preset", [name for name, preset in PRESETS.items() if not preset.needs_data])
def test_no_built_in_preset_is_stopped(preset: str) -> None:
    assert not [diagnostic for diagnostic in diagnostics(PRESETS[preset].config()) if diagnostic.stops]


def test_diagnostics_of_the_reference_recipe() -> None:
    text = " ".join(diagnostic.text for diagnostic in diagnostics(PRESETS["reference_tones_bars"].config()))
    for words in ("false negatives", "log 2", "collapse", "reaches back", "pushes the two apart"):
        assert words in text


@pytest.mark.parametrize("data", [spec.name for spec in DATASETS.values() if spec.stationary])
def test_advice_about_stationary_data_fits_each_of_them(data: str) -> None:
    texts = [diagnostic.text for diagnostic in diagnostics(RunConfig().replace({"data.dataset": data}))]
    assert "The positions of one item of these data are alike, so they are false negatives of each other." in texts


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sampler.cross_modal": True}, "only one"),
        ({"loss.pair_weight": 1.0}, "only one"),
        ({"context.horizons": [900]}, "900 ahead"),
        ({"data.dataset": "image_folder"}, "No folder is given"),
        ({"data.dataset": "paired_folders", "data.path": "x"}, "No folder is given (data.image_path)"),
    ],
)
def test_diagnostics_that_stop_a_run(changes: dict[str, object], words: str) -> None:
    [first, *_] = diagnostics(RunConfig().replace(changes))
    assert first.stops
    assert words in first.text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sampler.perturbed": True, "sampler.sigma": 0.01}, "they are copies"),
        ({"sampler.queue_size": 200_000}, "times what all training items have"),
        ({"data.train_items": 100}, "less than two batches"),
    ],
)
def test_diagnostics_that_do_not_stop_a_run(changes: dict[str, object], words: str) -> None:
    texts = [diagnostic.text for diagnostic in diagnostics(RunConfig().replace(changes)) if not diagnostic.stops]
    assert any(words in text for text in texts)


@pytest.mark.parametrize(
    ("preset", "changes"),
    [
        ("tones", {"sampler.same_item": True}),
        ("reference_tones", {}),
        ("tones", {"sampler.perturbed": True, "sampler.sigma": 0.01}),
        ("chirps", {"sampler.perturbed": True, "sampler.sigma": 0.01, "loss.similarity": "dot"}),
        ("tones", {"sampler.queue_size": 200_000, "sampler.key_momentum": 0.0}),
        ("tones_bars", {"sampler.queue_size": 200_000, "sampler.cross_modal": True, "loss.pair_weight": 0.0}),
    ],
)
def test_what_a_diagnostic_changes_takes_it_away(preset: str, changes: dict[str, object]) -> None:
    config = PRESETS[preset].config().replace(changes)
    mendable = [found for found in diagnostics(config) if found.changes]
    assert mendable
    for found in mendable:
        taken = config.replace(found.changes)
        assert found.text not in [left.text for left in diagnostics(taken)]
        assert not unread(taken) & found.changes.keys(), "advice that does nothing"


def test_the_loss_does_not_store_the_whole_matrix() -> None:
    [planned] = plan(PRESETS["chirps"].config().replace({"sampler.queue_size": 262_144}))
    assert planned.matrix_bytes == 4 * planned.anchors * sum(planned.candidates.values())
    assert planned.loss_bytes < planned.matrix_bytes / 10
    assert math.isclose(planned.queue_steps or 0, 262_144 / planned.candidates["in_batch"])


def test_without_any_negatives_a_run_does_not_begin() -> None:
    config = PRESETS["tones"].config().replace({"sampler.in_batch": False})
    assert [found.stops for found in diagnostics(config)] == [True]
    assert not any(found.stops for found in diagnostics(config.replace({"sampler.shuffled": "input"})))
