"""Damaged run folders: what the readers of the engine and the command line make of files that are wrong.

    python -m benchmarks.fuzz [--cases 2000] [--seed 0] [--pages 0] [--out docs/reliability.md]

An evaluated run is copied, one of its files is damaged, and everything that reads a run is called. Three kinds of
damage, drawn from a seed: a value somewhere in a JSON file, a line, or a tensor is replaced by one of another type or
range; bytes are cut off or changed; and in place of the file stands a link that leaves the folder, a link to
/dev/zero, a pipe, a folder, a file of 100 GiB, or nothing.

Right is: every call returns or raises a CpcError with one line, within `LIMIT` seconds, and every part that does not
depend on the damaged file reads as before. With --pages, pages of the app are loaded as well and none may end in its
box for unknown errors.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import math
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cpc_engine.anatomy.frozen import Batch
from cpc_engine.anatomy.opened import Opened
from cpc_engine.anatomy.what_if import what_if
from cpc_engine.api.run import Evaluation
from cpc_engine.cli import main as cli
from cpc_engine.comparison.arms import Branch
from cpc_engine.comparison.collect import load_compared
from cpc_engine.config import RunConfig
from cpc_engine.errors import CpcError
from cpc_engine.evaluation.alarms import alarms
from cpc_engine.execution.evaluate import evaluate_run
from cpc_engine.execution.execute import execute
from cpc_engine.execution.manager import RunManager
from cpc_engine.execution.weight_snapshots import kept_snapshots
from cpc_engine.maps.snapshots import load_snapshots
from cpc_engine.maps.stored import load_map
from cpc_engine.media import Sound
from cpc_engine.placing import Placer
from cpc_engine.storage.files import read_tensors, write_tensors
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.listing import scan_runs
from cpc_engine.training.control import Control
from tests.support.tiny import tiny

from .marked import replace_part

LIMIT = 20.0  # seconds that one case may take; a whole case takes about a third of a second on one idle core
DOCUMENTS = ("config.json", "run.json", "map.json", "evolution.json", "evaluation.json", "fork.json")
LINES = ("metrics.jsonl", "events.jsonl")
SNAPSHOT = "snapshot-1.safetensors"  # weights of an earlier step
TENSORS = (
    *(f"{name}.safetensors" for name in ("weights", "map", "evolution", "typicality", "probe", "checkpoint")),
    SNAPSHOT,
)
FILES = (*DOCUMENTS, *LINES, *TENSORS)
VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 10**20, 1e308, -1e308, float("nan"), float("inf"), 0.5),
    *("", "x", "1.5", "../..", "a" * 20_000, "<script>", [], [None], [1, "a"], {}, {"a": 1}, [[[]]]),
)
# Parts that do not read a file stay as they are: reader → the files that it needs.
NEEDS: dict[str, set[str]] = {
    "info": {"run.json"},
    "records": {"config.json", "metrics.jsonl"},
    "events": {"config.json", "events.jsonl"},
    "map": {"config.json", "run.json", "map.json", "map.safetensors"},
    "snapshots": {"evolution.json", "evolution.safetensors"},
    "place": {"config.json", "run.json", "map.json", "map.safetensors", "weights.safetensors"},
    "compare": {"config.json", "run.json", "metrics.jsonl", "events.jsonl", "fork.json"},
    "negatives": {"config.json", "run.json", "events.jsonl", "weights.safetensors", "checkpoint.safetensors", SNAPSHOT},
}
SLOW = {"negatives"}  # called only where a file that they need is damaged


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 if every case was right, 1 if not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pages", type=int, default=0, help="cases of which pages of the app are loaded as well")
    parser.add_argument("--out", type=Path, help="Markdown file whose section is replaced")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as root:
        found = fuzz(make_run(Path(root) / "whole"), Path(root), options.cases, options.seed, options.pages)
    for failure in found["failures"]:
        print(failure, file=sys.stderr)
    print(table(found, options))
    if options.out:
        replace_part(options.out, "fuzz", table(found, options))
    return 1 if found["failures"] else 0


def make_run(root: Path) -> RunFolder:
    """A small evaluated run on sounds and pictures, a fork, in which a setting was changed on the way."""
    config = tiny(
        data__dataset="keypad", data__train_items=60, data__test_items=30, evaluation__every=2, optimizer__steps=6
    )
    folder = RunFolder.create(root, config)
    control = Control()
    control.change(config, "loss.temperature", 0.3)
    assert execute(folder, control).status == "finished"
    evaluate_run(folder)
    folder.save_json("fork", asdict(Branch("parent", 2, "other")))
    return folder


def fuzz(whole: RunFolder, root: Path, cases: int, seed: int, pages: int = 0) -> dict[str, Any]:
    """Run all cases; {"failures", "refused" and "cases" by file, "slowest" s, "memory" MiB}."""
    shutil.copytree(whole.path, root / "other")
    expected = {name: read(whole) for name, read in readers().items()}
    found: dict[str, Any] = {"failures": [], "refused": Counter(), "cases": Counter(), "slowest": 0.0}
    for case in range(cases):
        rng = random.Random(f"{seed} {case}")
        name = FILES[case % len(FILES)]
        folder = RunFolder(root / "fuzzed")
        shutil.copytree(whole.path, folder.path)
        what = damage(folder.path / name, rng)
        began = time.monotonic()
        told, failures = read_all(folder, expected, name)
        if case % 8 == 0:
            failures += command_line(folder)
        if case < pages * len(FILES) and case % len(FILES) == case // len(FILES) % len(FILES):
            failures += load_pages(folder)
        seconds = time.monotonic() - began
        failures += [f"it took {seconds:.0f} s"] if seconds > LIMIT else []
        found["slowest"] = max(found["slowest"], seconds)
        found["cases"][name] += 1
        found["refused"][name] += bool(told)
        found["failures"] += [f"case {case}, {name}: {what}: {failure}" for failure in failures]
        shutil.rmtree(folder.path)
    found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def damage(path: Path, rng: random.Random) -> str:
    """Damage one file; what was done."""
    if rng.random() < 0.2:
        return _bytes(path, rng)
    if rng.random() < 0.15:
        return _not_a_file(path, rng)
    if path.name in DOCUMENTS:
        value = json.loads(path.read_text())
        value, what = _document(value, rng)
        path.write_text(json.dumps(value))
        return what
    if path.name in LINES:
        lines = path.read_text().splitlines()
        index = rng.choice([rng.randrange(len(lines)), len(lines) - 1])
        value, what = _document(json.loads(lines[index]), rng)
        lines[index] = json.dumps(value)
        path.write_text("\n".join(lines) + "\n")
        return f"line {index}: {what}"
    return _tensor(path, rng)


def _document(value: Any, rng: random.Random) -> tuple[Any, str]:
    """A JSON value with one place changed, and what."""
    value = copy.deepcopy(value)
    places: list[tuple[Any, Any]] = []

    def collect(inner: Any) -> None:
        keys = inner if isinstance(inner, dict) else range(len(inner)) if isinstance(inner, list) else ()
        for key in keys:
            places.append((inner, key))
            collect(inner[key])

    collect(value)
    if not places or rng.random() < 0.03:
        new = rng.choice(VALUES)
        return new, f"all → {str(new)[:40]}"
    # By the name of the key first, or the hundreds of names of items would leave nothing for other keys.
    key = rng.choice(sorted({str(k) for _, k in places}))
    holder, place = rng.choice([p for p in places if str(p[1]) == key])
    if rng.random() < 0.2:
        del holder[place]
        return value, f"{place} removed"
    holder[place] = new = rng.choice(VALUES)
    return value, f"{place} → {str(new)[:40]!r}"


def _tensor(path: Path, rng: random.Random) -> str:
    tensors = read_tensors(path)
    name = rng.choice(sorted(tensors))
    tensor = tensors[name]
    changed: dict[str, Callable[[], torch.Tensor]] = {
        "cut": lambda: tensor.flatten()[: max(0, tensor.numel() - rng.randrange(1, 4))],
        "fewer rows": lambda: tensor[: len(tensor) // 2] if tensor.ndim else tensor[None],
        "one dimension more": lambda: tensor[..., None],
        "flat": lambda: tensor.flatten(),
        "empty": lambda: tensor[:0] if tensor.ndim else torch.zeros(0),
        "float64": lambda: tensor.double(),
        "int64": lambda: tensor.float().nan_to_num(0, 0, 0).clamp(-9e18, 9e18).long(),
        "bool": lambda: tensor != 0,
        "NaN": lambda: torch.full(tensor.shape, float("nan")),
        "infinite": lambda: torch.full(tensor.shape, float("inf")),
        "huge": lambda: torch.full(tensor.shape, 3e38),
        "negative": lambda: torch.full_like(tensor, -1) if tensor.dtype != torch.bool else tensor,
        "large": lambda: torch.full(tensor.shape, 10**9),
        "zero": lambda: torch.zeros_like(tensor),
    }
    what = rng.choice([*changed, "removed", "renamed", "one more"])
    if what in changed:
        tensors[name] = changed[what]()
    else:
        kept = tensors[name] if what == "one more" else tensors.pop(name)
        if what != "removed":
            tensors[f"{name}.x"] = kept
    write_tensors(path, tensors)
    return f"{name} {what}"


def _bytes(path: Path, rng: random.Random) -> str:
    content = bytearray(path.read_bytes())
    match rng.randrange(4):
        case 0:
            del content[rng.randrange(len(content)) :]
        case 1:
            for _ in range(rng.randrange(1, 20)):
                content[rng.randrange(len(content))] = rng.randrange(256)
        case 2:
            content[:8] = rng.randbytes(8)
        case _:
            content = bytearray(b"[" * 100_000)
    path.write_bytes(content)
    return "bytes"


def _not_a_file(path: Path, rng: random.Random) -> str:
    what = rng.choice(("missing", "folder", "link to /dev/zero", "link out", "pipe", "100 GiB", "circle"))
    outside = path.parent.parent / f"outside-{path.name}"
    shutil.copyfile(path, outside)
    path.unlink()
    match what:
        case "folder":
            path.mkdir()
        case "link to /dev/zero":
            path.symlink_to("/dev/zero")
        case "link out":
            path.symlink_to(outside)
        case "pipe":
            os.mkfifo(path)
        case "100 GiB":
            with path.open("wb") as file:
                file.truncate(100 * 2**30)
        case "circle":
            path.symlink_to(path.name)
    return what


def readers() -> dict[str, Callable[[RunFolder], Any]]:
    """Everything that reads a run; each gives what can be compared."""
    sound = Sound(np.random.default_rng(0).normal(0, 0.1, 4000).astype(np.float32), 8000)

    def place(folder: RunFolder) -> Any:
        placed = Placer(folder).place(sound)
        return [placed.positions, [near.source for near in placed.neighbors]]

    def snapshots(folder: RunFolder) -> Any:
        found = load_snapshots(folder)
        return None if found is None else [found.steps, found.coordinates().shape]

    def a_map(folder: RunFolder) -> Any:
        found = load_map(folder)
        return [{name: fitted.layout.tolist() for name, fitted in found.maps.items()}, found.names]

    def progress(folder: RunFolder) -> Any:
        found = _manager(folder.path.parent).progress_of(folder.id)
        return len(alarms(found.records, 60, RunConfig()))

    def evaluation(folder: RunFolder) -> Any:
        document = folder.json("evaluation")
        return None if document is None else repr(Evaluation(document, "run"))

    def compare(folder: RunFolder) -> Any:
        return {name: value for name, value in load_compared(folder).metrics.items() if "." not in name}.get("loss")

    def negatives(folder: RunFolder) -> Any:
        """Losses in the next batch, now and after the first step that weights are kept of."""
        now = Opened(folder)
        losses = [
            round(what_if(frozen, 0).loss, 3)
            for opened in (now, now.at(min(kept_snapshots(folder))))
            for frozen in Batch(opened, None).losses.values()
        ]
        assert all(map(math.isfinite, losses)), losses
        return losses

    return {
        "info": lambda folder: folder.info().data,
        "records": lambda folder: folder.records(),
        "events": lambda folder: folder.events(),
        "map": a_map,
        "snapshots": snapshots,
        "place": place,
        "compare": compare,
        "progress": progress,
        "evaluation": evaluation,
        "negatives": negatives,
    }


_MANAGERS: dict[Path, RunManager] = {}


def _manager(root: Path) -> RunManager:
    if root not in _MANAGERS:
        _MANAGERS[root] = RunManager(root)
    return _MANAGERS[root]


def read_all(folder: RunFolder, expected: dict[str, Any], damaged: str) -> tuple[list[str], list[str]]:
    """(what was refused, what was wrong) when everything is read."""
    told, wrong = [], []
    for name, read in readers().items():
        if name in SLOW and damaged not in NEEDS[name]:
            continue
        try:
            found = read(folder)
        except CpcError as error:
            told.append(name)
            if "\n" in str(error) or len(str(error)) > 1000:
                wrong.append(f"{name}: not one line: {str(error)[:200]!r}")
            if name in NEEDS and damaged not in NEEDS[name]:
                wrong.append(f"{name}: lost, though it does not need the file: {error}")
        except Exception:  # whatever it is, it is what the job looks for
            wrong.append(f"{name}: {traceback.format_exc()}")
        else:
            if name in NEEDS and damaged not in NEEDS[name] and found != expected[name]:
                wrong.append(f"{name}: changed, though it does not read the file")
    scan_runs(folder.path.parent)
    return told, wrong


def command_line(folder: RunFolder) -> list[str]:
    """What was wrong with `list`, `compare` and `embed`."""
    root = str(folder.path.parent)
    sound = Path(root) / "sound.wav"
    if not sound.exists():
        import soundfile

        soundfile.write(sound, np.random.default_rng(0).normal(0, 0.1, 4000), 8000)
    wrong = []
    for command in (["list"], ["compare", folder.id, "other"], ["embed", folder.id, str(sound)]):
        out = io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                code = cli([*command, "--runs", root])
        except Exception:  # whatever it is, it is what the job looks for
            wrong.append(f"{command[0]}: {traceback.format_exc()}")
        else:
            if code not in (0, 1, 2) or "Traceback" in out.getvalue():
                wrong.append(f"{command[0]}: exit code {code}: {out.getvalue()[-500:]}")
    return wrong


def load_pages(folder: RunFolder) -> list[str]:
    """What was wrong with the pages that show a run."""
    from tests.support.pages import open_page
    from ui.shell.errors import BROKE

    os.environ["CPC_RUNS"] = str(folder.path.parent)
    wrong = []
    for page, address in (
        ("pages/watch.py", {"run": folder.id}),
        ("pages/runs.py", {}),
        ("pages/compare.py", {"runs": f"{folder.id},other"}),
        ("pages/explore.py", {"run": folder.id}),
        ("pages/place.py", {"run": folder.id}),
    ):
        test = open_page(page, **address)
        wrong += [f"{page}: {error.value}" for error in test.error if BROKE in error.value]
        wrong += [f"{page}: {error.value}" for error in test.exception]
    return wrong


def table(found: dict[str, Any], options: argparse.Namespace) -> str:
    """The figures as Markdown."""
    cases = sum(found["cases"].values())
    lines = [
        f"{cases:,} damaged folders (seed {options.seed}), {len(found['failures'])} wrong; the slowest took "
        f"{found['slowest']:.1f} s, and the whole job {found['memory']:,.0f} MiB of memory.",
        "",
        "| file | damaged | refused in one line by a reader |",
        "| --- | ---: | ---: |",
        *(f"| {name} | {found['cases'][name]} | {found['refused'][name]} |" for name in FILES if found["cases"][name]),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
