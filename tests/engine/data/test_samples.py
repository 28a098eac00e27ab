"""Wherever a part of the data stands for all of it, the order of the data must not decide which part."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cpc_engine.config import RunConfig
from cpc_engine.data.dataset import Dataset, Split
from cpc_engine.data.splits import sample_rows
from cpc_engine.evaluation import ood
from cpc_engine.maps.snapshots import SnapshotRecorder
from cpc_engine.maps.stored import save_maps
from cpc_engine.model import MultiModalCPC
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.initial import new_model
from tests.support.tiny_data import TINY

SPEAKERS, CLASSES, TAKES = 6, 4, 50
LENGTH = 4000


def sorted_split(takes: int = TAKES) -> Split:
    """Sorted as badly as can be: class by class, speaker by speaker, and the first of each class is the quietest."""
    labels = torch.arange(CLASSES).repeat_interleave(SPEAKERS * takes)
    speakers = torch.arange(SPEAKERS).repeat_interleave(takes).repeat(CLASSES)
    level = 10.0 ** (1 + 0.3 * speakers + 0.5 * labels)
    draw = torch.Generator().manual_seed(0)
    clips = (torch.randn(len(labels), LENGTH, generator=draw) * level[:, None]).clamp(-32768, 32767).to(torch.int16)
    return Split(
        audio=clips,
        image=None,
        labels=labels,
        names=tuple(f"{label}/{row}" for row, label in enumerate(labels.tolist())),
        groups=tuple(f"speaker {speaker}" for speaker in speakers.tolist()),
    )


@pytest.fixture(scope="module")
def data() -> Dataset:
    split = sorted_split()
    return Dataset("audio_folder", tuple("abcd"), split, split, split, sample_rate=8000)


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return RunConfig().replace(
        {**TINY, "audio.sample_rate": 8000, "audio.clip_seconds": LENGTH / 8000, "evaluation.map_items": 60}
    )


def cells(split: Split, rows: Tensor) -> Counter[tuple[int, str]]:
    """How many of the chosen rows each speaker has in each class."""
    return Counter((int(split.labels[row]), split.groups[row]) for row in rows.tolist())


@settings(max_examples=50)
@given(st.integers(1, 400), st.integers(0, 99))
def test_a_sample_is_balanced_in_whatever_order_the_data_come(limit: int, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    labels, groups = torch.randint(3, (300,), generator=draw), torch.randint(5, (300,), generator=draw)
    order = (labels * 5 + groups).argsort()
    names = tuple(map(str, range(300)))
    split = Split(None, None, labels[order], names, tuple(f"g{g}" for g in groups[order].tolist()))
    rows = sample_rows(split, limit, seed)
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert len(rows) == min(limit, 300)
    chosen, available = cells(split, rows), cells(split, torch.arange(300))
    for label in range(3):
        most = max((n for (of, _), n in chosen.items() if of == label), default=0)
        assert all(chosen[cell] >= min(most - 1, n) for cell, n in available.items() if cell[0] == label)
    per_class = Counter(split.labels[rows].tolist())
    most = max(per_class.values())
    assert all(per_class[label] >= min(most - 1, int((labels == label).sum())) for label in range(3))


def test_another_seed_takes_another_sample_of_one_size(data: Dataset) -> None:
    first, second = (sample_rows(data.train, 120, seed) for seed in (0, 1))
    assert not torch.equal(first, second)
    assert torch.equal(sample_rows(data.train, 60, 0), first[torch.isin(first, sample_rows(data.train, 60, 0))])


def test_calibration_leaves_no_band_off_center(data: Dataset, config: RunConfig) -> None:
    bands = new_model(config, data).audio_features(data.train.audio)
    assert bands.mean((0, 2)).abs().max() < 0.2
    assert (bands.std((0, 2)) - 1).abs().max() < 0.2


def test_typicality_refers_to_every_speaker_of_every_class(
    data: Dataset, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Split] = []
    embed = ood.embed

    def spy(model: MultiModalCPC, split: Split) -> object:
        seen.append(split)
        return embed(model, split)

    monkeypatch.setattr(ood, "embed", spy)
    monkeypatch.setattr(ood, "TRAINING_ITEMS", 96)
    monkeypatch.setattr(ood, "VALIDATION_ITEMS", 48)
    ood.fit_ood_reference(new_model(config, data), data.train, data.validation, seed=0)
    for split, each in zip(seen, (4, 2), strict=True):
        assert set(cells(split, torch.arange(len(split))).values()) == {each}
        assert len(cells(split, torch.arange(len(split)))) == SPEAKERS * CLASSES


def test_metrics_snapshots_and_maps_show_every_speaker(data: Dataset, config: RunConfig, tmp_path: Path) -> None:
    few = config.replace({"evaluation.items": 48})
    folder = RunFolder.create(tmp_path, few)
    recorder = SnapshotRecorder(folder, data, few)
    assert set(cells(data.validation, recorder.measured_rows).values()) == {2}
    stored = save_maps(folder, new_model(few, data), data, few)
    assert set(cells(data.test, torch.from_numpy(stored.rows)).values()) <= {2, 3}
    assert len(cells(data.test, torch.from_numpy(stored.rows))) == SPEAKERS * CLASSES
