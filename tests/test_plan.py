"""The sampler's plan against what the sampler really does."""

from __future__ import annotations

import math

import pytest
import torch
from lightning_fabric import Fabric

from cpc_engine import PRESETS, RunConfig
from cpc_engine.data import load_dataset
from cpc_engine.negatives.plan import perturbed_cosine, plan, remarks, sequence_length
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
    "optimiser.batch_size": 6,
}
EVERYTHING = {
    "sampler.queue_size": 300,
    "sampler.perturbed": True,
    "sampler.cross_modal": True,
    "sampler.queue_per_item": 3,
}


@pytest.mark.parametrize("shuffled", ["off", "batch", "time", "input"])
@pytest.mark.parametrize(
    ("preset", "more"),
    [
        ("tones_bars", {}),
        ("seed_tones_bars", {"image.grid": 4}),
        ("keypad", {"context.horizons": [2, 5, 900]}),
        ("tones", {"sampler.cross_modal": False}),
    ],
)
def test_the_plan_is_what_a_step_does(preset: str, more: dict[str, object], shuffled: str) -> None:
    changes = SMALL | EVERYTHING | {"sampler.shuffled": shuffled} | more
    config = PRESETS[preset].config().replace(changes)
    trainer = Trainer(config, load_dataset(config), Fabric(accelerator="cpu", devices=1))
    planned = {one.modality: one for one in plan(config)}
    entering, record = 0.0, None
    for _ in range(20):
        before = {m: len(s.queue) for m, s in trainer.samplers.items()}
        record = trainer.step()
    assert record is not None
    assert set(planned) == set(record.modalities)
    for modality, part in record.modalities.items():
        one = planned[modality]
        assert {name: source.count for name, source in part.sources.items()} == one.candidates
        assert one.horizons == tuple(int(k) for k in part.horizons)
        assert before[modality] == 300
        assert part.latents_per_item == one.length - min(one.horizons)
        entering = min(3, part.latents_per_item) * 6
        assert one.queue_steps == pytest.approx(300 / entering)


@pytest.mark.parametrize("changes", [{}, {"audio.encoder": "convnet"}, {"audio.clip_seconds": 1.37, "audio.hop_ms": 7}])
def test_sequence_length_is_the_networks(changes: dict[str, object]) -> None:
    config = PRESETS["tones"].config().replace(SMALL | changes)
    trainer = Trainer(config, load_dataset(config), Fabric(accelerator="cpu", devices=1))
    clip = trainer.model.features["audio"](trainer.data.train.audio[:1])
    assert trainer.model.encode("audio", clip).shape[1] == sequence_length(config, "audio")


@pytest.mark.parametrize("sigma", [0.01, 0.1, 0.5])
def test_the_cosine_of_noisy_copies(sigma: float) -> None:
    config = RunConfig().replace({"sampler.sigma": sigma})
    z = torch.nn.functional.normalize(torch.randn(4000, 64), dim=1)
    noisy = torch.nn.functional.normalize(z + sigma * torch.randn(4000, 64), dim=1)
    expected = perturbed_cosine(config)
    assert expected == pytest.approx((z * noisy).sum(1).mean().item(), abs=0.01)
    assert perturbed_cosine(config.replace({"loss.similarity": "dot", "context.latent_norm": False})) is None


@pytest.mark.parametrize("preset", [name for name, one in PRESETS.items() if not one.needs_data])
def test_no_built_in_preset_is_stopped(preset: str) -> None:
    assert not [remark for remark in remarks(PRESETS[preset].config()) if remark.stops]


def test_the_seed_is_told_what_its_recipe_costs() -> None:
    told = " ".join(remark.text for remark in remarks(PRESETS["seed_tones_bars"].config()))
    for words in ("false negatives", "log 2", "collapse", "reaches back", "pushes the two apart"):
        assert words in told


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sampler.cross_modal": True}, "only one"),
        ({"loss.pair_weight": 1.0}, "only one"),
        ({"context.horizons": [900]}, "900 ahead"),
        ({"data.dataset": "image_folder"}, "No folder is given"),
        ({"data.dataset": "paired_folders", "data.path": "x"}, "No folder of pictures"),
    ],
)
def test_what_would_fail_is_stopped(changes: dict[str, object], words: str) -> None:
    [first, *_] = remarks(RunConfig().replace(changes))
    assert first.stops
    assert words in first.text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sampler.perturbed": True, "sampler.sigma": 0.01}, "right answer itself"),
        ({"sampler.queue_size": 200_000}, "times what all training items have"),
        ({"data.train_items": 100}, "less than two batches"),
        ({"data.dataset": "fsdd"}, "fetched before"),
    ],
)
def test_what_teaches_little_is_told(changes: dict[str, object], words: str) -> None:
    found = [remark.text for remark in remarks(RunConfig().replace(changes)) if not remark.stops]
    assert any(words in text for text in found)


def test_the_loss_never_needs_the_whole_matrix() -> None:
    [one] = plan(PRESETS["chirps"].config().replace({"sampler.queue_size": 262_144}))
    assert one.matrix_bytes == 4 * one.anchors * sum(one.candidates.values())
    assert one.loss_bytes < one.matrix_bytes / 10
    assert math.isclose(one.queue_steps or 0, 262_144 / one.candidates["in_batch"])
