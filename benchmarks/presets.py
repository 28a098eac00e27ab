"""Does a preset leave its contexts spread out, and how soon is there a first map to look at?

    python -m benchmarks.presets [--presets A,B] [--seeds 5] [--data DIR] [--work DIR] [--json] [--out FILE]

Each preset is trained from nothing to its end with several seeds. The effective rank is that of mean contexts of
held-out test items; the bar is 8, or the number of classes where that is smaller. The first map is the first one after
the untrained network's; its time counts from the start of the run, so data and their preparation are in it. What was
found in a run is kept in --work as it ends, and not measured again by the same commit.
All presets that make their own data when --presets is not given; the others look for theirs in DIR, in
$CPC_SHARED/data, or in `shared/data` beside the repository.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

if not __package__:  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks import timing
from benchmarks.timing import deliver, machine, shared_data
from benchmarks.typicality import FILES
from cpc_engine.config import RunConfig
from cpc_engine.data import load_dataset
from cpc_engine.data.splits import sample_rows
from cpc_engine.errors import CpcError, RunError
from cpc_engine.evaluation.intervals import mean_interval
from cpc_engine.evaluation.metrics import geometry_metrics
from cpc_engine.execution.execute import Phase, State, execute
from cpc_engine.experiments.definitions import SEEDS
from cpc_engine.experiments.recipe import recipe
from cpc_engine.maps.snapshots import load_snapshots
from cpc_engine.presets import PRESETS, preset
from cpc_engine.storage.artifacts import load_model
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control

BAR = 8.0
FIRST_MAP_BAR = 60.0  # seconds


def train(config: RunConfig, root: Path) -> dict[str, Any]:
    """One run: `data` (fingerprint), `ranks` by modality, `classes`, `first_map` and `whole` in seconds.

    Raises:
        RunError: it did not finish.
    """
    folder = RunFolder.create(root, config)
    began = time.perf_counter()
    first: list[float] = []

    def observe(seen: dict[str, Any] | Phase | State) -> None:
        if first or not isinstance(seen, dict | Phase):
            return
        snapshots = load_snapshots(folder)
        if snapshots is not None and snapshots.steps[-1] > 0:
            first.append(time.perf_counter() - began)

    end = execute(folder, Control(), observe)
    whole = time.perf_counter() - began
    if end.status != "finished":
        raise RunError(f"{config.data.dataset}, seed {config.run.seed}: {end.status} {end.message}")
    data = load_dataset(config)
    shown = data.test.take(sample_rows(data.test, max(config.evaluation.items, 512), config.data.seed))
    found = geometry_metrics(load_model(folder), shown, config)
    ranks = {
        m: found["effective_rank" if len(data.modalities) == 1 else f"{m}.effective_rank"] for m in data.modalities
    }
    return {
        "data": data.fingerprint(),
        "ranks": ranks,
        "classes": len(data.classes),
        "first_map": first[0],
        "whole": whole,
    }


def kept(name: str, config: RunConfig, work: Path) -> dict[str, Any]:
    """What `train` found with this configuration and commit (see `timing.kept`); kept in `work`."""
    file = work / f"{name}-{config.run.seed}.json"
    return timing.kept(file, {"config": config.to_dict()}, lambda: train(config, work / "runs"))


def summarize(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and half width of the 95 % interval over seeds; the slowest first map and run; whether the bars are met."""
    bar = min(BAR, runs[0]["classes"])
    ranks = {m: mean_interval([run["ranks"][m] for run in runs]) for m in runs[0]["ranks"]}
    slowest = {name: max(run[name] for run in runs) for name in ("first_map", "whole")}
    return {
        "effective_rank": {m: {"mean": mean, "half": half} for m, (mean, half) in ranks.items()},
        "bar": bar,
        "spread_out": all(value >= bar for run in runs for value in run["ranks"].values()),
        "seconds_to_first_map": slowest["first_map"],
        "seconds": slowest["whole"],
        "seeds": len(runs),
    }


def configuration(name: str, data: Path, seed: int) -> RunConfig:
    """A preset with nothing changed but the seed and where its data lie."""
    config = preset(name).config().replace({"run.seed": seed})
    if not PRESETS[name].needs_data:
        return config
    if config.data.dataset not in FILES:
        raise RunError(f"{name} needs a folder of your own; `python -m benchmarks.folders` trains on some")
    return config.replace({"data.path": str(data / FILES[config.data.dataset])})


def text(document: dict[str, Any]) -> str:
    lines = []
    for name, found in document["presets"].items():
        parts = [f"{m} {rank['mean']:.1f} ± {rank['half'] or 0:.1f}" for m, rank in found["effective_rank"].items()]
        said = "reached" if found["spread_out"] else "MISSED"
        lines.append(
            f"{name}: effective rank {', '.join(parts)} (bar {found['bar']:g}: {said}); first map after "
            f"{found['seconds_to_first_map']:.0f} s, all of it {found['seconds']:.0f} s"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    built_in = ",".join(name for name, one in PRESETS.items() if not one.needs_data)
    parser.add_argument("--presets", default=built_in, metavar="A,B", help="only these")
    parser.add_argument("--seeds", type=int, default=SEEDS, metavar="N")
    parser.add_argument("--data", type=Path, default=shared_data(), metavar="DIR", help="where cifar10 and fsdd are")
    parser.add_argument("--work", type=Path, metavar="DIR", help="keep runs and what was found in them there")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="also write the document there")
    given = parser.parse_args()
    found, configs, data = {}, {}, {}
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        try:
            for name in given.presets.split(","):
                runs = [kept(name, configuration(name, given.data, seed), work) for seed in range(given.seeds)]
                found[name] = summarize(runs)
                configs[name], data[name] = (name, configuration(name, given.data, 0)), runs[0]["data"]
                print(text({"presets": {name: found[name]}}), file=sys.stderr, flush=True)
        except CpcError as error:
            parser.exit(2, f"error: {error}\n")
    command = f"python -m benchmarks.presets --seeds {given.seeds} --presets {given.presets}"
    document = {"presets": found, "machine": machine(torch.device("cpu")), "command": command}
    made = recipe(command, configs, data, {"seeds": given.seeds, "bar": BAR})
    deliver(document, made, text(document), given.json, given.out)


if __name__ == "__main__":
    main()
