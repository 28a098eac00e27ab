"""How often does a fork without a change beat its control? Real forks of a tiny run, judged by the code of the page.

    python -m benchmarks.forks [--comparisons 40] [--json] [--out FILE]

A few parents of different seeds are trained once. Each comparison forks every one of them without a change and gives
child and control random numbers of their own, so that they differ in noise alone (A/A): weights, data order and
settings stay the same. Both are then held against each other seed by seed, as `cpc compare` does with the metrics that
are recorded. It errs where any metric has a verdict. Rows are kept in `--out` as they end; a second call with the same
command goes on from them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.timing import deliver, machine
from cpc_engine import preset
from cpc_engine.comparison.arms import MIN_SEEDS, Arm
from cpc_engine.comparison.collect import load_compared
from cpc_engine.comparison.judge import judge
from cpc_engine.comparison.verdicts import ALPHA
from cpc_engine.data import load_dataset
from cpc_engine.evaluation.intervals import wilson_interval
from cpc_engine.execution.execute import execute
from cpc_engine.execution.fork import fork
from cpc_engine.experiments.recipe import recipe
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control

STEPS, MORE, CHOSEN = 20, 6, "alignment"  # steps of a parent and of a fork, and the primary metric
CONFIG = (
    preset("tones")
    .config()
    .replace(
        {
            "data.train_items": 64,
            "data.test_items": 32,
            "audio.sample_rate": 8000,
            "audio.clip_seconds": 0.5,
            "audio.mel_bands": 32,
            "audio.width": 8,
            "context.latent_dim": 8,
            "context.hidden_dim": 16,
            "sampler.queue_size": 64,
            "sampler.perturbed": True,
            "optimizer.batch_size": 16,
            "optimizer.steps": STEPS,
            "evaluation.every": 0,
            "evaluation.items": 32,
            "evaluation.map_items": 32,
            "run.device": "cpu",
            "run.threads": 1,
            "run.snapshots": 0,
        }
    )
)


def finish(folder: RunFolder, resume: bool = False) -> RunFolder:
    """Train a run to its end."""
    ended = execute(folder, Control(), resume=resume)
    if ended.status != "finished":
        raise SystemExit(ended.message)
    return folder


def with_noise(folder: RunFolder, seed: int) -> RunFolder:
    """Give a fork random numbers of its own from the checkpoint on, and train it."""
    state = folder.tensors("checkpoint")
    folder.save_tensors("checkpoint", state | {"generator": torch.Generator().manual_seed(seed).get_state()})
    return finish(folder, resume=True)


def comparison(parents: Sequence[RunFolder], number: int) -> dict[str, Any]:
    """One A/A comparison: metrics with a verdict, and the smallest p value of a metric on its own."""
    sides: tuple[list[RunFolder], list[RunFolder]] = ([], [])
    with tempfile.TemporaryDirectory() as root:
        for parent in parents:
            forks = fork(parent, {}, Path(root), steps=MORE)
            for side, (folders, run) in enumerate(zip(sides, (forks.child, forks.control), strict=True)):
                folders.append(with_noise(run, 1_000 + 2 * number + side))
        arms = [Arm(letter, tuple(map(load_compared, runs))) for letter, runs in zip("AB", sides, strict=True)]
        verdicts = judge(arms, arms[1], CHOSEN)
    found = {metric: verdict.winner for (metric, _), verdict in verdicts.items() if verdict.winner}
    values = [verdict.p for verdict in verdicts.values() if verdict.p is not None]
    return {"comparison": number, "verdicts": found, "smallest_p": min(values), "metrics": len(verdicts)}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comparisons", type=int, default=40)
    parser.add_argument("--json", action="store_true", help="print the document instead of its text")
    parser.add_argument("--out", type=Path, help="keep the document here, and go on from it")
    given = parser.parse_args(arguments)
    command = f"python -m benchmarks.forks --comparisons {given.comparisons}"
    made = recipe(
        command,
        {"tones": ("tones", CONFIG)},
        {"tones": load_dataset(CONFIG).fingerprint()},
        {"seeds": MIN_SEEDS, "steps": MORE, "primary": CHOSEN},
    )
    rows: list[dict[str, Any]] = []
    if given.out is not None and given.out.is_file():
        before = json.loads(given.out.read_text())
        if all(before["recipe"][part] == made[part] for part in ("command", "configs", "parameters", "data")):
            rows = before["rows"]
    with tempfile.TemporaryDirectory() as root:
        configs = [CONFIG.replace({"run.seed": seed}) for seed in range(MIN_SEEDS)]
        wanted = range(len(rows), given.comparisons)
        parents = [finish(RunFolder.create(Path(root), config)) for config in configs] if wanted else []
        for number in wanted:
            rows.append(comparison(parents, number))
            if given.out is not None:
                given.out.write_text(json.dumps({"rows": rows, "recipe": made}, indent=2) + "\n")
    wrong, single = (sum(map(bool, each)) for each in zip(*map(_errs, rows), strict=True))
    document: dict[str, Any] = {
        "command": command,
        "machine": machine(torch.device("cpu")),
        "forks": 2 * MIN_SEEDS * len(rows),
        "any_verdict": {"share": wrong / len(rows), "interval": list(wilson_interval(wrong, len(rows)))},
        "any_uncorrected": {"share": single / len(rows), "interval": list(wilson_interval(single, len(rows)))},
        "rows": rows,
    }
    text = (
        f"{len(rows)} comparisons of forks without a change, {MIN_SEEDS} seeds each: {wrong} with a verdict "
        f"({wrong / len(rows):.1%}); without correction {single} ({single / len(rows):.1%})"
    )
    deliver(document, made, text, given.json, given.out)


def _errs(row: dict[str, Any]) -> tuple[bool, bool]:
    """(Whether any metric has a verdict, whether any p value by itself is below 5 %)."""
    return bool(row["verdicts"]), row["smallest_p"] < ALPHA


if __name__ == "__main__":
    main()
