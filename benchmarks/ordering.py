"""What the order of files would do, were the first ones of every class taken for a sample of all.

    python -m benchmarks.ordering [--repeats 10] [--json] [--out FILE]

Made-up sounds of four classes by six speakers, sorted by class and speaker, the quietest speaker first. The first items
of every class are compared with the choice that the engine makes (`data.splits.sample_rows`): how many speakers the
items for metrics cover, how far the calibration leaves a band's mean from 0 over all training clips, and how many
held-out items of the loudest speaker typicality calls borderline (5 % is right). The network is untrained.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

if not __package__:  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.timing import deliver, machine
from cpc_engine.config import RunConfig
from cpc_engine.data.dataset import Dataset, Split
from cpc_engine.data.splits import sample_rows
from cpc_engine.evaluation import ood
from cpc_engine.evaluation.embed import embed
from cpc_engine.experiments.recipe import recipe
from cpc_engine.training import initial

CLASSES, SPEAKERS, TAKES, RATE = 4, 6, 60, 8000
METRIC_ITEMS, CALIBRATION, TRAINING, VALIDATION = 96, 128, 240, 96
CONFIG = RunConfig().replace(
    {"audio.sample_rate": RATE, "audio.clip_seconds": 0.5, "audio.recording_seconds": 0.5, "audio.mel_bands": 32}
)
Choice = Callable[[Split, int, int], Tensor]


def first_rows(split: Split, limit: int, seed: int) -> Tensor:
    """Return the first rows of every class, as many of each."""
    each = limit // CLASSES
    return torch.cat([(split.labels == label).nonzero()[:each, 0] for label in range(CLASSES)])


CHOICES: dict[str, Choice] = {"first": first_rows, "drawn": sample_rows}


def sorted_sounds(seed: int, takes: int) -> Split:
    """Make sounds sorted by class, then by speaker: a pitch for each class, a level and a color for each speaker."""
    draw = np.random.default_rng(seed)
    labels = np.arange(CLASSES).repeat(SPEAKERS * takes)
    speakers = np.tile(np.arange(SPEAKERS).repeat(takes), CLASSES)
    time = np.arange(RATE // 2) / RATE
    pitch = 200.0 * 1.6**labels * draw.uniform(0.95, 1.05, len(labels))
    color = 1200.0 + 350.0 * speakers
    waves = np.sin(2 * np.pi * (pitch[:, None] * time + draw.random((len(labels), 1))))
    waves += 0.5 * np.sin(2 * np.pi * (color[:, None] * time + draw.random((len(labels), 1))))
    waves += 0.05 * draw.standard_normal(waves.shape)
    level = 10.0 ** (-3 + 0.45 * speakers) * 10 ** draw.uniform(-0.1, 0.1, len(labels))
    clips = torch.from_numpy(np.clip(8000 * level[:, None] * waves, -32768, 32767).astype(np.int16))
    names = tuple(f"{label}/{row}" for row, label in enumerate(labels.tolist()))
    return Split(clips, None, torch.from_numpy(labels), names, tuple(f"speaker {s}" for s in speakers.tolist()))


def drawn(seed: int) -> Dataset:
    """One draw of the data."""
    train, validation, test = (sorted_sounds(3 * seed + part, takes) for part, takes in enumerate((TAKES, 20, 20)))
    return Dataset("audio_folder", tuple("abcd"), train, validation, test, sample_rate=RATE)


def measure(data: Dataset, seed: int, choose: Choice) -> dict[str, float]:
    """One draw of the data with one way to choose."""
    train, validation, test = (split for _, split in data.splits())
    metric_rows = choose(validation, METRIC_ITEMS, seed)
    with patch.object(initial, "sample_rows", choose), patch.object(initial, "CALIBRATION_CLIPS", CALIBRATION):
        model = initial.new_model(CONFIG, data).eval()
    assert train.audio is not None
    with torch.no_grad():
        offset = model.audio_features(train.audio).mean((0, 2)).abs().amax()
    with (
        patch.object(ood, "sample_rows", choose),
        patch.object(ood, "TRAINING_ITEMS", TRAINING),
        patch.object(ood, "VALIDATION_ITEMS", VALIDATION),
    ):
        reference = ood.fit_ood_reference(model, train, validation, seed)["audio"]
    loudest = test.take(torch.tensor([row for row, group in enumerate(test.groups) if group == "speaker 5"]))
    features = embed(model, loudest)["audio"].pooled_latent
    typical = reference.percentile(ood.input_statistics("audio", loudest, model), features)
    return {
        "speakers": float(len({validation.groups[row] for row in metric_rows.tolist()})),
        "offset": float(offset),
        "borderline": float((typical <= ood.BORDERLINE).double().mean()),
    }


def text(document: dict[str, Any]) -> str:
    """One line a choice."""
    return "\n".join(
        f"{name}: {row['speakers']['mean']:.1f} of {SPEAKERS} speakers, band off by {row['offset']['mean']:.2f}, "
        f"{row['borderline']['mean']:.1%} of the loudest speaker's items borderline"
        for name, row in document["choices"].items()
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10, help="draws of the data")
    parser.add_argument("--json", action="store_true", help="print the document instead of its text")
    parser.add_argument("--out", type=Path, help="also keep the document here")
    given = parser.parse_args(arguments)
    draws = [drawn(seed) for seed in range(given.repeats)]
    choices = {}
    for name, choose in CHOICES.items():
        rows = [measure(data, seed, choose) for seed, data in enumerate(draws)]
        choices[name] = {
            key: {
                "mean": float(np.mean([row[key] for row in rows])),
                "spread": float(np.std([row[key] for row in rows])),
            }
            for key in rows[0]
        }
    command = f"python -m benchmarks.ordering --repeats {given.repeats}"
    document = {"choices": choices, "machine": machine(torch.device("cpu")), "command": command}
    sizes = {"items": METRIC_ITEMS, "calibration": CALIBRATION, "training": TRAINING, "validation": VALIDATION}
    parameters = {
        **sizes,
        "seeds": list(range(given.repeats)),
        "classes": CLASSES,
        "speakers": SPEAKERS,
        "takes": TAKES,
        "settings": CONFIG.to_dict(),
    }
    fingerprints = {f"seed {seed}": data.fingerprint() for seed, data in enumerate(draws)}
    deliver(document, recipe(command, {}, fingerprints, parameters), text(document), given.json, given.out)


if __name__ == "__main__":
    main()
