"""One step, slowly: the diagram's figures are the engine's, its lines and settings are there, its pictures true."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from cpc_engine.anatomy.choice import survey
from cpc_engine.anatomy.frozen import Batch, Frozen
from cpc_engine.anatomy.one_step import OneStep, Turnover, one_step
from cpc_engine.anatomy.opened import Opened
from cpc_engine.anatomy.what_if import what_if
from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.pages import links
from tests.support.tiny import tiny
from ui.negatives.step import pictures
from ui.negatives.step.algorithm import algorithms
from ui.negatives.step.stages import percent, stages
from ui.negatives.step.tensors import input_image, shown_positions, signed_image

pytest_plugins = ["tests.support.explored"]

NEGATIVES = "pages/negatives.py"
NAMES = ["Encode", "Context", "Predict", "Gather", "Logits", "Loss", "Gradient", "Enqueue"]
SOURCES = ["In-batch", "Queue", "Noise-perturbed", "Cross-modal", "Mixed (MoCHi)", "Shuffled"]
Page = Callable[..., AppTest]


@pytest.fixture
def run(runs: Path, keypad: Path) -> Path:
    return Path(shutil.copytree(keypad, runs / keypad.name))


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Frozen:
    """The loss of sounds of a run with every source of negatives, a momentum encoder, and the pair term."""
    sources = {"queue_size": 300, "perturbed": True, "shuffled": "batch", "cross_modal": True, "mixed": 20}
    changes = {f"sampler__{name}": value for name, value in sources.items()} | {"sampler__key_momentum": 0.9}
    config = tiny(data__dataset="tones_bars", loss__pair_weight=0.5, run__precision="32-true", **changes)
    folder = RunFolder.create(tmp_path_factory.mktemp("everything"), config)
    assert execute(folder, Control()).status == "finished"
    return Batch(Opened(folder)).losses["prediction", "audio"]


def of(frozen: Frozen, anchor: int) -> OneStep:
    return one_step(frozen, what_if(frozen, anchor))


def drawn(test: AppTest) -> str:
    """The HTML of the diagram; the page must not have failed."""
    assert not test.exception
    assert not test.error
    (found,) = [one for one in test.get("bidi_component") if one.proto.component_name == "cpc_step"]
    return str(json.loads(found.proto.json))


def test_the_view_is_reached_by_its_control_the_address_and_the_runs_own_page(page: Page, run: Path) -> None:
    test = page(NEGATIVES, run=run.name)
    assert not [one for one in test.get("bidi_component") if one.proto.component_name == "cpc_step"]
    test.segmented_control(key="negatives-view").set_value("step").run()
    first = drawn(test)
    assert "step" in test.query_params["view"]
    assert drawn(page(NEGATIVES, run=run.name, view="step")) == first
    assert ("view", "step") in links(page("pages/train.py", run=run.name))["One step, slowly"]


def test_the_diagram_has_the_engines_figures(page: Page, run: Path) -> None:
    html = drawn(page(NEGATIVES, run=run.name, view="step"))
    frozen = Batch(Opened(RunFolder(run))).losses["prediction", "audio"]
    step = of(frozen, survey(frozen).most("losses"))
    assert re.findall(r"<h3>\d\. (\w+)", html) == NAMES
    for shape in (step.latents.shape, step.contexts.shape, step.prediction.shape, (len(frozen.parts),)):
        assert f'<span class="shape">{shape}</span>' in html
    assert f" = {step.outcome.lineup.loss:.3f}." in html
    assert f"ln({step.negatives:,} + 1)" in html
    assert f"the loss of the step is {step.loss:.3f}" in html


def test_every_stage_leads_to_its_lines_and_settings(page: Page, run: Path) -> None:
    test = page(NEGATIVES, run=run.name, view="step")
    html = drawn(test)
    shown = " ".join(one.value for one in test.markdown)
    for number, (_, lines) in algorithms().items():
        assert all(f"{at}. {line}" in shown for at, line in enumerate(lines, 1)), number
    for stage in html.split('<li class="stage"')[1:]:
        assert re.search(r'href="#algorithm-\d-line-\d+"', stage)
    asked = [parse_qs(unescape(address).partition("?")[2]) for address in re.findall(r'href="(train\?[^"]+)"', html)]
    assert {"audio.encoder", "sampler.queue_size", "loss.temperature", "optimizer.learning_rate"} <= {
        one["settings"][0] for one in asked
    }
    assert "sampler.sigma" not in {one["settings"][0] for one in asked}, "it has no effect in this run"
    (found,) = [one for one in asked if one["settings"] == ["context.latent_dim"]]
    train = page("pages/train.py", **found)
    assert not train.exception
    assert train.selectbox(key="group").value == "Encoder"
    assert train.number_input(key="train:context.latent_dim").value == 8
    assert train.expander[0].proto.expanded


def test_lines_are_those_that_the_words_are_about(everything: Frozen) -> None:
    found = {one.name: one for one in stages(of(everything, 5), everything.opened.config, "audio", 100)}
    texts = {
        name: " ".join(algorithms()[algorithm][1][line - 1] for algorithm, line in one.lines)
        for name, one in found.items()
    }
    words = {
        "Encode": ["Encode audio"],
        "Context": ["shared GRU"],
        "Predict": ["Pair anchors and positives", "Flatten"],
        "Gather": ["in_batch", "`queue`", "perturbed", "shuffled", "cross_modal", "mixed", "Mask candidates"],
        "Logits": ["Compute the logits"],
        "Loss": ["cross-entropy", "Audio loss", "frac{1}{2}", "pair term"],
        "Gradient": ["Backpropagate"],
        "Enqueue": ["momentum encoder", "Enqueue this step", "Enqueue the in-batch keys"],
    }
    assert list(texts) == list(words)
    for name, expected in words.items():
        for text in expected:
            assert text in texts[name], name
    assert "Encode images" not in texts["Encode"]


def test_an_item_level_loss_and_a_run_without_a_queue_are_told(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, tiny(data__dataset="bars", loss__item_weight=1.0, loss__global_weight=0.5))
    assert execute(folder, Control()).status == "finished"
    for (term, modality), frozen in Batch(Opened(folder)).losses.items():
        step = of(frozen, len(frozen.parts) - 1)
        found = {one.name: one for one in stages(step, frozen.opened.config, modality, len(frozen.parts))}
        assert "summary" in found["Context"].words
        assert "summary" in found["Predict"].words
        assert ((1, 9) in found["Loss"].lines) == (term == "item")
        assert found["Enqueue"].shape == "no queue"
        assert "has no queue" in found["Enqueue"].words
        assert "no queue" in pictures.enqueue(step)
        assert pictures.encode(step, frozen.opened.config.image.grid).count("mark target") == (term != "item") * 2


def test_pictures_show_every_source(everything: Frozen) -> None:
    step = of(everything, 5)
    strips = step.outcome.lineup.strips
    for draw in (pictures.gather, pictures.logits, pictures.gradient):
        html = unescape(draw(step))
        assert [name for name in SOURCES if name in html] == SOURCES
    softmax = re.findall(r'style="width:([\d.]+)%', pictures.loss(step).partition("this anchor")[0])
    assert len(softmax) == 1 + len(strips)
    assert sum(map(float, softmax)) == pytest.approx(100, abs=0.1)
    assert f"<span>{int(strips['queue'].counts.sum()):,}" in pictures.gather(step)
    turnover = step.queue
    assert turnover is not None
    assert f"{turnover.entering:,}, {turnover.own:,} of this item" in pictures.enqueue(step)
    assert pictures.encode(step, None).count("mark begin") == 2, "on the input and on the latents"
    assert len(pictures.small(step)) == len(NAMES)


def test_a_queue_of_many_batches_is_drawn_in_few_stretches(everything: Frozen) -> None:
    content = [(step, 3) for step in range(1000)]
    turnover = Turnover(4000, content[:-1], content, entering=3, leaving=0, own=1)
    html = pictures.enqueue(replace(of(everything, 5), queue=turnover))
    for part, held in zip(html.split('class="tape ')[1:], (2997, 3000), strict=True):
        cells = [int(count) for count in re.findall(r"flex-grow:(\d+);--color:#", part)]
        assert sum(cells) == held
        assert len(cells) <= 61
        assert cells[-1] == 3, "the newest batch stands alone"
        assert f"flex-grow:{4000 - held};--color:transparent" in part


def pixels(address: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))


def test_numbers_are_seen_by_sign_and_size() -> None:
    seen = pixels(signed_image(torch.tensor([[1.0, -1.0, 0.0, 0.5]])))
    assert seen[0, :, 3].tolist() == pytest.approx([255, 255, 0, 128], abs=1)
    assert seen[0, 0, :3].tolist() == [0, 0x72, 0xB2]
    assert seen[0, 1, :3].tolist() == [0xD5, 0x5E, 0]
    assert pixels(signed_image(torch.zeros(2, 3)))[..., 3].max() == 0


def test_a_picture_looks_as_the_network_reads_it() -> None:
    image = torch.randint(0, 256, (3, 4, 5), dtype=torch.uint8)
    features = (image.float() / 255 - 0.5) / 0.25
    assert np.array_equal(pixels(input_image(features)), image.permute(1, 2, 0).numpy())
    assert pixels(input_image(torch.randn(6, 9))).shape == (6, 9, 3)


def test_few_of_many_positions_are_shown() -> None:
    assert shown_positions(16, None) == slice(0, 16)
    assert shown_positions(500, 499) == slice(436, 500)
    assert shown_positions(500, 0) == slice(0, 64)
    assert [percent(share) for share in (1.0, 0.5, 0.0123, 3e-6)] == ["100%", "50%", "1.2%", "0.0003%"]
