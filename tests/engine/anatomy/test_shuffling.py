"""What shuffled negatives keep of their originals equals a loop over items and places, alone and on runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cpc_engine.anatomy.opened import Opened
from cpc_engine.anatomy.shuffling import Kept, kept_by_input, kept_by_permutation, shuffling
from cpc_engine.execution.execute import execute
from cpc_engine.model.encoded import whole_summary
from cpc_engine.model.frontends import shuffle_frames, shuffle_tiles
from cpc_engine.negatives.sampler import keys_of
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from cpc_engine.training.trainer import SHUFFLE_TILE
from tests.support.tiny import tiny

COPY = 0.95
SIZES = {"n": st.integers(1, 5), "t": st.integers(1, 6), "d": st.integers(1, 4), "seed": st.integers(0, 10**6)}


def cosine(a: list[float], b: list[float]) -> float:
    lengths = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(y * y for y in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths


def check(found: Kept, expected: list[list[float]]) -> None:
    """`expected`: the cosines of each item's shuffled negatives, one by one."""
    assert found.cosines.tolist() == pytest.approx([sum(row) / len(row) for row in expected], abs=1e-6)
    for part, row in zip(found.copies.tolist(), expected, strict=True):
        # A cosine at the very limit may be on either side.
        assert sum(c > COPY + 1e-6 for c in row) - 1e-9 <= part * len(row) <= sum(c > COPY - 1e-6 for c in row) + 1e-9


def drawn(n: int, t: int, d: int, seed: int) -> torch.Tensor:
    """Latents of which some are nearly alike."""
    generator = torch.Generator().manual_seed(seed)
    spread = torch.rand(n, 1, 1, generator=generator) ** 3
    return torch.randn(n, 1, d, generator=generator) + spread * torch.randn(n, t, d, generator=generator)


@given(**SIZES)
def test_shuffled_input_is_compared_place_by_place(n: int, t: int, d: int, seed: int) -> None:
    latents, shuffled = drawn(n, t, d, seed), drawn(n, t, d, seed + 1)
    shuffled[:, ::2] += 5 * latents[:, ::2]
    pairs = zip(latents.tolist(), shuffled.tolist(), strict=True)
    expected = [[cosine(own[place], other[place]) for place in range(t)] for own, other in pairs]
    check(kept_by_input(latents, shuffled), expected)


@given(**SIZES)
def test_permuted_latents_are_compared_with_every_one_that_can_take_their_place(
    n: int, t: int, d: int, seed: int
) -> None:
    latents = drawn(n, t, d, seed)
    own = latents.tolist()
    check(kept_by_permutation(latents, "time"), [[cosine(a, b) for a in item for b in item] for item in own])
    everything = [vector for item in own for vector in item]
    check(kept_by_permutation(latents, "batch"), [[cosine(a, b) for a in item for b in everything] for item in own])


def test_the_mean_is_that_of_many_permutations() -> None:
    latents, generator = drawn(4, 5, 3, 7), np.random.default_rng(0)
    flat, found = latents.flatten(0, 1), []
    for _ in range(4000):
        moved = flat[torch.from_numpy(generator.permutation(20))].view(4, 5, 3)
        found.append(kept_by_input(latents, moved))
    expected = kept_by_permutation(latents, "batch")
    assert torch.stack([one.cosines for one in found]).mean(0).numpy() == pytest.approx(expected.cosines, abs=0.02)
    assert torch.stack([one.copies for one in found]).mean(0).numpy() == pytest.approx(expected.copies, abs=0.02)


@given(n=st.integers(1, 4), t=st.integers(1, 5), d=st.integers(1, 70), seed=st.integers(0, 999))
def test_what_shuffling_does_not_change_has_a_cosine_of_1(n: int, t: int, d: int, seed: int) -> None:
    steady = torch.randn(n, 1, d, generator=torch.Generator().manual_seed(seed)).expand(n, t, d)
    one_place = steady[:, :1]
    for found in (
        kept_by_input(steady, steady),
        kept_by_permutation(steady, "time"),
        kept_by_permutation(steady[:1], "batch"),
        kept_by_permutation(one_place, "time"),
    ):
        assert found.cosines.tolist() == pytest.approx([1.0] * len(found.cosines), abs=1e-12)
        assert float(found.cosines.max()) <= 1
        assert found.copies.tolist() == [1.0] * len(found.copies)


