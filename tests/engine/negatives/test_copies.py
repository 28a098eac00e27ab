"""A content that stands in several rows is one item: to masks, to the pair term, to the queue and to metrics."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cpc_engine.config import RunConfig, SamplerConfig
from cpc_engine.data.dataset import Dataset, Split
from cpc_engine.evaluation import geometry
from cpc_engine.evaluation.metrics import encode, geometry_metrics, queue_drift
from cpc_engine.negatives.identity import item_index
from cpc_engine.negatives.infonce import info_nce
from cpc_engine.negatives.sampler import HybridSampler, keys_of
from cpc_engine.terms import MODALITIES, Modality
from cpc_engine.training.fabric import Fabric
from cpc_engine.training.objectives.pair_term import pair_loss
from cpc_engine.training.trainer import Trainer
from tests.support.tiny_data import TINY, dataset

pairings = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=12)


def paired(sounds: list[int], pictures: list[int]) -> Split:
    """A split of few values whose row i has the sound and the picture with these numbers."""
    names = tuple(map(str, range(len(sounds))))
    clips = torch.tensor(sounds, dtype=torch.int16)[:, None].expand(-1, 4)
    pixels = torch.tensor(pictures, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 2, 2)
    return Split(clips, pixels, torch.arange(len(sounds)) % 2, names, names)


def components(sounds: list[int], pictures: list[int]) -> list[set[int]]:
    """For each row all rows that it is linked with, by walking from row to row."""
    found = []
    for start in range(len(sounds)):
        seen, waiting = {start}, [start]
        while waiting:
            row = waiting.pop()
            for other in range(len(sounds)):
                if other not in seen and (sounds[other] == sounds[row] or pictures[other] == pictures[row]):
                    seen.add(other)
                    waiting.append(other)
        found.append(seen)
    return found


@given(pairings)
def test_contents_and_pairs_are_those_of_a_comparison_row_by_row(rows: list[tuple[int, int]]) -> None:
    sounds, pictures = [list(column) for column in zip(*rows, strict=True)]
    split = paired(sounds, pictures)
    assert split.contents["audio"].tolist() == [sounds.index(number) for number in sounds]
    assert split.contents["image"].tolist() == [pictures.index(number) for number in pictures]
    assert split.pairs.tolist() == [min(seen) for seen in components(sounds, pictures)]
    for modality in MODALITIES:
        values = split.values(modality)
        assert values is not None
        assert torch.equal(values[split.contents[modality]], values)
        assert len(split.distinct(modality)) == len(values.unique(dim=0))
    some = split.take(torch.arange(len(rows) - 1, -1, -2))
    assert some.contents["audio"].tolist() == [sounds[::-2].index(number) for number in sounds[::-2]]
    assert split.to("cpu").pairs.tolist() == split.pairs.tolist()


@settings(max_examples=60)
@given(pairings, st.booleans(), st.sampled_from(["off", "batch", "input"]), st.integers(0, 10**6))
def test_every_source_masks_the_copies_of_an_item(
    rows: list[tuple[int, int]], same_item: bool, shuffled: Any, seed: int
) -> None:
    """Masked cells against a comparison of contents, cell by cell."""
    sounds, pictures = [list(column) for column in zip(*rows, strict=True)]
    split, length, dim = paired(sounds, pictures), 3, 8
    torch.manual_seed(seed)

    def keys(modality: Modality) -> Any:
        latents, items = torch.randn(len(rows), length, dim), split.contents[modality]
        return keys_of(modality, latents, items, split.labels, True, split.pairs)

    config = SamplerConfig(queue_size=64, perturbed=True, cross_modal=True, shuffled=shuffled, same_item=same_item)
    sampler = HybridSampler(config, dim, True, torch.Generator().manual_seed(0))
    futures = keys("audio").futures(1)
    sampler.enqueue(futures, 0)
    other_input = keys("audio") if shuffled == "input" else None
    candidates = sampler.candidates(futures, 1, keys("image"), other_input)
    positives = torch.arange(len(futures.ids))
    stats = info_nce(futures.vectors, positives, candidates, torch.tensor(1.0), labels=futures.labels).stats
    assert stats is not None

    anchors = [(row, position) for row in range(len(rows)) for position in range(1, length)]
    linked = components(sounds, pictures)
    copies = sum(sounds[a] == sounds[b] and (p == q or not same_item) for a, p in anchors for b, q in anchors) / len(
        anchors
    )
    partners = sum(b in linked[a] for a, _ in anchors for b in range(len(rows))) * length / len(anchors)
    of_sound = sum(sounds[a] == sounds[b] for a, _ in anchors for b in range(len(rows))) * length / len(anchors)
    expected = {"in_batch": copies, "queue": copies, "perturbed": copies, "cross_modal": partners}
    if shuffled != "off":
        input_copies = 0.0 if same_item else of_sound
        expected["shuffled"] = copies if shuffled == "batch" else input_copies
    assert {name: source.masked for name, source in stats.sources.items()} == pytest.approx(expected, abs=1e-4)


def repeated(rows: list[int], audio: list[int]) -> Dataset:
    """The tiny paired data with the pictures of `rows` and the sounds of `audio` as its training items."""
    data = dataset(audio=True, image=True)
    clips, pixels = data.train.audio, data.train.image
    assert clips is not None
    assert pixels is not None
    names = tuple(f"{i}" for i in range(len(rows)))
    train = Split(clips[audio], pixels[rows], data.train.labels[rows], names, names)
    return Dataset("tiny", data.classes, train, data.validation, data.test, data.sample_rate, data.image_side)


def trainer(data: Dataset, **changes: object) -> Trainer:
    config = RunConfig().replace(TINY | {name.replace("__", "."): value for name, value in changes.items()})
    return Trainer(config, data, Fabric(accelerator="cpu", devices=1))


def test_the_pair_term_does_not_push_a_sound_from_the_pictures_it_stands_beside() -> None:
    rows, audio = [0, 2, 4, 6, 8, 10, 12, 14], [0, 2, 2, 2, 8, 10, 12, 14]  # rows 1, 2, 3 share their sound
    data = repeated(rows, audio)
    # All cosines are 0, so a sound's gradient along picture j is that of their logit.
    contexts: dict[Modality, Tensor] = {"audio": torch.eye(16)[8:, None], "image": torch.eye(16)[:8, None]}
    sounds = contexts["audio"].requires_grad_()
    loss = pair_loss(sounds, contexts["image"], data.train.pairs, temperature=0.2)
    push = torch.autograd.grad(loss, sounds)[0][:, 0, :8]
    sharing = torch.tensor(audio)[:, None] == torch.tensor(audio)
    own = torch.eye(8, dtype=torch.bool)
    assert (push[own] < 0).all()
    assert (push[sharing & ~own] == 0).all()
    assert (push[~sharing] > 0).all()


def test_the_queue_names_an_item_that_holds_the_latent() -> None:
    """Copies are queued as the first of them, and encoding that one again gives the same latent."""
    rows = [0, 2, 4, 6, 0, 2, 4, 6, 8, 10, 12, 14]
    data = repeated(rows, list(range(12)))
    cpc = trainer(data, sampler__queue_size=4096, optimizer__batch_size=12, optimizer__learning_rate=1e-6)
    cpc.step()
    items = item_index(cpc.prediction.samplers["image"].queue.state()["ids"]).unique().tolist()
    assert items == [0, 1, 2, 3, 8, 9, 10, 11]
    drift = queue_drift(cpc, "image")
    assert drift is not None
    assert drift > 0.5


def test_metrics_count_a_repeated_picture_once() -> None:
    rows, audio = [0, 2, 4, 6, 0, 2, 4, 6, 0, 2], list(range(10))
    data = repeated(rows, audio)
    cpc = trainer(data)
    encodings = encode(cpc.model, data.train)
    metrics = geometry_metrics(cpc.model, data.train, cpc.config, encodings)
    sounds, pictures = (encodings[m].contexts for m in MODALITIES)
    once = pictures[:4]
    assert metrics["image.uniformity"] == pytest.approx(geometry.uniformity(once))
    assert metrics["image.effective_rank"] == pytest.approx(geometry.effective_rank(once))
    assert metrics["modality_gap"] == pytest.approx(geometry.modality_gap(sounds, once))
    nearest = torch.nn.functional.normalize(sounds, dim=1) @ torch.nn.functional.normalize(once, dim=1).T
    hits = nearest.argmax(1) == torch.arange(10) % 4
    assert metrics["retrieval_pair"] == pytest.approx(hits.double().mean().item())
    alike = repeated([0] * 6, list(range(6))).train
    assert geometry_metrics(cpc.model, alike, cpc.config)["image.uniformity"] == pytest.approx(0)
