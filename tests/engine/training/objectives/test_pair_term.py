"""The pair term against a slow reference and against its smallest value."""

from __future__ import annotations

import math
from statistics import fmean

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from cpc_engine.data import load_dataset
from cpc_engine.training.fabric import Fabric
from cpc_engine.training.objectives.pair_term import class_pair_loss, pair_loss
from cpc_engine.training.trainer import Trainer
from tests.support.tiny import tiny


@settings(max_examples=40)
@given(
    batch=st.integers(2, 9),
    classes=st.integers(1, 4),
    lengths=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    temperature=st.floats(0.05, 2),
    seed=st.integers(0, 1000),
)
def test_all_of_a_class_attract_as_in_the_supervised_contrastive_loss(
    batch: int, classes: int, lengths: tuple[int, int], temperature: float, seed: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(batch, length, 6, generator=draw, dtype=torch.float32) for length in lengths)
    labels = torch.randint(classes, (batch,), generator=draw)
    expected = 0.0
    for queries, gallery in ((first, second), (second, first)):
        for anchor in range(batch):
            cosines = [F.cosine_similarity(queries[anchor].mean(0), other.mean(0), dim=0) for other in gallery]
            scores = [math.exp(float(cosine) / temperature) for cosine in cosines]
            partners = [row for row in range(batch) if labels[row] == labels[anchor]]
            expected -= fmean(math.log(scores[row] / sum(scores)) for row in partners) / (2 * batch)
    assert float(class_pair_loss(first, second, labels, temperature)) == pytest.approx(expected, rel=1e-4)


@settings(max_examples=40)
@given(
    batch=st.integers(2, 9),
    numbers=st.integers(1, 9),
    lengths=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    temperature=st.floats(0.05, 2),
    seed=st.integers(0, 1000),
)
def test_a_partner_is_found_among_the_partners_of_other_pairs(
    batch: int, numbers: int, lengths: tuple[int, int], temperature: float, seed: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(batch, length, 6, generator=draw, dtype=torch.float32) for length in lengths)
    pairs = torch.randint(numbers, (batch,), generator=draw)
    expected = 0.0
    for queries, gallery in ((first, second), (second, first)):
        for anchor in range(batch):
            cosines = [F.cosine_similarity(queries[anchor].mean(0), other.mean(0), dim=0) for other in gallery]
            scores = [math.exp(float(cosine) / temperature) for cosine in cosines]
            others = sum(scores[row] for row in range(batch) if pairs[row] != pairs[anchor])
            expected -= math.log(scores[anchor] / (scores[anchor] + others)) / (2 * batch)
    assert float(pair_loss(first, second, pairs, temperature)) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_the_smallest_value_is_the_spread_over_the_partners() -> None:
    labels = torch.tensor([0, 0, 0, 1])
    contexts = 50 * torch.eye(2)[labels][:, None]
    least = (3 * math.log(3) + math.log(1)) / 4
    assert float(class_pair_loss(contexts, contexts, labels, 0.05)) == pytest.approx(least, abs=1e-5)


def test_a_run_draws_classes_together_across_the_modalities() -> None:
    """With no other term the loss of a run is that of the pair term, and it falls to near its smallest value."""
    config = tiny().replace(
        {
            "data.dataset": "tones_bars",
            "data.train_items": 32,
            "optimizer.batch_size": 16,
            "optimizer.learning_rate": 0.01,
            "optimizer.steps": 200,
            "loss.prediction_weight": 0.0,
            "loss.pair_weight": 1.0,
            "loss.pair_positives": "class",
            "loss.pair_temperature": 0.1,
        }
    )
    run = Trainer(config, load_dataset(config), Fabric(accelerator="cpu", devices=1))
    records = [run.step() for _ in range(60)]
    first, last = records[0], records[-1]
    assert first is not None
    assert last is not None
    assert last.loss == pytest.approx(last.pair_loss, rel=1e-5)
    assert last.pair_loss < first.pair_loss - 0.5
