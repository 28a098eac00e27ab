"""The runs that the pictures of the pages show, trained where they are not there yet.

Settings to compare, the two of the lesson, a sweep, and one that trains while the pictures are taken.
"""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.timing import ROOT
from cpc_engine import RunConfig, preset
from cpc_engine.comparison.arms import MIN_SEEDS
from cpc_engine.execution.evaluate import evaluate_run
from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.sweeps.space import Space
from cpc_engine.sweeps.study import Spec, open_study, storage_url
from cpc_engine.sweeps.worker import Worker
from cpc_engine.training.control import Control
from ui.shell.first_run import STEPS, pair

RUNS = "screenshot-"
SWEEP = "temperature-and-queue"
SMALL = {
    "data.train_items": 512,
    "data.test_items": 120,
    "audio.width": 16,
    "image.width": 16,
    "context.hidden_dim": 64,
    "optimizer.batch_size": 16,
    "optimizer.steps": 60,
    "evaluation.every": 10,
    "evaluation.items": 60,
    "evaluation.map_items": 120,
    "run.device": "cpu",
}


def compared_runs(root: Path) -> list[str]:
    """Ids of two settings with the seeds that a verdict needs; the examples stand beside them."""
    ids = []
    for seed in range(MIN_SEEDS):
        for name, perturbed in (("Keypad", False), ("Keypad with perturbed negatives", True)):
            changes = {"run.name": name, "run.seed": seed, "sampler.perturbed": perturbed, "sampler.sigma": 0.2}
            config = preset("keypad").config().replace(changes | SMALL)
            ids.append(_trained(root, f"{'noisy' if perturbed else 'plain'}-{seed}", config, evaluated=True))
    for example in sorted((ROOT / "checkpoints").glob("example-*")):
        shutil.copytree(example, root / example.name, dirs_exist_ok=True)
    return ids


def lesson_runs(root: Path) -> list[str]:
    """Ids of the two runs that one click on Start trains."""
    return [_trained(root, name, config) for name, config in zip(("in-batch", "queue"), pair(), strict=True)]


def sweep_runs(root: Path) -> str:
    """The name of a sweep of two settings with two seeds each; what is there of it is not trained again."""
    config = pair(STEPS // 2)[0]
    space = Space.of_grid(["loss.temperature=0.05,0.1,0.3", "sampler.queue_size=0,1024"])
    url = storage_url(root, SWEEP, None)
    open_study(url, SWEEP, Spec(config, space, trials=6, seeds=2, metric="spread"))
    Worker(url, SWEEP, root).work()
    return SWEEP


@contextmanager
def running(root: Path) -> Iterator[str]:
    """The id of a run of two modalities and four sources that trains meanwhile; it is deleted afterwards."""
    sources = {"sampler.perturbed": True, "sampler.queue_size": 1024, "sampler.cross_modal": True}
    config = preset("keypad").config().replace({**SMALL, **sources, "run.name": "Four sources", "run.threads": 1})
    folder = RunFolder.create(root, config.replace({"optimizer.steps": 2000}))
    control = Control()
    thread = threading.Thread(target=execute, args=(folder, control))
    thread.start()
    try:
        yield folder.id
    finally:
        control.stop()
        thread.join()
        shutil.rmtree(folder.path)


def _trained(root: Path, name: str, config: RunConfig, evaluated: bool = False) -> str:
    """The id of a run, trained unless it is there."""
    run = f"{RUNS}{name}"
    if not (root / run).is_dir():
        print(f"training {run} …", file=sys.stderr, flush=True)
        folder = RunFolder.create(root, config)
        ended = execute(folder, Control())
        if ended.status != "finished":
            raise SystemExit(f"{run}: {ended.message}")
        if evaluated:
            evaluate_run(folder)
        folder.path.rename(root / run)
    return run