@pytest.fixture(scope="module", params=["plain", "momentum", "norm"])
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """Sounds and pictures, with the item-level term, at an earlier and the present step."""
    every: dict[str, dict[str, Any]] = {
        "plain": {"loss__item_weight": 1.0},
        "momentum": {"sampler__key_momentum": 0.5, "loss__item_weight": 1.0, "optimizer__learning_rate": 0.05},
        "norm": {"context__batch_norm": True, "sampler__shuffled": "input", "loss__item_weight": 1.0},
    }
    changes = every[request.param]
    config = tiny(data__dataset="keypad", optimizer__steps=6, **changes)
    folder = RunFolder.create(tmp_path_factory.mktemp("shuffled"), config)
    assert execute(folder, Control()).status == "finished"
    return Opened(folder)


@pytest.mark.parametrize("modality", ["audio", "image"])
def test_on_a_run_every_item_is_shuffled_and_encoded_alone(opened: Opened, modality: str) -> None:
    trainer, count = opened.trainer, 6
    encoder = (trainer.ema or trainer.model.encoders)[modality]
    total = len(opened.held_out)
    rows = [opened.training_items + round(i * (total - 1) / (count - 1)) for i in range(count)]
    values = opened.items.take(torch.tensor(rows)).values(modality)  # type: ignore[arg-type]
    features = trainer.model.features[modality](values)
    generator = torch.Generator().manual_seed(opened.config.run.seed)
    if modality == "audio":
        destroyed = shuffle_frames(features, generator)
    else:
        destroyed = shuffle_tiles(features, SHUFFLE_TILE, generator)

    def latents(inputs: torch.Tensor) -> list[list[list[float]]]:
        encoder.eval()
        with torch.no_grad():
            found = [encoder(one[None]).latents[0] for one in inputs]
        return torch.stack(found).tolist()

    own, shuffled = latents(features), latents(destroyed)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    encoders = trainer.ema or trainer.model.encoders
    encoders.train()
    found = {
        shuffle: shuffling(opened, "prediction", modality, shuffle, count)  # type: ignore[arg-type]
        for shuffle in ("input", "time", "batch")
    }
    assert encoders.training, "as it was"
    assert all(torch.equal(value, before[name]) for name, value in trainer.model.state_dict().items())
    check(
        found["input"],
        [[cosine(a, b) for a, b in zip(*both, strict=True)] for both in zip(own, shuffled, strict=True)],
    )
    first = trainer.model.first_targets[modality]  # type: ignore[index]
    futures = [item[first:] for item in own]
    check(found["time"], [[cosine(a, b) for a in item for b in item] for item in futures])
    everything = [vector for item in futures for vector in item]
    check(found["batch"], [[cosine(a, b) for a in item for b in everything] for item in futures])
    again = shuffling(opened, "prediction", modality, "input", count)  # type: ignore[arg-type]
    assert torch.equal(again.cosines, found["input"].cosines), "the same order every time"


@pytest.mark.parametrize("modality", ["audio", "image"])
def test_embeddings_of_whole_items_are_those_of_the_keys(opened: Opened, modality: str) -> None:
    trainer = opened.trainer
    term = trainer.item_term
    assert term is not None
    layers = (
        term.slow
        if term.slow is not None
        else torch.nn.ModuleDict({"gru": trainer.model.gru, "heads": trainer.model.heads})
    )
    encoder = (trainer.ema or trainer.model.encoders)[modality]
    values = opened.items.take(torch.from_numpy(opened.held_out_rows(5))).values(modality)  # type: ignore[arg-type]
    features = trainer.model.features[modality](values)
    generator = torch.Generator().manual_seed(opened.config.run.seed)
    shuffle = shuffle_frames if modality == "audio" else lambda x, g: shuffle_tiles(x, SHUFFLE_TILE, g)

    def embeddings(inputs: torch.Tensor) -> list[list[float]]:
        encoder.eval()
        with torch.no_grad():
            encoded = encoder(inputs)
            network = layers["gru"]
            summaries = whole_summary(encoded, lambda latents: network.read(modality, latents).contexts())  # type: ignore[operator]
            return layers["heads"].get_submodule(modality)(summaries).tolist()  # type: ignore[no-any-return]

    own, destroyed = embeddings(features), embeddings(shuffle(features, generator))
    found = shuffling(opened, "item", modality, "input", 5)  # type: ignore[arg-type]
    check(found, [[cosine(a, b)] for a, b in zip(own, destroyed, strict=True)])
    alone = shuffling(opened, "item", modality, "time", 5)  # type: ignore[arg-type]
    assert alone.cosines.tolist() == pytest.approx([1.0] * 5), "one embedding of an item has no order"


