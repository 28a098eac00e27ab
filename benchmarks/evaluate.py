"""How long the probes of a run take, how far they are from converged, and what more k-means patches would give.

    python -m benchmarks.evaluate [--data DIR] [--steps 5] [--tasks A,B] [--json] [--out FILE]
    python -m benchmarks.evaluate --centroids 128 512 1600 [--seeds 5] [--tasks A,B] [--json] [--out FILE]

- two classes: the preset `cifar10`, from the packed file.
- four classes: the preset `image_folder` on 4 × 2500 PNG files, written to a temporary folder.

The network is trained for a few steps only; what its features are worth is not the question here. On the same features,
in the same process and in turns, `fit_probe` and `nearest_neighbors` are timed against the probe as it was before: the
regression of scikit-learn, started at each strength from the one before, with at most 1000 iterations. Their test
accuracies are compared with scikit-learn's regression in float64 to a tolerance of 1e-8, at the chosen strength (of
the trained network and raw input). The files are looked for in DIR, in $CPC_SHARED/data, or in `shared/data` beside the
repository.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cpc_engine.training.fabric import Fabric

if not __package__:  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.timing import deliver, machine, shared_data
from cpc_engine.config import RunConfig
from cpc_engine.data import follow_data, load_dataset
from cpc_engine.data.dataset import Dataset
from cpc_engine.data.splits import sample_rows
from cpc_engine.evaluation import baselines
from cpc_engine.evaluation.baselines import baseline_rows, raw_features
from cpc_engine.evaluation.embed import embed
from cpc_engine.evaluation.intervals import Floats, from_digits, hierarchical_interval
from cpc_engine.evaluation.probes.knn import nearest_neighbors
from cpc_engine.evaluation.probes.probe import Probe, fit_probe
from cpc_engine.experiments.recipe import recipe
from cpc_engine.presets import PRESETS
from cpc_engine.training.initial import new_model
from cpc_engine.training.trainer import Trainer

Columns = list[Tensor]  # training, validation, test
OLD_BATCH = 256  # items that were embedded at once before; measured on validation items


def two_classes(data: Path, work: Path) -> RunConfig:
    """Airplanes and automobiles, 10,000 training items."""
    return PRESETS["cifar10"].config().replace({"data.path": str(data / "cifar10_two_class.npz")})


def four_classes(data: Path, work: Path) -> RunConfig:
    """2500 PNG files in each of four folders."""
    with np.load(data / "cifar10_four_class.npz") as packed:
        images, labels, names = packed["x_train"], packed["y_train"], packed["class_names"]
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = work / str(names[label]) / f"{number:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    changes = {"data.path": str(work), "evaluation.probe_items": 10_000}
    return follow_data(PRESETS["image_folder"].config().replace(changes))


TASKS: dict[str, Callable[[Path, Path], RunConfig]] = {"two classes": two_classes, "four classes": four_classes}


def measure(config: RunConfig, steps: int, note: Callable[[str], None]) -> dict[str, Any]:
    """Times in seconds, and accuracies, of every part of an evaluation."""
    data = load_dataset(config, torch.device("cpu"))
    trainer = Trainer(config, data, Fabric(accelerator="cpu", devices=1))
    for _ in range(steps):
        trainer.step(False)
    train = data.train.take(sample_rows(data.train, config.evaluation.probe_items, config.data.seed))
    splits = (train, data.validation, data.test)
    labels = [split.labels for split in splits]
    [modality] = data.modalities
    columns: dict[str, Columns] = {"raw": [raw_features(modality, split, None) for split in splits]}
    embedding = {"seconds": 0.0, "before_seconds": 0.0}
    for suffix, network in (("", trainer.model), (", untrained", new_model(config, data))):
        features = []
        for split in splits:
            began = time.perf_counter()
            features.append(embed(network, split)[modality])
            embedding["seconds"] += time.perf_counter() - began
        began = time.perf_counter()
        embed(network, data.validation, OLD_BATCH)
        items = sum(map(len, splits)) / len(data.validation)
        embedding["before_seconds"] += (time.perf_counter() - began) * items
        for name in features[0].names():
            columns[name + suffix] = [getattr(part, name) for part in features]
    note(f"embedded in {embedding['seconds']:.1f} s, before {embedding['before_seconds']:.1f} s")
    rows = {}
    for name, x in columns.items():
        rows[name] = _compare(x, labels, config.evaluation.strengths, data, converged="untrained" not in name)
        note(f"{name}: {rows[name]}")
    seconds = {kind: embedding[kind] + sum(row[kind] for row in rows.values()) for kind in embedding}
    probes = {kind: sum(row[kind] for row in rows.values()) for kind in embedding}
    gaps = [abs(row["accuracy"] - row["converged"]) for row in rows.values() if "converged" in row]
    return {
        "items": [len(split) for split in splits],
        "steps": steps,
        "embedding": embedding,
        "probes": probes,
        "probes_ratio": probes["before_seconds"] / probes["seconds"],
        "total": seconds,
        "total_ratio": seconds["before_seconds"] / seconds["seconds"],
        "largest_gap": max(gaps),
        "features": rows,
    }


def _compare(
    x: Columns, labels: Sequence[Tensor], strengths: Sequence[float], data: Dataset, converged: bool
) -> dict[str, Any]:
    values, classes = [column.numpy() for column in x], [part.numpy() for part in labels]
    began = time.perf_counter()
    probe = fit_probe(values[0], classes[0], values[1], classes[1], strengths, len(data.classes))
    middle = time.perf_counter()
    near = nearest_neighbors(x[0], labels[0], x[1], labels[1], x[2])
    after = time.perf_counter()
    before_accuracy = _before(values, classes, strengths)
    row = {
        "width": x[0].shape[1],
        "seconds": after - began,
        "probe_seconds": middle - began,
        "neighbors_seconds": after - middle,
        "before_seconds": time.perf_counter() - after,
        "strength": probe.strength,
        "gradient": probe.gradient,
        "accuracy": probe.accuracy(values[2], classes[2]),
        "before": before_accuracy,
        "neighbors": float((near.predicted == labels[2]).float().mean()),
    }
    return row | ({"converged": _converged(probe, values, classes)} if converged else {})


def _before(x: Sequence[np.ndarray], y: Sequence[np.ndarray], strengths: Sequence[float]) -> float:
    """Test accuracy of the probe as it was."""
    from sklearn.linear_model import LogisticRegression

    mean, scale = x[0].mean(0), x[0].std(0)
    scale[scale == 0] = 1
    train, held, test = ((part - mean) / scale for part in x)
    model = LogisticRegression(warm_start=True, max_iter=1000)
    best, accuracy = -1.0, 0.0
    for strength in sorted(strengths):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.set_params(C=strength).fit(train, y[0])
        if (found := model.score(held, y[1])) > best:
            best, accuracy = found, float(model.score(test, y[2]))
    return accuracy


def _converged(probe: Probe, x: Sequence[np.ndarray], y: Sequence[np.ndarray]) -> float:
    """Test accuracy of scikit-learn in float64, to a tolerance of 1e-8.

    It starts at the weights of the probe, which saves most of the time and changes nothing: there is one minimum.
    """
    from sklearn.linear_model import LogisticRegression

    train, test = ((part.astype(np.float64) - probe.mean) / probe.scale for part in (x[0], x[2]))
    model = LogisticRegression(C=probe.strength, solver="newton-cg", tol=1e-8, max_iter=200, warm_start=True)
    weight, bias = probe.weight.astype(np.float64), probe.bias.astype(np.float64)
    binary = len(weight) == 2
    model.coef_, model.intercept_ = (weight[1:] - weight[:1], bias[1:] - bias[:1]) if binary else (weight, bias)
    with warnings.catch_warnings():  # its line search ends where rounding hides that the loss still falls
        warnings.simplefilter("ignore")
        model.fit(train, y[0])
    return float(model.score(test, y[2]))


def measure_patches(
    config: RunConfig, counts: Sequence[int], seeds: int, note: Callable[[str], None]
) -> dict[str, Any]:
    """Accuracy and seconds of the image baselines by the number of centroids; a seed draws patches and centroids."""
    data = load_dataset(config, torch.device("cpu"))
    rows = sample_rows(data.train, config.evaluation.probe_items, config.data.seed)
    found: dict[str, dict[str, Any]] = {}
    for count in counts:
        began = time.perf_counter()
        correct: dict[str, dict[int, list[Floats]]] = {}
        with patch.object(baselines, "CENTROIDS", count):
            for seed in range(seeds):
                for name, row in baseline_rows(data, config.replace({"run.seed": seed}), rows).items():
                    correct.setdefault(name, {})[seed] = [from_digits(row.correct)]
        found[str(count)] = {"seconds": (time.perf_counter() - began) / seeds, "seeds": seeds}
        for name, cells in correct.items():
            interval = hierarchical_interval(cells)
            found[str(count)][name] = {"mean": interval.mean, "half": interval.half, "covers": interval.covers}
        note(f"{count} centroids: {found[str(count)]}")
    return found


def text(document: dict[str, Any]) -> str:
    lines = []
    for name, found in document["tasks"].items():
        if "features" not in found:
            lines += [f"{name}, {count} centroids: {row}" for count, row in found.items()]
            continue
        lines.append(
            f"{name}: probes {found['probes']['seconds']:.1f} s, before {found['probes']['before_seconds']:.1f} s "
            f"({found['probes_ratio']:.1f} ×); with embedding {found['total']['seconds']:.1f} s, before "
            f"{found['total']['before_seconds']:.1f} s ({found['total_ratio']:.1f} ×); largest difference in accuracy "
            f"from a converged regression {100 * found['largest_gap']:.2f} points"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=shared_data())
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--centroids", type=int, nargs="+", help="measure k-means patches with so many centroids")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="of k-means patches")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)

    def note(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    tasks: dict[str, Any] = {}
    configs: dict[str, tuple[str, RunConfig]] = {}
    data: dict[str, str | None] = {}
    with tempfile.TemporaryDirectory() as work:
        for name in given.tasks.split(","):
            config = TASKS[name](given.data, Path(work))
            configs[name], data[name] = (config.data.dataset, config), load_dataset(config).fingerprint()
            measured = measure_patches(config, given.centroids, given.seeds, note) if given.centroids else None
            tasks[name] = measured or measure(config, given.steps, note)
    counts = given.centroids and " ".join(map(str, given.centroids))
    what = f"--centroids {counts} --seeds {given.seeds}" if counts else f"--steps {given.steps}"
    command = f"python -m benchmarks.evaluate {what} --tasks {shlex.quote(given.tasks)}"
    document = {"machine": machine(torch.device("cpu")), "tasks": tasks, "command": command}
    made = recipe(command, configs, data, {"centroids": given.centroids, "seeds": given.seeds, "steps": given.steps})
    deliver(document, made, text(document), given.json, given.out)


if __name__ == "__main__":
    main()
