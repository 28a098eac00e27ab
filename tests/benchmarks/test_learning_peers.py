"""The peers of `benchmarks.learning`: their views and losses are those that they claim to be."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightly.loss import NTXentLoss
from lightly.models.utils import update_momentum
from scipy.stats import ks_2samp
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from torchvision.transforms.v2 import RandomResizedCrop
from torchvision.transforms.v2 import functional as oracle

from benchmarks.learning import cpc_audio, two_views, views
from tests.support.tiny_data import dataset


def picture(seed: int, batch: int = 4) -> Tensor:
    return torch.rand(batch, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


@given(seed=st.integers(0, 1000), turn=st.floats(-0.5, 0.5))
@settings(max_examples=25)
def test_hue_and_gray_are_torchvisions(seed: int, turn: float) -> None:
    pixels = picture(seed)
    expected = oracle.adjust_hue(pixels, turn)
    torch.testing.assert_close(views.shifted_hue(pixels, torch.full((4,), turn)), expected, atol=2e-4, rtol=0)
    torch.testing.assert_close(views.luma(pixels), oracle.rgb_to_grayscale(pixels), atol=1e-3, rtol=0)


@given(seed=st.integers(0, 1000), change=st.integers(0, 2), factor=st.floats(-1, 1))
@settings(max_examples=25)
def test_each_change_of_color_is_torchvisions(seed: int, change: int, factor: float) -> None:
    """One change, the others left out."""
    amounts = torch.zeros(4, 4)
    amounts[change] = factor
    pixels, order = picture(seed), torch.randperm(4, generator=torch.Generator().manual_seed(seed)).tolist()
    found = views.recolored(pixels, amounts, order)
    adjust = (oracle.adjust_brightness, oracle.adjust_contrast, oracle.adjust_saturation)[change]
    torch.testing.assert_close(found, adjust(pixels, 1 + views.STRENGTH * factor), atol=1e-3, rtol=0)


def test_crops_are_drawn_as_torchvision_draws_them() -> None:
    """The same distribution of areas and side ratios, apart from torchvision's rounding to pixels."""
    boxes = views.crops(4000, torch.Generator().manual_seed(0))
    assert (boxes >= 0).all()
    assert (boxes[:, :2] + boxes[:, 2:] <= 1 + 1e-6).all()
    torch.manual_seed(0)
    side, crop = 1000, RandomResizedCrop(32, scale=views.AREA, ratio=views.RATIO)
    drawn = [crop.make_params([torch.zeros(3, side, side)]) for _ in range(4000)]
    theirs = torch.tensor([[d["left"], d["top"], d["width"], d["height"]] for d in drawn]) / side
    for column in range(4):
        assert ks_2samp(boxes[:, column].numpy(), theirs[:, column].numpy()).pvalue > 1e-3


def test_a_crop_is_the_part_of_the_picture_that_it_names() -> None:
    pixels = picture(0)
    whole = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).expand(4, 4)
    still, mirrored = torch.zeros(4, dtype=torch.bool), torch.ones(4, dtype=torch.bool)
    torch.testing.assert_close(views._sampled(pixels, whole, still), pixels, atol=1e-5, rtol=0)
    torch.testing.assert_close(views._sampled(pixels, whole, mirrored), pixels.flip(3), atol=1e-5, rtol=0)
    quarter = torch.tensor([[0.5, 0.0, 0.5, 0.5]]).expand(4, 4)
    expected = F.interpolate(pixels[:, :, :16, 16:], (32, 32), mode="bilinear")
    inside = (..., slice(2, -2), slice(2, -2))  # at the edge a crop reads a pixel beyond it
    torch.testing.assert_close(views._sampled(pixels, quarter, still)[inside], expected[inside], atol=1e-5, rtol=0)


