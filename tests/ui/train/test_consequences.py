"""What is said of a source's settings on Train."""

from __future__ import annotations

import pytest

from cpc_engine.presets import PRESETS
from cpc_engine.training.plan import plan
from ui.train.consequences import consequence


def said(preset: str, changes: dict[str, object], items: int | None = None) -> str:
    config = PRESETS[preset].config().replace(changes)
    return consequence("queue", config, plan(config, items=items))


@pytest.mark.parametrize("items", [None, 8000])
def test_each_loss_has_a_queue_of_its_own(items: int | None) -> None:
    words = said("cifar10", {"sampler.queue_size": 4096}, items)
    latents, whole = words.split("Item-level loss: ")
    assert "steps back" in latents
    assert float(whole.split()[0]) > float(latents.split()[0]), "one embedding per item and not many latents"
    alone = said("cifar10", {"sampler.queue_size": 4096, "loss.prediction_weight": 0.0})
    assert alone.startswith("Item-level loss: ")


def test_modalities_that_differ_are_both_counted() -> None:
    config = PRESETS["reference_tones_bars"].config().replace({"sampler.queue_size": 4096})
    ends = sorted(part.queue_steps or 0 for part in plan(config))
    assert f"{ends[0]:.1f}–{ends[1]:.1f} steps" in said("reference_tones_bars", {"sampler.queue_size": 4096})


def test_nothing_is_said_of_a_share_that_is_not_known() -> None:
    assert "of the data" not in said("audio_folder", {"sampler.queue_size": 4096, "loss.item_weight": 0.0}, 200)
    assert "of the data" in said("image_folder", {"sampler.queue_size": 4096}, 200)
