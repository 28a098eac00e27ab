"""Typicality, and how stable a place is."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from cpc_engine.data.dataset import Split
from cpc_engine.evaluation.embed import embed
from cpc_engine.media import Sound
from cpc_engine.placing import Placed, Placer
from cpc_engine.placing.perturbations import PERTURBED_COPIES, perturbed_clips, perturbed_pictures
from cpc_engine.storage.artifacts import load_ood_reference
from cpc_engine.storage.folder import RunFolder
from tests.support.placed import TYPICAL, held_out, noise_picture, tone

pytest_plugins = ["tests.support.recorded"]


def test_what_the_run_knows_is_typical_and_noise_is_not(tones: Placer) -> None:
    split = held_out(tones)
    assert split.audio is not None
    own = [tones.place(Sound(clip.numpy() / np.float32(32768), 8000)) for clip in split.audio]
    assert {found.verdict for found in own} <= set(TYPICAL)
    assert np.mean([found.verdict == "typical" for found in own]) > 0.8
    noise = np.random.default_rng(0).normal(0, 0.2, 4000).clip(-1, 1).astype(np.float32)
    for samples in (noise, np.zeros(4000, np.float32)):
        found = tones.place(Sound(samples, 8000))
        known = found.validation_items
        assert known == 40
        assert found.typicality == pytest.approx(100 / (known + 1)), "beyond all of them"
        assert found.verdict == "borderline", "40 validation items cannot say more"
        assert found.typicality_words == (
            "Typicality 2.44 of 100. None of 40 validation items is as unusual as this. "
            "To call it unlike would take at least 99 of them."
        )


@pytest.mark.parametrize(("items", "verdict"), [(9, TYPICAL[3]), (19, TYPICAL[1]), (99, TYPICAL[2])])
def test_noise_is_called_only_what_the_validation_items_can_tell(
    tones: Placer, tmp_path: Path, items: int, verdict: str
) -> None:
    """A run's stored reference, cut or repeated to so many validation items."""
    copy = RunFolder(Path(shutil.copytree(tones.folder.path, tmp_path / "copy")))
    tensors = dict(copy.tensors("typicality"))
    tensors["audio.known"] = tensors["audio.known"].repeat(3)[:items].sort().values
    copy.save_tensors("typicality", tensors)
    noise = np.random.default_rng(0).normal(0, 0.2, 4000).clip(-1, 1).astype(np.float32)
    found = Placer(copy).place(Sound(noise, 8000))
    assert (found.validation_items, found.verdict) == (items, verdict)
    assert found.typicality == pytest.approx(100 / (items + 1))
    assert ("would take" in found.typicality_words) == (items < 99)
    assert Placed("noise", found).to_dict()["validation_items"] == items


def test_a_window_is_ranked_only_among_recordings_of_its_own_length(tones: Placer, recordings: RunFolder) -> None:
    longer = Placer(recordings)
    for placer in (tones, longer):
        found = placer.place(tone(1.4, 320))
        assert found.typicality is not None, "a whole sound always is"
        assert len(found.windows) > 1
        assert [window.typicality is not None for window in found.windows] == [placer is tones] * len(found.windows)
        told = [window["typicality"] for window in Placed("long.wav", found).to_dict()["windows"]]
        assert told == [window.typicality for window in found.windows]
    assert not any(window.is_unlike for window in longer.place(tone(1.4, 3000)).windows), "so its class stays"


def test_evaluation_keeps_what_typical_items_are_like(bars: Placer, tmp_path: Path) -> None:
    assert set(load_ood_reference(bars.folder, bars.model)) == {"image"}
    copy = RunFolder(Path(shutil.copytree(bars.folder.path, tmp_path / "copy")))
    copy.save_tensors("typicality", {"image.known": torch.zeros(2)})
    placed = Placer(copy).place(noise_picture())
    assert placed.verdict is None
    assert any("typicality.safetensors is damaged (inputs.mean is missing)" in note for note in placed.notes)
    (copy.path / "typicality.safetensors").unlink()
    found = Placer(copy).place(noise_picture())
    assert (found.typicality, found.validation_items, found.verdict) == (None, None, None)
    assert found.typicality_words == ""
    copy.forget_after(0)
    assert not copy.has_tensors("typicality")


def test_stability_is_that_of_the_noisy_copies(tones: Placer) -> None:
    found = tones.place(tone(0.5))
    clip = (tone(0.5).samples * 32768).round().clip(-32768, 32767).astype(np.int16)
    copies = Split(
        perturbed_clips(torch.from_numpy(clip)),
        None,
        torch.zeros(PERTURBED_COPIES),
        ("",) * PERTURBED_COPIES,
        ("",) * PERTURBED_COPIES,
    )
    contexts = embed(tones.model, copies)["audio"].mean_context
    cosines = torch.nn.functional.cosine_similarity(contexts, torch.from_numpy(found.embedding)[None])
    assert found.stability.copies == PERTURBED_COPIES == 8
    assert found.stability.cosine == pytest.approx(float(cosines.mean()), abs=1e-4)
    assert found.stability.agreement is not None
    assert 0 <= found.stability.agreement <= 1


def test_noisy_copies_are_near_the_item_and_always_the_same() -> None:
    clip = torch.zeros(4000, dtype=torch.int16)
    clip[1000:3000] = torch.from_numpy((tone(0.25).samples * 20_000).astype(np.int16))
    picture = torch.randint(0, 255, (3, 32, 32), generator=torch.Generator().manual_seed(0)).byte()
    for item, make in ((clip, perturbed_clips), (picture, perturbed_pictures)):
        copies = make(item)
        assert copies.shape == (8, *item.shape)
        assert copies.dtype == item.dtype
        assert torch.equal(copies, make(item))
        assert len({copy.numpy().tobytes() for copy in copies}) == 8
        assert all(not torch.equal(copy, item) for copy in copies)
    assert not perturbed_clips(clip)[:, :900].any()  # silence that fills a clip up stays silence
    assert not perturbed_clips(torch.zeros(100, dtype=torch.int16)).any()
    assert (perturbed_pictures(torch.full((3, 8, 8), 100, dtype=torch.uint8)).float() - 100).abs().max() < 20
