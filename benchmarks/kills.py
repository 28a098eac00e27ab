"""Runs that are killed: whether anything is lost, corrupt, or left behind, and whether a resumed run is the same.

    python -m benchmarks.kills [--rounds 60] [--seed 0] [--out docs/reliability.md]

Each round starts a process that makes and trains a run, evaluates one, or moves one to the trash and back, and ends it
with SIGKILL: half of the rounds at a random time, the others before or after a random one of its writes (each file and
folder is renamed into place). A training is killed up to three times before it may end.

Right is: every run that is listed can be read, an interrupted one can be resumed, and in the end all files are those of
an uninterrupted run, bit for bit; only times, process numbers, and the notes of the interruptions differ. No hidden
folder and no half-written file stays.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cpc_engine.errors import CpcError
from cpc_engine.execution.evaluate import evaluate_run
from cpc_engine.execution.execute import execute
from cpc_engine.execution.weight_snapshots import kept_snapshots
from cpc_engine.maps.snapshots import load_snapshots
from cpc_engine.maps.stored import load_map
from cpc_engine.storage.artifacts import load_model, load_ood_reference, load_probes
from cpc_engine.storage.files import read_tensors
from cpc_engine.storage.folder import RunFolder, check_resumable
from cpc_engine.storage.leftovers import sweep
from cpc_engine.storage.listing import scan_runs
from cpc_engine.storage.trash import discard, empty, restore, trashed
from cpc_engine.training.control import Control
from tests.support.tiny import tiny

from .marked import replace_part

SAME = (
    *("weights.safetensors", "map.safetensors", "map.json", "evolution.safetensors", "evolution.json"),
    *("typicality.safetensors", "config.json"),
)
CONFIG = tiny(
    data__dataset="keypad",
    data__train_items=60,
    data__test_items=30,
    optimizer__steps=12,
    evaluation__every=4,
    run__checkpoint_every=3,
    sampler__queue_size=64,
    context__hidden_dim=48,
)
# Imported by the process that others are forked from.
PRELOADED = ["cpc_engine.execution.evaluate", "cpc_engine.execution.execute"]
KINDS = ("train", "train", "train", "evaluate", "trash")
RENAMES = {"train": (4, 40), "resume": (3, 30), "evaluate": (5,), "trash": (6,)}  # up to the first, or up to the last


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 if every round was right, 1 if not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="Markdown file whose section is replaced")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as root:
        found = kill(Path(root), options.rounds, options.seed)
    for failure in found["failures"]:
        print(failure, file=sys.stderr)
    print(table(found, options))
    if options.out:
        replace_part(options.out, "kills", table(found, options))
    return 1 if found["failures"] else 0


def kill(root: Path, rounds: int, seed: int, kinds: Sequence[str] = KINDS) -> dict[str, Any]:
    """Run all rounds; {"failures", "kills" by what was going on}."""
    whole = RunFolder.create(root / "whole", CONFIG)
    began = time.monotonic()
    assert execute(whole, Control()).status == "finished"
    trained = time.monotonic() - began
    kept = Path(shutil.copytree(whole.path, root / "kept"))
    evaluate_run(whole)
    durations = {"train": trained, "resume": trained, "evaluate": time.monotonic() - began - trained, "trash": 0.05}
    found: dict[str, Any] = {"failures": [], "kills": Counter()}
    for number in range(rounds):
        rng = random.Random(f"{seed} {number}")
        kind = kinds[number % len(kinds)]
        place = root / f"round-{number}"
        place.mkdir()
        try:
            _round(kind, place, kept, whole, durations, rng, found["kills"])
        except (AssertionError, CpcError) as error:
            found["failures"].append(f"round {number}, {kind}: {type(error).__name__}: {error}")
        shutil.rmtree(place)
    return found


def _round(
    kind: str,
    root: Path,
    kept: Path,
    whole: RunFolder,
    durations: dict[str, float],
    rng: random.Random,
    kills: Counter[str],
) -> None:
    if kind != "train":
        shutil.copytree(kept, root / "run")
    for attempt in range(rng.randrange(1, 4) if kind == "train" else 1):
        runs = scan_runs(root)[0]
        act = "resume" if attempt and runs else kind
        if act == "resume" and runs[0].status == "finished":
            break
        writes = rng.random() < 0.5
        # The process has all modules, but needs about as long again for what the parent has in its caches.
        moment = rng.randrange(1, 2 * rng.choice(RENAMES[act])) if writes else 0
        ended = _killed(root, act, moment, rng.uniform(0, 2 * durations[act]))
        kills["ended before" if ended else _moment(act, root)] += 1
        check_listed(root)
    if kind == "trash":
        assert len(scan_runs(root)[0]) + len(trashed(root)) <= 1, "the run is there twice"
        for run in trashed(root):
            restore(run, root)
        check_listed(root)
        empty(root)
    elif kind == "train":
        runs = scan_runs(root)[0]
        assert len(runs) <= 1, "more than one run is there"
        folder = RunFolder(root / runs[0].id) if runs else RunFolder.create(root, CONFIG)
        if not runs or runs[0].status != "finished":
            if runs:
                check_resumable(folder)
            assert execute(folder, Control(), resume=bool(runs)).status == "finished"
        check_same(folder, whole)
    else:
        folder = RunFolder(root / "run")
        evaluate_run(folder)
        check_same(folder, whole)
        assert _evaluation(folder) == _evaluation(whole), "evaluation.json differs"
        ours, other = (read_tensors(run.path / "probe.safetensors") for run in (folder, whole))
        assert all(tensor.equal(ours[name]) for name, tensor in other.items()), "probe.safetensors differs"
    sweep(root)
    left = [path for path in root.rglob(".*") if path.name != ".trash"]
    assert not left, f"left behind: {[path.name for path in left]}"


def _killed(root: Path, act: str, write: int, seconds: float) -> bool:
    """Kill a process that does something; whether it had ended before."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=_do, args=(root, act, write))
    process.start()
    process.join(None if write else seconds)
    if process.is_alive():
        process.kill()
        process.join()
    code = process.exitcode
    process.close()
    assert code in (0, -signal.SIGKILL), f"{act} ended with {code}"
    return code == 0


