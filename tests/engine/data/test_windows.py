"""Recordings longer than a clip: training hears random windows of all of it, everything else several."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cpc_engine.config import RunConfig
from cpc_engine.data import load_dataset
from cpc_engine.data.dataset import Dataset, Split
from cpc_engine.data.windows import MOST_WINDOWS, all_windows, cut, latent_stride, mean_over_windows, random_windows
from cpc_engine.evaluation import metrics
from cpc_engine.evaluation.embed import embed
from cpc_engine.evaluation.metrics import encode, geometry_metrics, queue_drift
from cpc_engine.negatives.identity import NO_POSITION
from cpc_engine.training.fabric import Fabric
from cpc_engine.training.initial import new_model
from cpc_engine.training.trainer import Trainer
from tests.support.tiny_data import TINY

CONFIG = RunConfig().replace({**TINY, "sampler.queue_size": 256, "sampler.key_momentum": 0.5})
RATE, CLIP = CONFIG.audio.sample_rate, 2000


def recordings(lengths: list[int], seed: int = 0) -> Split:
    draw = torch.Generator().manual_seed(seed)
    audio = torch.randint(-9000, 9000, (len(lengths), max(lengths)), generator=draw).short()
    for row, length in enumerate(lengths):
        audio[row, length:] = 0
    names = tuple(map(str, range(len(lengths))))
    labels = torch.arange(len(lengths)) % 2
    return Split(audio, None, labels, names, names, torch.tensor(lengths))


def data_of(lengths: list[int]) -> Dataset:
    split = recordings(lengths)
    return Dataset("audio_folder", ("a", "b"), split, split, split, sample_rate=RATE)


@settings(max_examples=50)
@given(st.lists(st.integers(CLIP, 9 * CLIP), min_size=1, max_size=12), st.integers(0, 99))
def test_windows_are_stretches_of_their_recording(lengths: list[int], seed: int) -> None:
    split = recordings(lengths)
    windows, places = random_windows(split, CONFIG.audio, torch.Generator().manual_seed(seed))
    assert windows.audio is not None
    assert windows.audio.shape == (len(lengths), CLIP)
    for row, place in enumerate(places.tolist()):
        start = place * latent_stride(CONFIG.audio)
        assert start + CLIP <= lengths[row]
        assert torch.equal(windows.audio[row], split.recording(row)[start : start + CLIP])
    every, items = all_windows(split, CONFIG.audio)
    assert every.audio is not None
    assert sorted(set(items.tolist())) == list(range(len(lengths)))
    for row, length in enumerate(lengths):
        own = every.audio[items == row]
        assert len(own) == min(MOST_WINDOWS, -(-length // CLIP))
        assert torch.equal(own[0], split.recording(row)[:CLIP])
        if length > CLIP:
            assert torch.equal(own[-1], split.recording(row)[-CLIP:])


def test_random_windows_reach_every_part_of_a_recording() -> None:
    split = recordings([8 * CLIP])
    draw = torch.Generator().manual_seed(0)
    places = [int(random_windows(split, CONFIG.audio, draw)[1]) for _ in range(600)]
    possible = (8 * CLIP - CLIP) // latent_stride(CONFIG.audio) + 1
    assert set(places) == set(range(possible))


def test_clips_of_one_length_draw_nothing() -> None:
    split = recordings([CLIP, CLIP])
    draw = torch.Generator().manual_seed(0)
    before = draw.get_state()
    same, places = random_windows(Split(split.audio, None, split.labels, split.names, split.groups), CONFIG.audio, draw)
    assert torch.equal(draw.get_state(), before)
    assert same.audio is split.audio
    assert places.tolist() == [0, 0]


@settings(max_examples=30)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=9))
def test_means_over_windows_agree_with_a_loop(counts: list[int]) -> None:
    items = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    values = torch.randn(len(items), 3)
    expected = torch.stack([values[items == item].mean(0) for item in range(len(counts))])
    assert torch.allclose(mean_over_windows(values, items), expected, atol=1e-6)


def test_features_of_an_item_are_the_mean_over_its_windows() -> None:
    data = data_of([CLIP, 3 * CLIP, 9 * CLIP, 2 * CLIP + 7])
    model = new_model(CONFIG, data).eval()
    together = embed(model, data.test, batch_size=3)["audio"]
    encoded = encode(model, data.test)["audio"]
    for row in range(4):
        windows, _ = all_windows(data.test.take(torch.tensor([row])), CONFIG.audio)
        alone = embed(model, windows)["audio"]
        for name in alone.names():
            assert torch.allclose(getattr(together, name)[row], getattr(alone, name).mean(0), atol=1e-5)
        assert torch.allclose(encoded.contexts[row], alone.mean_context.mean(0), atol=1e-5)
    assert geometry_metrics(model, data.test, CONFIG)["information_bound"] <= np.log(4)


def test_queued_latents_keep_their_place_in_the_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoded again at once, with the same weights and no augmentation, every queued latent is what it was.

    Nearly: a spectrum at the edge of a clip does not see what lies beyond.
    """
    config = CONFIG.replace(
        {"audio.shift": 0.0, "audio.gain_db": 0.0, "audio.noise": 0.0, "optimizer.learning_rate": 1e-8}
    )
    data = data_of([5 * CLIP + 123 * row for row in range(24)])
    trainer = Trainer(config, data, Fabric(accelerator="cpu", devices=1))
    for _ in range(4):
        trainer.step()
    state = trainer.prediction.samplers["audio"].queue.state()
    assert int((state["ids"] & NO_POSITION).max()) > CLIP // latent_stride(config.audio)
    drift = queue_drift(trainer, "audio")
    assert drift is not None
    assert drift > 0.97
    monkeypatch.setattr(metrics, "cut", lambda split, rows, starts, n: cut(split, rows, (starts - 80).clamp(min=0), n))
    misplaced = queue_drift(trainer, "audio")
    assert misplaced is not None
    assert misplaced < drift - 0.1


@pytest.fixture
def clicks(tmp_path: Path) -> Path:
    """Recordings of 3 s: a class is told by a quiet tone, and one click at the same place is the loudest moment."""
    draw = np.random.default_rng(0)
    for label, hertz in (("low", 300), ("high", 900)):
        (tmp_path / label).mkdir()
        for number in range(12):
            wave = 0.02 * np.sin(2 * np.pi * (hertz * np.arange(3 * RATE) / RATE + draw.random()))
            wave += 0.03 * draw.standard_normal(len(wave))
            wave[2 * RATE : 2 * RATE + 8] = 0.9
            soundfile.write(tmp_path / label / f"{draw.integers(1e9)}_{number}.wav", wave, RATE)
    return tmp_path


def test_one_click_does_not_choose_what_is_heard(clicks: Path) -> None:
    config = CONFIG.replace({"data.dataset": "audio_folder", "data.path": str(clicks), "data.train_items": 0})
    data = load_dataset(config)
    assert data.train.lengths is not None
    assert data.train.lengths.tolist() == [3 * RATE] * len(data.train)
    draw = torch.Generator().manual_seed(0)
    heard = torch.stack([random_windows(data.train, config.audio, draw)[0].audio for _ in range(20)])  # type: ignore[misc]
    with_click = (heard.abs() > 20000).any(2).float().mean()
    assert 0.05 < with_click < 0.4  # its window is a sixth of the recording
    loudest = load_dataset(config.replace({"audio.recording_seconds": 0.5}))
    assert loudest.train.lengths is None
    assert loudest.train.audio is not None
    assert (loudest.train.audio.abs() > 20000).any(1).all()
