"""What copies among the items would do: to the negatives of a batch, and to a score on held-out items.

    python -m benchmarks.leaks [--repeats 20] [--json] [--out FILE]

- unmasked: `paired_folders` with three times as many pictures as sounds, and `keypad`, whose pictures repeat. Of each
  batch: the share of items whose sound or picture stands in another row, which is then a negative of itself; with items
  numbered by row, and by content.
- inflation: a folder of pictures in two classes that cannot be told apart, a third of them with a copy that was encoded
  again or resized. Accuracy of the nearest training item (by pixels) on test items, with copies drawn at random and
  with copies in one split. Without a leak it is 50 %.
- takes: sounds of two classes that cannot be told apart, four takes of each recording; the same with each file by
  itself and with `data.groups` set.

Everything is made from seeds in a temporary folder.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

if not __package__:  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.timing import deliver, machine
from cpc_engine.config import RunConfig
from cpc_engine.data import load_dataset
from cpc_engine.data.dataset import Dataset, Split
from cpc_engine.data.splits import holdout
from cpc_engine.experiments.recipe import recipe
from cpc_engine.training.batches import BatchSampler

SIDE, RATE, SECONDS = 32, 8000, 0.25
BATCH = 64
_SMALL = {"image.size": SIDE, "audio.sample_rate": RATE, "audio.clip_seconds": SECONDS, "data.test_items": 0}
# Where the folders of pairs, pictures and sounds lie is given as they are read.
SETTINGS: dict[str, dict[str, Any]] = {
    "paired_folders": {**_SMALL, "data.dataset": "paired_folders", "data.train_items": 0},
    "keypad": {**_SMALL, "data.dataset": "keypad", "data.train_items": 4000, "data.test_items": 64},
    "pictures": {**_SMALL, "data.dataset": "image_folder", "data.train_items": 0},
    "sounds": {**_SMALL, "data.dataset": "audio_folder", "data.train_items": 0, "data.groups": "{group}-*"},
}


def picture(seed: int) -> Image.Image:
    """A smooth random picture of 96 × 96 px."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 7, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC)


def sound(seed: int, take: int) -> npt.NDArray[np.float64]:
    """Noise in the bands of a recording; takes are different noise."""
    count = round(RATE * SECONDS)
    bands = np.random.default_rng(seed).uniform(0, 1, 32) ** 3
    noise = np.fft.rfft(np.random.default_rng([seed, take]).normal(size=count))
    wave: npt.NDArray[np.float64] = np.fft.irfft(noise * np.interp(np.linspace(0, 31, len(noise)), range(32), bands))
    return 0.5 * wave / np.abs(wave).max()


def write(root: Path, pictures: int, recordings: int, takes: int, copies: bool) -> None:
    """Files of two classes below `root`/pictures and `root`/sounds: so many of each class."""
    for label, title in enumerate(("first", "second")):
        for kind in ("pictures", "sounds"):
            (root / kind / title).mkdir(parents=True)
        for number in range(pictures):
            image, file = picture(10_000 * label + number), root / "pictures" / title / f"{number:04d}"
            image.save(file.with_suffix(".png"))
            if copies and number % 6 == 0:
                image.save(file.with_name(f"{number:04d} jpeg.jpg"), quality=80)
            if copies and number % 6 == 3:
                image.resize((64, 64)).save(file.with_name(f"{number:04d} small.png"))
        for number in range(recordings):
            for take in range(takes):
                wave = sound(10_000 * label + number, take)
                soundfile.write(root / "sounds" / title / f"{title}x{number:04d}-{take}.wav", wave, RATE)


