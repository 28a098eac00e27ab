"""Tests of the geometry metrics of a network: on how many items each is taken."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from cpc_engine.config import RunConfig
from cpc_engine.data.dataset import Split
from cpc_engine.evaluation import geometry
from cpc_engine.evaluation.metrics import Encoded, geometry_metrics
from cpc_engine.model import Encoding, MultiModalCPC
from cpc_engine.terms import Modality
from cpc_engine.training.initial import new_model
from tests.support.tiny_data import TINY, dataset

CONFIG = RunConfig().replace(TINY)


@pytest.fixture(scope="module")
def model() -> MultiModalCPC:
    return new_model(CONFIG, dataset(audio=True, image=True))


def encoded(items: int, modalities: tuple[Modality, ...] = ("audio",)) -> dict[Modality, Encoded]:
    """Random items of one distribution: 3 positions, and horizon 1."""
    draw = torch.Generator().manual_seed(items)

    def encode() -> Encoded:
        encoding = Encoding(
            latents=torch.randn(items, 3, 40, generator=draw),
            contexts=torch.randn(items, 3, 40, generator=draw),
            orders=torch.arange(3)[None],
            anchors={1: torch.arange(2)},
            targets={1: torch.arange(1, 3)},
            predictions={1: torch.randn(items, 2, 40, generator=draw)},
            summary=torch.zeros(items, 1),
        )
        return Encoded(encoding, torch.arange(items), encoding.contexts.mean(1))

    return {modality: encode() for modality in modalities}


def split(items: int) -> Split:
    """All different, in both modalities."""
    labels, numbers = torch.arange(items) % 2, torch.arange(items)
    pixels = torch.stack([numbers % 256, numbers // 256, 0 * numbers], 1).to(torch.uint8)[:, :, None, None]
    return Split(numbers.to(torch.int16)[:, None], pixels, labels, ("",) * items, ("",) * items)


def test_ranks_and_bound_do_not_depend_on_the_number_of_items(model: MultiModalCPC) -> None:
    """At 1000 items as at 128, where all rows would give more; with fewer items than 128 the number says so."""
    many, some, few = (geometry_metrics(model, split(n), CONFIG, encoded(n)) for n in (1000, 128, 64))
    assert (many["rank_items"], some["rank_items"], few["rank_items"]) == (128, 128, 64)
    all_rows = encoded(1000)["audio"].contexts
    for name, centered in (("effective_rank", True), ("effective_rank_uncentered", False)):
        assert many[name] == pytest.approx(some[name], abs=0.5)
        assert geometry.effective_rank(all_rows, centered) > some[name] + 1
        assert few[name] < some[name] - 1
    assert many["information_bound"] <= math.log(128)


@pytest.mark.parametrize("orders", [1, 2, 4])
def test_the_bound_is_that_of_the_middle_prediction_of_the_first_order(model: MultiModalCPC, orders: int) -> None:
    one = encoded(20)["audio"]
    latents, first = one.encoding.latents, one.encoding.predictions[1]
    others = torch.randn(20, 2 * (orders - 1), 40)
    encoding = replace(
        one.encoding,
        orders=torch.arange(3).expand(orders, 3),
        targets={1: torch.arange(1, 3).repeat(orders)},
        predictions={1: torch.cat([first, others], 1)},
    )
    found = geometry_metrics(model, split(20), CONFIG, {"audio": replace(one, encoding=encoding)})
    anchors, futures = (F.normalize(x, dim=1) for x in (first[:, 1], latents[:, 2]))
    loss = F.cross_entropy(anchors @ futures.T * model.scale(), torch.arange(20))
    assert found["information_bound"] == pytest.approx(math.log(20) - float(loss), rel=1e-5)


def test_ranks_are_means_over_disjoint_subsets(model: MultiModalCPC) -> None:
    found = geometry_metrics(model, split(300), CONFIG, encoded(300))
    pooled = encoded(300)["audio"].contexts
    slow = [geometry.effective_rank(pooled[rows.tolist()]) for rows in geometry.item_subsets(300)]
    assert len(slow) == 2
    assert found["effective_rank"] == pytest.approx(sum(slow) / 2)


def test_every_modality_and_both_together_say_on_how_many_items(model: MultiModalCPC) -> None:
    found = geometry_metrics(model, split(100), CONFIG, encoded(100, ("audio", "image")))
    assert (found["audio.rank_items"], found["image.rank_items"], found["rank_items"]) == (100, 100, 128)
    assert found["retrieval_items"] == 200


def test_metrics_across_modalities_are_those_of_the_mean_contexts(model: MultiModalCPC) -> None:
    items, both = split(100), encoded(100, ("audio", "image"))
    found = geometry_metrics(model, items, CONFIG, both)
    audio, image = both["audio"].contexts, both["image"].contexts + 0.3  # else the modalities are alike
    both["image"] = replace(both["image"], contexts=image)
    moved = geometry_metrics(model, items, CONFIG, both)
    assert found["modality_accuracy"] != moved["modality_accuracy"]
    expected = {
        "modality_gap": geometry.modality_gap(audio, image),
        "modality_accuracy": geometry.modality_accuracy(audio, image, CONFIG.run.seed),
        "pair_alignment": geometry.alignment(audio, image),
        "uniformity": geometry.uniformity(torch.cat([audio, image])),
        "retrieval_class": geometry.retrieval_at_1(audio, image, items.labels, items.labels),
        "retrieval_class_reverse": geometry.retrieval_at_1(image, audio, items.labels, items.labels),
        "retrieval_pair": geometry.retrieval_at_1(audio, image, torch.arange(100), torch.arange(100)),
        "audio.effective_rank_uncentered": geometry.effective_rank(audio, centered=False),
        "image.effective_rank": geometry.effective_rank(image),
    }
    assert {name: moved[name] for name in expected} == pytest.approx(expected)
