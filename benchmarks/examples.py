"""Make the example runs that ship in `checkpoints/`, from nothing.

    python -m benchmarks.examples [NAME …] [--data DIR] [--out DIR] [--runs DIR] [--replace | --evaluate]

Each is trained and evaluated as `python -m cpc_engine train` and `evaluate` would, with seed 0. Weights, metrics and
maps of held-out items are kept, and weights of earlier steps where there is room for them; nothing of the data
themselves and no optimizer state. cifar10 and fsdd look for their data as the other benchmarks do, in $CPC_SHARED/data
or `shared/data` beside the repository. A finished run of the same settings below --runs, such as an experiment's, is
taken from there. --evaluate only evaluates those again that are there, after a change of the metrics.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if not __package__:  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.timing import ROOT, shared_data
from benchmarks.typicality import FILES
from cpc_engine.api.foreground import execute_here
from cpc_engine.config import RunConfig
from cpc_engine.errors import CpcError, RunError
from cpc_engine.execution.evaluate import evaluate_run
from cpc_engine.execution.weight_snapshots import kept_snapshots
from cpc_engine.experiments.runner import find_run
from cpc_engine.maps.stored import keep_map
from cpc_engine.presets import PRESETS
from cpc_engine.settings import unknown
from cpc_engine.storage.folder import RunFolder

LARGEST = 8 * 2**20  # bytes of one example
_LEFT_OUT = ("checkpoint.safetensors", "log.jsonl")


@dataclass(frozen=True)
class Example:
    """A preset, what it changes, and what the run of it teaches."""

    preset: str
    teaches: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""  # of the run; the preset's title where empty

    def command(self) -> str:
        """The line that trains it again."""
        sets = "".join(f" --set {setting}={value}" for setting, value in self.changes.items())
        data = " --data PATH" if PRESETS[self.preset].needs_data else ""
        return f"python -m cpc_engine train --preset {self.preset}{data} --seed 0{sets}"

    def config(self, data: Path) -> RunConfig:
        preset = PRESETS[self.preset]
        config = preset.config().replace(self.changes)
        note = f"Made by: {self.command()}"
        path = {"data.path": str(data / FILES[config.data.dataset])} if preset.needs_data else {}
        return config.replace({"run.seed": 0, "run.name": self.name or preset.title, "run.note": note, **path})


_SMALL: Mapping[str, Any] = {"evaluation.map_items": 150}  # dots of each modality: twice as many as the others

EXAMPLES: dict[str, Example] = {
    "tones": Example("tones", "Four pitches, four groups: how a map looks where classes are easy to tell."),
    "tones-bars": Example(
        "tones_bars", "A tone finds pictures of its class; pairs are of one class, so the pairing is a label.", _SMALL
    ),
    "keypad": Example("keypad", "Press a telephone key into the microphone and find its handwritten digit.", _SMALL),
    "spoken-digits": Example(
        "fsdd", "Real speech of six people: which digit it is can be told almost always, and without training as well."
    ),
    "airplane-automobile": Example(
        "cifar10",
        "Photographs without labels: what two pieces of a picture share tells more apart than no training does.",
    ),
    "collapsed": Example(
        "cifar10_patches",
        "What a plain queue does: within 100 steps every latent comes to one place, and the alarm says so.",
        {"sampler.queue_size": 4096, "context.other_view": False, "optimizer.steps": 150},
        "Collapsed by a queue",
    ),
}


def make(name: str, data: Path, out: Path, runs: Path | None, replace: bool) -> None:
    """Train, evaluate and pack one example to a folder below `out`.

    Raises:
        RunError: it is there already, did not finish, or is too large.
    """
    example, target = EXAMPLES[name], out / f"example-{name}"
    if target.exists() and not replace:
        raise RunError(f"{target.name} is there; --replace makes it again")
    with tempfile.TemporaryDirectory() as work:
        run = _finished(example.config(data), Path(work), runs)
        if run.json("evaluation") is None:
            evaluate_run(run)
        keep_map(run, "umap")
        for left_out in _LEFT_OUT:
            (run.path / left_out).unlink(missing_ok=True)
        _forget_path(run)
        run.mark_example(example.teaches, list(EXAMPLES).index(name) + 1)
        if _size(run) > LARGEST:  # the weights of earlier steps are as large as those that a run ended with
            for snapshot in kept_snapshots(run).values():
                (run.path / f"{snapshot}.safetensors").unlink()
        size = _size(run)
        if size > LARGEST:
            raise RunError(f"{name}: {size / 2**20:.1f} MB, more than the {LARGEST / 2**20:.0f} of an example")
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(run.path, target)
    print(f"{target.name}: {size / 2**20:.1f} MB")


def evaluate_again(folder: RunFolder, path: str | None) -> None:
    """Evaluate an example anew, which else stays as it is; only the results of its evaluation change.

    Args:
        path: where its data are; None where they are generated.
    """
    with tempfile.TemporaryDirectory() as work:
        run = RunFolder(shutil.copytree(folder.path, Path(work) / folder.id))
        run.update(data={name: value for name, value in run.info().data.items() if name != "example"})
        evaluate_run(run, path)
        for name in ("evaluation.json", "probe.safetensors"):
            shutil.copyfile(run.path / name, folder.path / name)


def _finished(config: RunConfig, work: Path, runs: Path | None) -> RunFolder:
    """A finished run of these settings below `work`: a copy of one below `runs`, or trained now."""
    known = find_run(runs, config) if runs else None
    if known is not None and known.info().status == "finished":
        shutil.copytree(known.path, work / known.id)
        run = RunFolder(work / known.id)
        run.rename(config.run.name, config.run.note)
        return run
    run = RunFolder.create(work, config)
    state = execute_here(run, resume=False)
    if state.status != "finished":
        raise RunError(f"{run.id}: {state.status}, {state.message}")
    return run


def _size(run: RunFolder) -> int:
    return sum(file.stat().st_size for file in run.path.iterdir())


def _forget_path(run: RunFolder) -> None:
    """Where the data lay here means nothing elsewhere."""
    run.save_json("config", run.config().replace({"data.path": None}).to_dict())


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the example runs that ship.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="all of them where none is named")
    parser.add_argument("--data", type=Path, default=shared_data())
    parser.add_argument("--out", type=Path, default=ROOT / "checkpoints")
    parser.add_argument("--runs", type=Path, help="runs that may be there already")
    anew = parser.add_mutually_exclusive_group()
    anew.add_argument("--replace", action="store_true", help="make those again that are there")
    anew.add_argument("--evaluate", action="store_true", help="only evaluate those again that are there")
    options = parser.parse_args()
    try:
        for name in options.names or EXAMPLES:
            if name not in EXAMPLES:
                raise unknown("example", name, EXAMPLES)
            if options.evaluate:
                path = EXAMPLES[name].config(options.data).data.path
                evaluate_again(RunFolder.open(f"example-{name}", options.out), path)
                continue
            make(name, options.data, options.out, options.runs, options.replace)
    except CpcError as error:
        print(f"examples: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
