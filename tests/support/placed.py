"""Runs that place items, and items to place."""

from __future__ import annotations

import io
from pathlib import Path
from typing import get_args

import numpy as np
import soundfile
from PIL import Image

from cpc_engine.data import load_dataset
from cpc_engine.data.dataset import Split
from cpc_engine.evaluation.ood import Verdict
from cpc_engine.execution.evaluate import evaluate_run
from cpc_engine.execution.execute import State, execute
from cpc_engine.media import Picture, Sound
from cpc_engine.placing import Placement, Placer
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.tiny import tiny

TYPICAL = get_args(Verdict)


def trained(root: Path, **changes: object) -> RunFolder:
    folder = RunFolder.create(root, tiny(**changes))
    assert execute(folder, Control()) == State("finished")
    return folder


def evaluated(root: Path, **changes: object) -> RunFolder:
    folder = trained(root, **changes)
    evaluate_run(folder)
    return folder


def held_out(placer: Placer) -> Split:
    return load_dataset(placer.config).test


def files(split: Split, folder: Path, rate: int) -> list[Path]:
    """The items of one modality as people would have them: WAV or PNG files."""
    folder.mkdir()
    paths = []
    for i in range(len(split)):
        if split.audio is not None:
            paths.append(folder / f"{i}.wav")
            soundfile.write(paths[-1], split.audio[i].numpy(), rate, subtype="PCM_16")
        else:
            assert split.image is not None
            paths.append(folder / f"{i}.png")
            Image.fromarray(split.image[i].permute(1, 2, 0).numpy()).save(paths[-1])
    return paths


def tone(seconds: float, pitch: float = 440.0, rate: int = 8000, level: float = 0.5) -> Sound:
    time = np.arange(round(seconds * rate)) / rate
    return Sound((level * np.sin(2 * np.pi * pitch * time)).astype(np.float32), rate)


def noise_picture(height: int = 40, width: int = 40) -> Picture:
    return Picture(np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8))


def wav(sound: Sound) -> bytes:
    buffer = io.BytesIO()
    levels = (sound.samples * 32768).round().clip(-32768, 32767).astype(np.int16)
    soundfile.write(buffer, levels, sound.rate, format="WAV")
    return buffer.getvalue()


def assert_alike(one: Placement, other: Placement) -> None:
    np.testing.assert_allclose(one.embedding, other.embedding, atol=1e-4)
    for method, position in one.positions.items():
        np.testing.assert_allclose(position, other.positions[method], atol=1e-3)
    assert (one.predicted, one.verdict) == (other.predicted, other.verdict)