def unmasked(train: Split, epochs: int = 10) -> dict[str, float]:
    """Share of batch items whose own content stands in another row with another number, by row and by content."""
    order = BatchSampler(len(train), BATCH, 0)
    rows = torch.arange(len(train))
    firsts = {modality: _first_equal(train.values(modality)) for modality in train.contents}
    met = {"by_row": 0.0, "by_content": 0.0}
    steps = epochs * (len(train) // order.batch_size)
    for step in range(steps):
        batch = order.rows(step)
        for name in met:
            seen = torch.zeros(len(batch), dtype=torch.bool)
            for modality, contents in train.contents.items():
                equal = firsts[modality][batch]
                same = equal[:, None] == equal
                numbers = rows[batch] if name == "by_row" else contents[batch]
                seen |= (same & (numbers[:, None] != numbers)).any(1)
            met[name] += float(seen.float().mean()) / steps
    return met


def _first_equal(values: Tensor | None) -> Tensor:
    """For each row the first one that is equal to it byte by byte."""
    assert values is not None
    first: dict[bytes, int] = {}
    return torch.tensor([first.setdefault(row.numpy().tobytes(), number) for number, row in enumerate(values)])


def accuracy(features: Tensor, labels: Tensor, groups: Sequence[str], seed: int) -> float:
    """Accuracy of the nearest training item, with a fifth of each class held out in whole groups."""
    kept, held = holdout(labels.tolist(), groups, 0.2, seed)
    nearest = (features[held] @ features[kept].T).argmax(1)
    return float((labels[kept][nearest] == labels[held]).float().mean())


def inflation(data: Dataset, repeats: int) -> dict[str, Any]:
    """Accuracies over so many splits, with each file by itself and in the groups that the data set has."""
    splits = [split for _, split in data.splits()]
    (modality,) = data.modalities
    parts = [split.values(modality) for split in splits]
    values = torch.cat([part for part in parts if part is not None]).float().flatten(1)
    if modality == "audio":
        values = F.adaptive_avg_pool1d(torch.fft.rfft(values).abs()[:, None], 64)[:, 0]
    features = F.normalize(values - values.mean(0), dim=1)
    labels = torch.cat([split.labels for split in splits])
    names, groups = ([text for split in splits for text in getattr(split, field)] for field in ("names", "groups"))
    found = {
        kind: [accuracy(features, labels, one, seed) for seed in range(repeats)]
        for kind, one in (("single", names), ("grouped", groups))
    }
    return {
        "files": len(names),
        "groups": len(set(groups)),
        **{name: {"mean": float(np.mean(x)), "spread": float(np.std(x))} for name, x in found.items()},
        "told": list(data.remarks),
    }


def load() -> dict[str, Dataset]:
    """The data sets of `SETTINGS`, of files that are made for it."""
    with tempfile.TemporaryDirectory() as folder:
        pairs, copied = Path(folder) / "pairs", Path(folder) / "copied"
        write(pairs, pictures=180, recordings=60, takes=1, copies=False)
        write(copied, pictures=120, recordings=30, takes=4, copies=True)
        places = {
            "paired_folders": {"data.path": str(pairs / "sounds"), "data.image_path": str(pairs / "pictures")},
            "pictures": {"data.path": str(copied / "pictures")},
            "sounds": {"data.path": str(copied / "sounds")},
        }
        return {
            name: load_dataset(RunConfig().replace(given | places.get(name, {}))) for name, given in SETTINGS.items()
        }


def measure(loaded: dict[str, Dataset], repeats: int) -> dict[str, Any]:
    """All three tasks."""
    return {
        "unmasked": {
            name: {
                "items": len(data.train),
                "distinct": {m: len(data.train.distinct(m)) for m in data.modalities},
                "batch": BATCH,
                **unmasked(data.train),
            }
            for name, data in loaded.items()
            if len(data.modalities) == 2
        },
        "inflation": {name: inflation(data, repeats) for name, data in loaded.items() if len(data.modalities) == 1},
    }


def text(document: dict[str, Any]) -> str:
    """One line a task."""
    lines = [
        f"{name}: {row['by_row']:.1%} of a batch's items met themselves with numbers by row, {row['by_content']:.1%} "
        f"by content ({row['items']} items, distinct {row['distinct']})"
        for name, row in document["unmasked"].items()
    ]
    lines += [
        f"{name}: accuracy {row['single']['mean']:.1%} with single files, {row['grouped']['mean']:.1%} in groups "
        f"({row['files']} files, {row['groups']} groups)"
        for name, row in document["inflation"].items()
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=20, help="splits of each folder")
    parser.add_argument("--json", action="store_true", help="print the document instead of its text")
    parser.add_argument("--out", type=Path, help="also keep the document here")
    given = parser.parse_args(arguments)
    command = f"python -m benchmarks.leaks --repeats {given.repeats}"
    loaded = load()
    document = {**measure(loaded, given.repeats), "machine": machine(torch.device("cpu")), "command": command}
    parameters = {
        "repeats": given.repeats,
        "seeds": list(range(given.repeats)),
        "settings": {name: RunConfig().replace(changes).to_dict() for name, changes in SETTINGS.items()},
    }
    data = {name: one.fingerprint() for name, one in loaded.items()}
    deliver(document, recipe(command, {}, data, parameters), text(document), given.json, given.out)


if __name__ == "__main__":
    main()