def test_the_original_of_shuffled_input_in_training_is_the_one_at_its_place(opened: Opened) -> None:
    """What the sampler draws as shuffled is item by item and place by place what `shuffling` compares."""
    trainer = opened.trainer
    values = opened.items.take(torch.from_numpy(opened.held_out_rows(4))).values("audio")
    assert values is not None
    features = trainer.model.features["audio"](values)
    trainer.generator.manual_seed(opened.config.run.seed)
    encoders = trainer.ema or trainer.model.encoders
    encoders.eval()
    with torch.no_grad():
        own = encoders["audio"](features).latents
        destroyed = trainer.shuffled_input("audio", features).latents
    numbers = torch.arange(4)
    keys, shuffled = (keys_of("audio", latents, numbers, numbers, cosine=True) for latents in (own, destroyed))
    assert keys.ids.equal(shuffled.ids), "the same place of the same item"
    cosines = (keys.vectors * shuffled.vectors).sum(1).view(4, -1)
    found = shuffling(opened, "prediction", "audio", "input", 4)
    assert found.cosines.numpy() == pytest.approx(cosines.mean(1).numpy(), abs=1e-5)


def test_plain_pictures_are_the_same_in_any_order(tmp_path: Path) -> None:
    for name, color in (("red", (200, 20, 20)), ("blue", (20, 20, 200))):
        (tmp_path / "plain" / name).mkdir(parents=True)
        for number in range(12):
            shade = tuple(part + 3 * number for part in color)
            Image.new("RGB", (32, 32), shade).save(tmp_path / "plain" / name / f"{name}_{number}.png")
    changes = {"data__dataset": "image_folder", "data__path": str(tmp_path / "plain"), "optimizer__batch_size": 8}
    folder = RunFolder.create(tmp_path / "runs", tiny(**changes))
    assert execute(folder, Control()).status == "finished"
    found = shuffling(Opened(folder), "prediction", "image", "input")
    assert found.cosines.tolist() == pytest.approx([1.0] * len(found.cosines), abs=1e-12)
    assert found.copies.tolist() == [1.0] * len(found.copies)


def test_of_a_long_recording_the_clip_in_its_middle_is_shuffled(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "sounds" / name).mkdir(parents=True)
        for number in range(12):
            sound = draw.uniform(-0.5, 0.5, 4000 * (1 + number % 5))  # one to five clips of 0.5 s
            soundfile.write(tmp_path / "sounds" / name / f"{name}_{number}.wav", sound, 8000)
    changes = {"data__dataset": "audio_folder", "data__path": str(tmp_path / "sounds"), "optimizer__batch_size": 8}
    folder = RunFolder.create(tmp_path / "runs", tiny(**changes))
    assert execute(folder, Control()).status == "finished"
    opened = Opened(folder)
    items = opened.items.take(torch.arange(opened.training_items, len(opened.items)))
    assert items.audio is not None
    assert items.lengths is not None
    clips = [
        sound[length // 4000 // 2 * 4000 :][:4000]
        for sound, length in zip(items.audio, items.lengths.tolist(), strict=True)
    ]
    assert len({int(length) for length in items.lengths}) > 1
    model = opened.trainer.model
    features = model.features["audio"](torch.stack(clips))
    destroyed = shuffle_frames(features, torch.Generator().manual_seed(opened.config.run.seed))
    encoder = model.encoders["audio"].eval()
    with torch.no_grad():
        own, shuffled = (encoder(inputs).latents for inputs in (features, destroyed))
    found = shuffling(opened, "prediction", "audio", "input")
    assert found.cosines.numpy() == pytest.approx(kept_by_input(own, shuffled).cosines.numpy(), abs=1e-5)
