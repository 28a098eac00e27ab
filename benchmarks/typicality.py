"""Does a run know what it never learned from? Held-out against unlike items, by the typicality that the app shows.

    python -m benchmarks.typicality [--run RUN…] [--data DIR] [--items 200] [--json] [--out FILE]

Without RUN, the newest finished FSDD run and the newest finished CIFAR-10 run in checkpoints/ are taken.

AUROC: the chance that a held-out test item is called more typical than an unlike one (ties count half), with a 95 %
bootstrap interval over items of both sides. Runs learned from sound or from pictures alone. CIFAR-10 and FSDD are
looked for in DIR, in $CPC_SHARED/data, or in `shared/data` beside the repository.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

if not __package__:  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.timing import deliver, machine, shared_data
from benchmarks.unlike import pictures, sounds
from cpc_engine.comparison.commands import nearest_preset
from cpc_engine.data import item_media, load_dataset
from cpc_engine.data.dataset import Split
from cpc_engine.errors import CpcError, RunError
from cpc_engine.evaluation.ood import BORDERLINE, UNLIKE
from cpc_engine.experiments.recipe import recipe
from cpc_engine.media import Picture, Sound
from cpc_engine.placing import Placer
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.listing import list_runs

FILES = {"cifar10": "cifar10_two_class.npz", "fsdd": "fsdd/recordings"}
BAR = 0.9
_RESAMPLES = 1000


def held_out(split: Split, count: int, rate: int, seed: int) -> list[Sound | Picture]:
    """`count` test items as a person would bring them."""
    rows = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))[:count]
    return [item_media(split, row, split.modalities[0], rate) for row in rows.tolist()]


def auroc(known: np.ndarray, strange: np.ndarray) -> float:
    """Chance that one of `known` is above one of `strange`; ties count half."""
    order = np.sort(strange)
    below, up_to = np.searchsorted(order, known, "left"), np.searchsorted(order, known, "right")
    return float((below + up_to).mean() / (2 * len(strange)))


def with_interval(known: np.ndarray, strange: np.ndarray, seed: int) -> dict[str, Any]:
    draw = np.random.default_rng(seed)
    again = [auroc(draw.choice(known, len(known)), draw.choice(strange, len(strange))) for _ in range(_RESAMPLES)]
    low, high = np.percentile(again, [2.5, 97.5])
    return {
        "auroc": round(auroc(known, strange), 4),
        "interval": [round(float(low), 4), round(float(high), 4)],
        "called_unlike": round(float((strange <= UNLIKE).mean()), 4),
        "items": len(strange),
    }


def newest() -> list[str]:
    """The last finished run of each data set in checkpoints/."""
    finished = [info for info in list_runs() if info.status == "finished"]
    found = [next((info.id for info in finished if info.data.get("name") == name), None) for name in FILES]
    if None in found:
        raise RunError(f"checkpoints/ needs a finished run of each of {', '.join(FILES)}; or name runs with --run")
    return [run for run in found if run is not None]


def measure(folder: RunFolder, data: Path, count: int, seed: int = 0) -> dict[str, Any]:
    """AUROC per kind and of all kinds together, and what the verdicts say of held-out items."""
    config = folder.config()
    path = data / FILES.get(config.data.dataset, "absent")
    if path.exists():
        config = config.replace({"data.path": str(path)})
    dataset = load_dataset(config)
    if len(dataset.modalities) > 1:
        raise RunError(f"{folder.id}: its items are pairs; only runs of one modality are measured")
    placer = Placer(folder, ("pca",))
    if not placer.typicality:
        raise RunError(f"{folder.id} has no typicality yet: evaluate it first")

    def percentiles(items: list[Any]) -> np.ndarray:
        return np.array([placer.place(item).typicality for item in items])

    known = percentiles(held_out(dataset.test, count, dataset.sample_rate, seed))
    unlike: dict[str, Any] = (
        sounds(count, dataset.sample_rate, placer.clip_seconds, seed)
        if dataset.modalities == ("audio",)
        else pictures(count, seed)
    )
    found = {kind: percentiles(items) for kind, items in unlike.items()}
    return {
        "data": dataset.fingerprint(),
        "run": folder.id,
        "dataset": dataset.name,
        "steps": folder.info().steps_done,
        "held_out": {
            "items": len(known),
            "called_unlike": round(float((known <= UNLIKE).mean()), 4),
            "called_borderline": round(float(((known > UNLIKE) & (known <= BORDERLINE)).mean()), 4),
        },
        "kinds": {kind: with_interval(known, values, seed) for kind, values in found.items()},
        "overall": with_interval(known, np.concatenate(list(found.values())), seed),
        "bar": BAR,
    }


def text(document: dict[str, Any]) -> str:
    lines = []
    for run in document["runs"]:
        known = run["held_out"]
        lines += [
            f"{run['run']} ({run['dataset']}, {run['steps']} steps): of {known['items']} held-out items "
            f"{known['called_unlike']:.1%} are called unlike, {known['called_borderline']:.1%} borderline",
            f"  {'unlike items':22} AUROC   95 % interval    called unlike",
        ]
        for kind, row in {**run["kinds"], "all of them": run["overall"]}.items():
            low, high = row["interval"]
            lines.append(f"  {kind:22} {row['auroc']:.3f}   {low:.3f} to {high:.3f}   {row['called_unlike']:.0%}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", nargs="+", metavar="RUN", help="runs of sound or of pictures, by folder or id")
    parser.add_argument("--data", type=Path, default=shared_data(), metavar="DIR", help="where the data sets are")
    parser.add_argument(
        "--items", type=int, default=200, metavar="N", help="held-out items, and unlike items of each kind"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="also write the document there")
    given = parser.parse_args()
    try:
        runs = [RunFolder.open(run) for run in given.run or newest()]
        found = [measure(run, given.data, given.items) for run in runs]
    except CpcError as error:
        parser.exit(2, f"error: {error}\n")
    command = f"python -m benchmarks.typicality --items {given.items} --run {' '.join(run.id for run in runs)}"
    document = {"machine": machine(torch.device("cpu")), "runs": found, "command": command}
    configs = {run.id: (nearest_preset(run.config())[0], run.config()) for run in runs}
    data = {one["run"]: one.pop("data") for one in found}
    made = recipe(command, configs, data, {"items": given.items, "resamples": _RESAMPLES, "seed": 0})
    deliver(document, made, text(document), given.json, given.out)


if __name__ == "__main__":
    main()
