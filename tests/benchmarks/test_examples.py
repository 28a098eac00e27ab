"""Tests of the shipped example runs: small, complete, without third-party data, made by the command in their note."""

from __future__ import annotations

import io
import json
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from benchmarks.examples import EXAMPLES, LARGEST, evaluate_again
from cpc_engine.cli.parser import parse
from cpc_engine.config import RunConfig
from cpc_engine.data.signals import synthesize
from cpc_engine.evaluation.geometry import effective_rank
from cpc_engine.execution.evaluate import evaluate_run
from cpc_engine.execution.execute import execute
from cpc_engine.maps.stored import load_map
from cpc_engine.media import Sound, decode
from cpc_engine.placing import Placer
from cpc_engine.presets import PRESETS
from cpc_engine.storage.folder import PARTS, RunFolder
from cpc_engine.storage.listing import list_runs
from cpc_engine.training.control import Control
from tests.support.paths import REPOSITORY
from tests.support.tiny import tiny

ROOT = REPOSITORY / "checkpoints"
NAMES = list(EXAMPLES)


def run_of(name: str) -> RunFolder:
    return RunFolder.open(f"example-{name}", ROOT)


def test_every_example_is_listed_with_what_it_teaches() -> None:
    shipped = {info.id: info for info in list_runs(ROOT) if info.id.startswith("example-")}
    assert sorted(shipped) == sorted(f"example-{name}" for name in NAMES)
    assert all(info.status == "finished" and info.teaches for info in shipped.values())


@pytest.mark.parametrize("name", NAMES)
def test_its_name_is_that_of_the_command_that_makes_it(name: str) -> None:
    run = run_of(name)
    assert run.info().name == run.config().run.name == EXAMPLES[name].config(Path("data")).run.name


def test_a_name_says_what_the_example_shows() -> None:
    assert len({run_of(name).info().name for name in NAMES}) == len(NAMES)
    assert "collapsed" in run_of("collapsed").info().name.lower()


@pytest.mark.parametrize("name", NAMES)
def test_its_evaluation_has_what_one_of_today_has(name: str) -> None:
    found = run_of(name).json("evaluation")
    assert found is not None
    assert set(found["item_digests"]) == set(found["chosen_feature"])
    assert ("retrieval_class_reverse" in found) == ("retrieval_class" in found)


def test_an_example_is_evaluated_again_and_nothing_else_of_it_changes(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, tiny(optimizer__steps=2))
    assert execute(run, Control()).status == "finished"
    evaluate_run(run)
    run.mark_example("nothing", 1)
    before = {file.name: file.read_bytes() for file in run.path.iterdir()}
    run.save_json("evaluation", {"run": run.id})
    evaluate_again(run, None)
    after = {file.name: file.read_bytes() for file in run.path.iterdir()}
    assert after == before
    assert "item_digests" in json.loads(after["evaluation.json"])
    assert run.info().is_example


@cache
def placers(name: str) -> Placer:
    return Placer(run_of(name))


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_small_and_holds_no_other_files(name: str) -> None:
    run = run_of(name)
    files = {file.name: file.stat().st_size for file in run.path.iterdir()}
    assert sum(files.values()) <= LARGEST
    kinds = {"config.json", "run.json", "metrics.jsonl", "evolution.json", "map.json", "evaluation.json"}
    tensors = {f"{part}.safetensors" for part in ("weights", "evolution", "map", "typicality", "probe")}
    assert set(files) - set(PARTS["weight_snapshots"]) == kinds | tensors
    assert run.config().data.path is None


@pytest.mark.parametrize("name", NAMES)
def test_its_note_reproduces_its_configuration(name: str) -> None:
    config = run_of(name).config()
    options = parse(shlex.split(config.run.note.removeprefix("Made by: python -m cpc_engine ")))
    changes = dict(pair.split("=", 1) for pair in options.set)
    repeated = PRESETS[options.preset].config().replace({**changes, "run.seed": options.seed})
    named = {"run.name": config.run.name, "run.note": config.run.note, "data.path": None}
    assert repeated.replace(named).differences(config) == {}


@pytest.mark.parametrize("name", NAMES)
def test_an_example_opens_completely(name: str) -> None:
    run = run_of(name)
    assert RunConfig.from_json(run.config().to_json()) == run.config()
    run_map = load_map(run)
    assert set(run_map.maps) == {"pca", "tsne", "umap"}
    placer = Placer(run)
    assert placer.map.features.shape == run_map.features.shape
    assert run.records()[-1]["step"] == run.config().optimizer.steps


@pytest.mark.parametrize("name", [name for name in NAMES if name != "collapsed"])
def test_contexts_have_not_collapsed(name: str) -> None:
    import torch

    run_map = load_map(run_of(name))
    lowest = min(8, len(run_map.classes))
    for modality in set(run_map.modalities):
        rows = [row for row, kind in enumerate(run_map.modalities) if kind == modality]
        assert effective_rank(torch.from_numpy(run_map.features[rows])) >= lowest


def test_the_collapsed_example_has_collapsed() -> None:
    last = [record["geometry"] for record in run_of("collapsed").records() if record.get("geometry")][-1]
    first = run_of("airplane-automobile").records()[-1]["geometry"]
    assert last["effective_rank"] < 0.25 * first["effective_rank"]


KEYS = [("keypad", {"kind": "dtmf", "key": key}, key) for key in "0123456789"]
PITCHES = [("tones", {"kind": "tone", "frequency": float(pitch)}, f"{pitch} Hz") for pitch in (220, 440, 880, 1760)]


@pytest.mark.parametrize(("name", "sound", "expected"), KEYS + PITCHES)
def test_synthesized_sounds_are_typical_and_of_the_right_class(name: str, sound: dict[str, Any], expected: str) -> None:
    placer = placers(name)
    placement = placer.place(Sound(synthesize(**sound, rate=16000, seconds=1.0, noise=0.002), 16000))
    assert placement.predicted == expected
    assert placement.verdict in ("typical", "borderline")


@pytest.mark.parametrize(("name", "sound", "expected"), KEYS + PITCHES)
def test_what_a_browser_would_send_of_them_lands_among_its_kind(
    name: str, sound: dict[str, Any], expected: str
) -> None:
    file = io.BytesIO()
    samples = synthesize(**sound, noise=0.002, rate=48_000, seconds=1.6)
    soundfile.write(file, samples, 48_000, format="WAV", subtype="PCM_16")
    placement = placers(name).place(decode(file.getvalue(), "recording.wav"))
    assert placement.predicted == expected
    alike = [near.label == expected for near in placement.neighbors]
    assert sum(alike) > len(alike) / 2


@pytest.mark.parametrize("name", ["keypad", "tones", "spoken-digits"])
def test_noise_and_silence_are_out_of_distribution_for_audio_runs(name: str) -> None:
    noise = np.random.default_rng(0).normal(0, 0.2, 16000).clip(-1, 1).astype(np.float32)
    for samples in (noise, np.zeros(16000, np.float32)):
        placement = placers(name).place(Sound(samples, 16000))
        assert placement.verdict is not None
        assert placement.validation_items is not None
        # At most one of the validation items scores as high; of 160 of them, one is more than 1 %.
        assert placement.typicality is not None
        assert placement.typicality <= 200.01 / (placement.validation_items + 1)
        assert placement.verdict.startswith(("unlike", "borderline"))
