"""How fast the Negatives page answers: a batch rebuilt, a line-up, a step slowly, and a what-if.

    python -m benchmarks.anatomy [--preset P] [--data PATH] [--threads N] [--rounds N] [--json] [--out F]

Trains a few steps of the preset first. `cifar10` looks for its data in $CPC_SHARED/data, or in `shared/data` beside the
repository. Aims at the cifar10 preset on 2 threads: a line-up within 500 ms, a what-if within 300 ms, the
stages of a step for one anchor within 500 ms.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.timing import alternate, deliver, machine, milliseconds, shared_data
from cpc_engine import preset
from cpc_engine.anatomy.frozen import Batch
from cpc_engine.anatomy.lineup import line_up
from cpc_engine.anatomy.one_step import one_step
from cpc_engine.anatomy.opened import Opened
from cpc_engine.anatomy.what_if import what_if
from cpc_engine.data import load_dataset
from cpc_engine.execution.execute import execute
from cpc_engine.experiments.recipe import recipe
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control

CHANGES: dict[str, dict[str, Any]] = {
    "present settings": {},
    "another temperature": {"loss.temperature": 0.5, "loss.item_temperature": 0.5},
    "noise and a queue": {"sampler.perturbed": True, "sampler.queue_size": 1024},
}


def measure(name: str, data: str | None, threads: int, rounds: int) -> tuple[dict[str, Any], str]:
    """Medians in ms, by loss and by what is asked, and the fingerprint of the data."""
    torch.set_num_threads(threads)
    changes: dict[str, Any] = {"optimizer.steps": 2, "run.device": "cpu", "run.threads": threads, "evaluation.every": 0}
    with tempfile.TemporaryDirectory() as folder:
        config = preset(name).config().replace(changes | ({} if data is None else {"data.path": data}))
        run = RunFolder.create(Path(folder), config)
        ended = execute(run, Control())
        if ended.status != "finished":
            raise SystemExit(ended.message)
        torch.set_num_threads(threads)
        opened = Opened(run)
        batch = Batch(opened)
        found: dict[str, Any] = {}
        for (term, modality), frozen in batch.losses.items():
            asked: dict[str, Any] = {"batch": lambda: Batch(opened, 0)}
            asked["line-up"] = lambda frozen=frozen: line_up(frozen, 0)
            asked["one step"] = lambda frozen=frozen: one_step(frozen, what_if(frozen, 0))
            for words, settings in CHANGES.items():
                other = opened.config.replace(settings)
                asked[f"what-if, {words}"] = lambda frozen=frozen, other=other: what_if(frozen, 0, other)
            seconds = alternate(asked, rounds, torch.device("cpu"))
            found[f"{term}, {modality}"] = {words: milliseconds(times) for words, times in seconds.items()}
        return found, load_dataset(config).fingerprint()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="cifar10")
    parser.add_argument("--data", help="the data set's file or folder")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    data = given.data
    if data is None and given.preset == "cifar10":
        data = str(shared_data() / "cifar10_two_class.npz")
    found, fingerprint = measure(given.preset, data, given.threads, given.rounds)
    command = f"python -m benchmarks.anatomy --preset {given.preset} --threads {given.threads} --rounds {given.rounds}"
    document = {
        "command": command,
        "preset": given.preset,
        "machine": machine(torch.device("cpu")),
        "milliseconds": found,
    }
    lines = [f"{loss}: {words} {ms:.0f} ms" for loss, times in found.items() for words, ms in times.items()]
    configs = {given.preset: (given.preset, preset(given.preset).config())}
    made = recipe(command, configs, {given.preset: fingerprint}, {"changes": CHANGES})
    deliver(document, made, "\n".join(lines), given.json, given.out)


if __name__ == "__main__":
    main()