def test_views_differ_and_follow_their_seed() -> None:
    first, again = (views.view(picture(0), torch.Generator().manual_seed(5)) for _ in range(2))
    other = views.view(picture(0), torch.Generator().manual_seed(6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """No bf16, so that losses can be compared."""
    monkeypatch.setattr(two_views, "pick_precision", lambda *_: "32-true")


@torch.no_grad()
def nt_xent(first: Tensor, second: Tensor, tau: float) -> float:
    """SimCLR's loss, view by view (Chen et al. 2020, equation 1)."""
    every = F.normalize(torch.cat([first, second]), dim=1).double()
    count, total = len(first), 0.0
    for i in range(2 * count):
        scores = [float(every[i] @ every[j]) / tau for j in range(2 * count)]
        partner = (i + count) % (2 * count)
        total -= scores[partner] - math.log(sum(math.exp(s) for j, s in enumerate(scores) if j != i))
    return total / (2 * count)


def test_simclrs_loss_is_lightlys_and_the_papers(exact: None) -> None:
    peer = two_views.SimCLR("resnet-9", 1 / 8, dataset(False, True), 0)
    first, second = picture(1, 8), picture(2, 8)
    found = peer.loss(first, second)
    projected = [peer.head(peer.backbone(x).mean((2, 3))) for x in (first, second)]
    torch.testing.assert_close(found, NTXentLoss(temperature=0.5)(*projected), atol=1e-5, rtol=0)
    assert found.item() == pytest.approx(nt_xent(*projected, 0.5), abs=1e-5)


def test_mocos_loss_is_lightlys_step_by_step(exact: None) -> None:
    """Against the step of lightly's benchmark, with a bank and a momentum network of their own."""
    peer = two_views.MoCo("resnet-9", 1 / 8, dataset(False, True), 0)
    criterion = NTXentLoss(temperature=0.1, memory_bank_size=(4096, 128))
    criterion.memory_bank.bank = peer.criterion.memory_bank.bank.clone()
    fast = nn.ModuleList([peer.backbone, peer.head])
    with torch.no_grad():
        for p in peer.slow_backbone.parameters():
            p.add_(0.01)
    slow = copy.deepcopy(nn.ModuleList([peer.slow_backbone, peer.slow_head]))
    first, second = picture(1, 8), picture(2, 8)
    torch.manual_seed(0)
    found = peer.loss(first, second)
    update_momentum(fast, slow, 0.99)
    losses = []
    torch.manual_seed(0)
    for queries, keys in ((first, second), (second, first)):
        order = torch.randperm(len(keys))
        with torch.no_grad():
            mixed = slow[1](slow[0](keys[order]).mean((2, 3)))
        losses.append(criterion(fast[1](fast[0](queries).mean((2, 3))), mixed[order.argsort()]))
    torch.testing.assert_close(found, (losses[0] + losses[1]) / 2, atol=1e-4, rtol=0)
    assert torch.equal(criterion.memory_bank.bank_ptr, peer.criterion.memory_bank.bank_ptr)
    torch.testing.assert_close(criterion.memory_bank.bank, peer.criterion.memory_bank.bank, atol=1e-5, rtol=0)


@pytest.mark.parametrize("peer", [two_views.SimCLR, two_views.MoCo])
def test_two_views_learn_and_give_features(peer: type[two_views.SimCLR | two_views.MoCo]) -> None:
    data = dataset(False, True)
    learner = peer("resnet-9", 1 / 8, data, 0)
    learner.plan(4)
    before = [p.clone() for p in learner.backbone.parameters()]
    for _ in range(4):
        learner.step()
    assert all(not torch.equal(a, b) for a, b in zip(before, learner.backbone.parameters(), strict=True))
    assert learner.rate == pytest.approx(0.5 * (1 + math.cos(math.pi * 3 / 4)))
    found = learner.features(data.test)
    assert {name: tuple(x.shape) for name, x in found.items()} == {"mean": (24, 64), "quarters": (24, 256)}


def test_a_network_of_equal_cost_costs_about_as_much() -> None:
    for wanted in (1e7, 1e8):
        width = two_views.width_of_equal_cost("resnet-9", wanted)
        with FlopCounterMode(display=False) as counter:
            two_views.backbone("resnet-9", width)[0].eval()(torch.zeros(1, 3, 32, 32))
        assert 0.6 < counter.get_total_flops() / wanted < 1.7


@given(batch=st.integers(1, 3), length=st.integers(4, 7), steps=st.integers(1, 3), seed=st.integers(0, 100))
@settings(max_examples=20)
def test_the_criterion_of_cpc_is_the_papers(batch: int, length: int, steps: int, seed: int) -> None:
    """Term by term with the same negatives (van den Oord et al. 2018, equations 3 and 4)."""
    draw = torch.Generator().manual_seed(seed)
    latents, contexts = (torch.randn(batch, length, 5, generator=draw) for _ in range(2))
    predictors = nn.ModuleList(nn.Linear(5, 5, bias=False) for _ in range(steps))
    found = cpc_audio.criterion(latents, contexts, predictors, torch.Generator().manual_seed(seed))
    again, terms = torch.Generator().manual_seed(seed), []
    for k, predictor in enumerate(predictors, 1):
        places = [(b, t) for b in range(batch) for t in range(length - steps)]
        own = torch.tensor([b * length + t + k for b, t in places])
        others = cpc_audio.negatives(own, batch * length, again)
        for (b, t), row in zip(places, others.tolist(), strict=True):
            predicted = predictor.weight.detach() @ contexts[b, t]
            positive = float(latents[b, t + k] @ predicted)
            negative = [float(latents[i // length, i % length] @ predicted) for i in row]
            terms.append(math.log(sum(math.exp(s) for s in [positive, *negative])) - positive)
    assert found.item() == pytest.approx(np.mean(terms), abs=1e-4)


@given(count=st.integers(2, 9))
@settings(max_examples=8)
def test_no_positive_is_its_own_negative_and_the_others_come_alike(count: int) -> None:
    positives = torch.arange(count)
    drawn = torch.cat([cpc_audio.negatives(positives, count, torch.Generator().manual_seed(s)) for s in range(8)], 1)
    assert drawn.min() >= 0
    assert drawn.max() < count
    assert not (drawn == positives[:, None]).any()
    for row, own in zip(drawn, positives.tolist(), strict=True):
        seen = row.bincount(minlength=count)
        assert (seen[torch.arange(count) != own] > drawn.shape[1] / (count - 1) / 3).all()


def test_cpc_audio_learns_from_recordings_of_any_length() -> None:
    data = dataset()
    long = F.pad(data.test.audio, (0, 2000))
    lengths = torch.tensor([2000, 4000] * 12)
    learner = cpc_audio.CpcAudio(data, 0)
    assert len(learner.predictors) == min(12, 2000 // 160 - 1)
    learner.plan(2)
    learner.step()
    learner.step()
    found = learner.features(replace(data.test, audio=long, lengths=lengths))
    short = learner.features(data.test)
    for name, values in found.items():
        torch.testing.assert_close(values[::2], short[name][::2])  # padding is not heard
        assert values.shape[0] == 24


def test_latents_of_cpc_audio_have_the_published_rate() -> None:
    latents, contexts = cpc_audio.Network()(torch.zeros(1, 20_480))
    assert latents.shape == contexts.shape == (1, 128, 256)


def test_pictures_of_any_size_are_seen_at_32_pixels() -> None:
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    assert views.resized(images).shape == (2, 3, 32, 32)
    assert torch.equal(views.resized(images[..., :32, :32]), images[..., :32, :32] / 255)