def _do(root: Path, act: str, write: int) -> None:
    """The process that is killed: before or after its `write`-th rename, or, if 0, from outside."""
    if write:
        _die_at(write)
    if act == "train":
        execute(RunFolder.create(root, CONFIG), Control())
        return
    (info,) = scan_runs(root)[0]
    folder = RunFolder(root / info.id)
    if act == "resume":
        execute(folder, Control(), resume=True)
    elif act == "evaluate":
        evaluate_run(folder)
    else:
        for step in (discard, restore, discard):
            step(folder.id, root)
        empty(root)


def _die_at(write: int) -> None:
    rename: Callable[..., None] = os.replace
    calls = 0

    def counted(source: Any, target: Any) -> None:
        nonlocal calls
        calls += 1
        if 2 * calls > write and write % 2:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(source, target)
        if 2 * calls >= write and not write % 2:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = counted  # type: ignore[assignment]


def _moment(act: str, root: Path) -> str:
    """What was going on, as far as the files tell."""
    if act in ("evaluate", "trash"):
        return {"evaluate": "evaluation", "trash": "trash"}[act]
    runs = scan_runs(root)[0]
    if not runs:
        return "creation"
    folder = RunFolder(root / runs[0].id)
    steps = len(folder.records())
    if steps == CONFIG.optimizer.steps:
        return "maps and typicality"
    return "steps and checkpoints" if steps else "loading, before the first step"


def check_listed(root: Path) -> None:
    """Raise AssertionError or CpcError if something that is listed cannot be read."""
    runs, broken = scan_runs(root)
    assert not broken, broken
    for info in runs:
        folder = RunFolder(root / info.id)
        folder.records()
        folder.events()
        load_snapshots(folder)
        folder.json("evaluation")
        if folder.has("map"):
            load_map(folder)
        if folder.has_tensors("weights"):
            model = load_model(folder)
            load_probes(folder, model)
            load_ood_reference(folder, model)
        if folder.has_tensors("checkpoint"):
            folder.tensors("checkpoint")


def check_same(folder: RunFolder, whole: RunFolder) -> None:
    """Raise AssertionError unless all files are those of the uninterrupted run, but for times and interruptions."""
    for name in SAME:
        assert (folder.path / name).read_bytes() == (whole.path / name).read_bytes(), f"{name} differs"
    kept = kept_snapshots(whole)
    assert kept_snapshots(folder) == kept, "weights are kept of other steps"
    for file in ("checkpoint", *kept.values()):
        ours, other = (run.tensors(file) for run in (folder, whole))
        assert ours.keys() == other.keys(), f"{file}.safetensors has other tensors"
        for name, tensor in other.items():
            assert name == "progress" or tensor.equal(ours[name]), f"{file}.safetensors: {name} differs"
    records = [[{**row, "seconds": 0} for row in run.records()] for run in (folder, whole)]
    assert records[0] == records[1], "metrics.jsonl differs"
    infos = [run.info() for run in (folder, whole)]
    facts = [(i.status, i.steps_done, i.steps, i.loss_first, i.loss_last, i.parameters, i.data) for i in infos]
    assert facts[0] == facts[1], "run.json differs"


def _evaluation(folder: RunFolder) -> dict[str, Any]:
    document = json.loads((folder.path / "evaluation.json").read_text())
    return {name: value for name, value in document.items() if name != "run"}


def table(found: dict[str, Any], options: argparse.Namespace) -> str:
    """The figures as Markdown."""
    kills = {name: count for name, count in found["kills"].items() if name != "ended before"}
    wrong, before = len(found["failures"]), found["kills"]["ended before"]
    lines = [
        f"{sum(kills.values())} kills in {options.rounds} rounds (seed {options.seed}), {wrong} wrong; "
        f"{before} processes had ended before.",
        "",
        "| killed during | times |",
        "| --- | ---: |",
        *(f"| {name} | {count} |" for name, count in sorted(kills.items())),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
