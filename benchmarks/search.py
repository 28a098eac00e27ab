"""What the reference recipe leaves open, searched as long as ours: equal items seen, equal trials, validation decides.

    python -m benchmarks.search [--pairs tones_bars,photographs] [--trials 12] [--data DIR] [--work DIR] [--workers 2]
                                [--json] [--out FILE]

For the reference recipe and for our preset a sweep (docs/sweeps.md) draws as many settings of τ, the learning rate,
and, where copies with noise are negatives, σ, from the same ranges. All runs of a pair see the same number of items in
batches of the same size. The accuracy of the probe on validation items decides; that on test items is told for the
best setting and has chosen nothing. One seed a setting: the best of many looks better than it is.
With --work, a second call goes on where the first one ended.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.timing import deliver, machine, shared_data
from cpc_engine import RunConfig, preset
from cpc_engine.data import load_dataset
from cpc_engine.experiments.recipe import recipe
from cpc_engine.sweeps.launch import run_workers
from cpc_engine.sweeps.results import document as found_by
from cpc_engine.sweeps.space import Space
from cpc_engine.sweeps.study import Spec, open_study, storage_url

RANGES: dict[str, tuple[float, float]] = {
    "loss.temperature": (0.05, 1.0),
    "optimizer.learning_rate": (2e-4, 4e-3),
    "sampler.sigma": (0.05, 1.0),
}


class Pair(NamedTuple):
    """Our preset and the reference recipe on the same data, the data's file, and what both are trained with."""

    ours: str
    reference: str
    file: str | None
    changes: dict[str, Any]


PAIRS = {
    "tones_bars": Pair(
        "tones_bars", "reference_tones_bars", None, {"optimizer.batch_size": 64, "optimizer.steps": 120}
    ),
    "photographs": Pair(
        "cifar10_patches",
        "reference_cifar10",
        "cifar10_two_class.npz",
        {
            "data.train_items": 4000,
            "optimizer.batch_size": 64,
            "optimizer.steps": 200,
            "evaluation.probe_items": 4000,
        },
    ),
}


def searched(config: RunConfig) -> tuple[str, ...]:
    """What is searched for a configuration: σ only where it has negatives with noise."""
    return tuple(path for path in RANGES if path != "sampler.sigma" or config.sampler.perturbed)


def base(name: str, pair: Pair, data: Path) -> RunConfig:
    """The configuration of a preset before a sweep sets what is searched; it has the middle of each range."""
    config = preset(name).config().replace({**pair.changes, "evaluation.every": 0})
    if pair.file is not None:
        config = config.replace({"data.path": str(data / pair.file)})
    return config.replace({path: round(math.sqrt(low * high), 6) for path, (low, high) in RANGES.items()})


def search(name: str, config: RunConfig, trials: int, work: Path, workers: int) -> dict[str, Any]:
    """Sweep one preset: values searched, each trial with its accuracy on validation items, and the best."""
    ranges = {path: {"low": RANGES[path][0], "high": RANGES[path][1], "log": True} for path in searched(config)}
    spec = Spec(config, Space.of_document(ranges), trials, seeds=1)
    url = storage_url(work, name, None)
    open_study(url, name, spec)
    run_workers(url, name, work, workers)
    found = found_by(*open_study(url, name), work)
    own = preset(name).config().flat()
    return {
        "preset": name,
        "items_seen": config.optimizer.batch_size * config.optimizer.steps,
        "own_values": {path: own[path] for path in ranges},
        "trials": [{key: row[key] for key in ("settings", "status", "value")} for row in found["trials"]],
        "best": {key: found["best"][key] for key in ("settings", "value", "test", "of")},
    }


def text(document: dict[str, Any]) -> str:
    """One line a preset."""
    lines = []
    for pair, sides in document["pairs"].items():
        for found in sides:
            best = found["best"]
            values = ", ".join(f"{path} {value:.3g}" for path, value in best["settings"].items())
            accuracies = f"{best['value']:.1%} on validation items, {best['test']:.1%} on test items"
            lines.append(f"{pair}, {found['preset']}: best of {best['of']}: {values}: {accuracies}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", default=",".join(PAIRS), metavar="A,B")
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--data", type=Path, default=shared_data(), metavar="DIR", help="where the data sets are")
    parser.add_argument("--work", type=Path, metavar="DIR", help="keep the runs there")
    parser.add_argument("--workers", type=int, default=2, help="processes with one thread each")
    parser.add_argument("--json", action="store_true", help="print the document instead of its text")
    parser.add_argument("--out", type=Path, help="also keep the document here")
    given = parser.parse_args(arguments)
    pairs: dict[str, list[dict[str, Any]]] = {}
    configs: dict[str, tuple[str, RunConfig]] = {}
    data: dict[str, str | None] = {}
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        for name in given.pairs.split(","):
            pair = PAIRS[name]
            pairs[name] = []
            for side in (pair.ours, pair.reference):
                config = base(side, pair, given.data)
                pairs[name].append(search(side, config, given.trials, work, given.workers))
                configs[side], data[side] = (side, config), load_dataset(config).fingerprint()
    command = f"python -m benchmarks.search --pairs {given.pairs} --trials {given.trials}"
    document = {"pairs": pairs, "machine": machine(torch.device("cpu")), "command": command}
    made = recipe(command, configs, data, {"ranges": RANGES, "trials": given.trials, "seeds": 1}, packages=["optuna"])
    deliver(document, made, text(document), given.json, given.out)


if __name__ == "__main__":
    main()
