"""What a step costs each rank of a run on several devices: time, bytes that it exchanges, memory.

    python -m benchmarks.scale [--ranks 1,2] [--rounds N] [--repeats N] [--json] [--out FILE]

Each rank is a process with one thread. Bytes are counted where they are exchanged, and compared with what
`docs/scale.md` predicts from the settings; "kept" is what autograd holds from the forward to the backward pass. Where
other programs want the cores, `cpu_ms`, the time that a rank itself computes in a step, says more than `ms`, the time
that passes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import distributed

from benchmarks.timing import MEGABYTE, ROOT, deliver, machine
from cpc_engine import preset
from cpc_engine.config import RunConfig
from cpc_engine.data import load_dataset
from cpc_engine.execution.device import fabric_on, pick_precision
from cpc_engine.execution.ranks.line import Line, leave
from cpc_engine.experiments.recipe import recipe
from cpc_engine.training.ranks import ALONE, ManyRanks, shares
from cpc_engine.training.trainer import Trainer

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "tones": ("tones", {}),
    "tones, d = 128": ("tones", {"context.latent_dim": 128}),
    "tones, Q = 16384": ("tones", {"sampler.queue_size": 16384}),
    "tones, momentum encoder": ("tones", {"sampler.key_momentum": 0.99}),
    "tones_bars": ("tones_bars", {}),
}
WARM_UP = 3  # steps


def configuration(name: str) -> RunConfig:
    start, changes = CASES[name]
    return preset(start).config().replace({**changes, "run.device": "cpu", "run.threads": 1})


def predicted(trainer: Trainer, count: int) -> int:
    """Bytes of other ranks that a rank gathers in a step (see docs/scale.md), for settings as in `CASES`."""
    context, floats = trainer.config.context, 0
    with torch.no_grad():
        encodings = trainer.forward(trainer.order.rows(0)).encodings
    for encoding in encodings.values():
        length = encoding.latents.shape[1]
        predictions = sum(len(anchors) for anchors in encoding.anchors.values())
        latents = length if trainer.ema is None else 2 * length
        floats += (latents + predictions) * context.latent_dim + (length + 3) * context.hidden_dim
    return 4 * floats * (count - 1) * shares(trainer.order.batch_size, count)[0]


def measure(name: str, rank: int, count: int, rounds: int) -> dict[str, Any]:
    """What a step of one case costs this rank."""
    config = configuration(name)
    data = load_dataset(config)
    fabric = fabric_on("cpu", pick_precision(config.run.precision, "cpu"))
    trainer = Trainer(config, data, fabric, ranks=ALONE if count == 1 else ManyRanks(rank, count))
    for _ in range(WARM_UP):
        trainer.step()
    passed, computed = [], []
    for _ in range(rounds):
        began = time.perf_counter(), time.process_time()
        trainer.step()
        passed.append(time.perf_counter() - began[0])
        computed.append(time.process_time() - began[1])
    sent = {"gathered": 0, "averaged": 0}

    def counting(what: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*tensors: Any) -> Any:
            sent[what] += tensors[-1].numel() * tensors[-1].element_size() * (count - 1 if what == "gathered" else 1)
            return call(*tensors)

        return counted

    gather, average = counting("gathered", distributed.all_gather), counting("averaged", distributed.all_reduce)
    with patch.object(distributed, "all_gather", gather), patch.object(distributed, "all_reduce", average):
        trainer.step()
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        trainer.step()
    state = trainer.state()
    queue = sum(t.numel() * t.element_size() for key, t in state.items() if key.startswith("queue.") and "vec" in key)
    return {
        "ms": round(1000 * statistics.median(passed), 2),
        "cpu_ms": round(1000 * statistics.median(computed), 2),
        "gathered_bytes": sent["gathered"],
        "gathered_bytes_predicted": predicted(trainer, count),
        "averaged_bytes": sent["averaged"],
        "trained_bytes": sum(4 * p.numel() for p in trainer.model.parameters() if p.requires_grad),
        "queue_bytes": queue,
        "kept_bytes": sum(kept.values()),
        "data": data.fingerprint(),
    }


def one_rank(rank: int, count: int, folder: Path, rounds: int) -> None:
    """Measure all cases as one of the ranks; rank 0 prints what it found."""
    torch.set_num_threads(1)
    if count > 1:
        Line(rank, count, folder)
    found = {name: measure(name, rank, count, rounds) for name in CASES}
    leave()
    if rank == 0:
        print(json.dumps(found))


def together(count: int, rounds: int) -> dict[str, dict[str, Any]]:
    """What a step costs rank 0 of so many."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.scale", "--rounds", str(rounds), "--folder", folder]
        ranks = [
            subprocess.Popen(
                [*command, "--rank", f"{rank}/{count}"],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
            for rank in range(count)
        ]
        said = [rank.communicate()[0] for rank in ranks]
    if any(rank.returncode for rank in ranks):
        raise SystemExit(f"a rank of {count} has failed")
    found: dict[str, dict[str, Any]] = json.loads(said[0])
    return found


def run(counts: list[int], rounds: int, repeats: int) -> tuple[dict[str, Any], dict[str, str]]:
    """What was found by case and number of ranks, of times the shortest; and the fingerprints of the data."""
    tried = [{count: together(count, rounds) for count in counts} for _ in range(repeats)]
    found: dict[str, Any] = {}
    data = {}
    for name in CASES:
        data[name] = tried[0][counts[0]][name]["data"]
        found[name] = {}
        for count in counts:
            rows = [one[count][name] for one in tried]
            best = {key: min(row[key] for row in rows) for key in ("ms", "cpu_ms")}
            found[name][str(count)] = {key: value for key, value in rows[0].items() if key != "data"} | best
    return found, data


def text(document: dict[str, Any]) -> str:
    lines = []
    for name, by_count in document["cases"].items():
        lines.append(name)
        for count, row in by_count.items():
            mb = {key.removesuffix("_bytes"): f"{n / MEGABYTE:.2f}" for key, n in row.items() if "bytes" in key}
            lines.append(
                f"  W = {count}: {row['ms']} ms, {row['cpu_ms']} ms of its own; MB: {mb['gathered']} gathered, "
                f"{mb['averaged']} averaged, {mb['queue']} queue, {mb['kept']} kept for the backward pass"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", default="1,2", help="numbers of ranks with commas between them")
    parser.add_argument("--rounds", type=int, default=15, help="steps that are timed")
    parser.add_argument("--repeats", type=int, default=3, help="of everything, alternating; the quickest counts")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="also write the document there")
    parser.add_argument("--rank", help=argparse.SUPPRESS)  # of a process that this one has started, as RANK/COUNT
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.rank:
        rank, _, count = given.rank.partition("/")
        one_rank(int(rank), int(count), given.folder, given.rounds)
        return
    command = f"python -m benchmarks.scale --ranks {given.ranks} --rounds {given.rounds} --repeats {given.repeats}"
    found, data = run([int(count) for count in given.ranks.split(",")], given.rounds, given.repeats)
    document = {"cases": found, "machine": machine(torch.device("cpu")), "command": command}
    configs = {name: (CASES[name][0], configuration(name)) for name in CASES}
    made = recipe(command, configs, data, {"rounds": given.rounds, "repeats": given.repeats, "ranks": given.ranks})
    deliver(document, made, text(document), given.json, given.out)


if __name__ == "__main__":
    main()
