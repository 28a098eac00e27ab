"""How fast each preset trains, and where a step's time goes.

    python -m benchmarks.training [--quick] [--json] [--out FILE] [--presets a,b] [--device cpu]

Steps with and without a record alternate. Utilization is the share of a step's time that its matrix products and
convolutions would take at the rate of large matrix products, measured in the same run. Where the time goes is found
from outside the engine: its functions are wrapped, and hooks on latents and predictions divide the backward pass.
CIFAR-10, FSDD, and recordings for the preset of folders are looked for in $CPC_SHARED/data, or in `shared/data` beside
the repository; presets without data are skipped with a line.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

import torch

from cpc_engine.training.fabric import Fabric

if not __package__:  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.sections import ENCODERS, LOSS, Sections, watched
from benchmarks.timing import MEGABYTE, alternate, deliver, machine, milliseconds, ratio, shared_data
from benchmarks.utilization import utilization
from cpc_engine.config import RunConfig
from cpc_engine.data import follow_data, load_dataset
from cpc_engine.errors import CpcError
from cpc_engine.execution.device import pick_precision, precision_plugin
from cpc_engine.experiments.recipe import Recipe, recipe
from cpc_engine.presets import PRESETS
from cpc_engine.training.trainer import Trainer

FILES = {"cifar10": "cifar10_two_class.npz", "fsdd": "fsdd", "audio_folder": "esc50_dev"}
WARM_UP = 3  # steps: queues fill, kernels and pools are made


def configuration(name: str) -> RunConfig | None:
    """The preset with its data found, and what follows from them; None where there are none."""
    config = PRESETS[name].config()
    if not PRESETS[name].needs_data:
        return config
    path = shared_data() / FILES.get(config.data.dataset, "absent")
    return follow_data(config.replace({"data.path": str(path)})) if path.exists() else None


def measure(config: RunConfig, device: torch.device, rounds: int) -> dict[str, Any]:
    """Speed and shares of one preset."""
    data = load_dataset(config, device)
    index = [device.index or 0] if device.type == "cuda" else 1
    precision = pick_precision(config.run.precision, device.type)
    fabric = Fabric(accelerator=device.type, devices=index, plugins=precision_plugin(precision, device.type))
    trainer = Trainer(config, data, fabric)
    runs = {"records_on": lambda: trainer.step(True), "records_off": lambda: trainer.step(False)}
    times = alternate(runs, rounds, device, WARM_UP)
    items = trainer.order.batch_size
    speeds = {}
    for name, seconds in times.items():
        ms = milliseconds(seconds)
        speeds[name] = {
            "ms": ms,
            "steps_per_s": round(1000 / ms, 3),
            "items_per_s": round(1000 * items / ms, 1),
            **_shares(trainer, record=name == "records_on", rounds=rounds, device=device),
        }
    found = {
        "data": data.fingerprint(),
        "batch_size": items,
        "parameters": trainer.model.parameter_count,
        "precision": precision,
        "record_overhead": ratio(times["records_on"], times["records_off"]),
        **utilization(lambda: trainer.step(False), statistics.median(times["records_off"]), device),
        **speeds,
    }
    return found | (_gpu(trainer, device) if device.type == "cuda" else {})


def _shares(trainer: Trainer, record: bool, rounds: int, device: torch.device) -> dict[str, Any]:
    """Where the time of such steps goes, measured on steps of their own."""
    sections = Sections(device)
    steps = []
    with watched(trainer, sections):
        for _ in range(rounds):
            with sections.part("rest"):
                trainer.step(record)
            steps.append(sections.take())
    medians = {name: milliseconds([step[name] for step in steps]) for name in steps[0]}
    total = sum(medians.values())
    return {
        "sections_ms": medians,
        "loss_share": round(sum(medians[name] for name in LOSS) / total, 4),
        "encoder_share": round(sum(medians[name] for name in ENCODERS) / total, 4),
    }


def _gpu(trainer: Trainer, device: torch.device) -> dict[str, Any]:
    """Share of the time in which some kernel ran, and the most memory, over steps without records."""
    torch.cuda.reset_peak_memory_stats(device)
    busy = torch.profiler.ProfilerActivity.CUDA
    span = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    with torch.profiler.profile(activities=[busy]) as profile:
        span[0].record()
        for _ in range(20):
            trainer.step(False)
        span[1].record()
        torch.cuda.synchronize(device)
    kernels = sum(event.device_time_total for event in profile.events()) / 1000
    return {
        "gpu_utilisation": round(kernels / span[0].elapsed_time(span[1]), 3),
        "gpu_peak_mb": torch.cuda.max_memory_allocated(device) // MEGABYTE,
    }


def run(names: list[str], device: torch.device, quick: bool) -> tuple[dict[str, Any], Recipe]:
    """The whole document, and its recipe."""
    rounds = 5 if quick else 15
    found, skipped, configs = {}, {}, {}
    for name in names:
        config = configuration(name)
        if config is None:
            skipped[name] = "no data here: set CPC_SHARED (cifar10, fsdd), or train on folders of your own"
            continue
        try:
            found[name] = measure(config, device, rounds)
            configs[name] = (name, config)
        except CpcError as error:
            skipped[name] = str(error)
    document: dict[str, Any] = {
        "quick": quick,
        "presets": found,
        "skipped": skipped,
        "machine": machine(device),
        "command": f"python -m benchmarks.training --device {device}{' --quick' if quick else ''}"
        f"{'' if names == list(PRESETS) else ' --presets ' + ','.join(names)}",
    }
    if "cifar10" in found:
        speeds = (found["cifar10"]["records_on"], found["cifar10"]["records_off"])
        document["cifar10_loss_below_encoders"] = all(s["loss_share"] < s["encoder_share"] for s in speeds)
    data = {name: preset.pop("data") for name, preset in found.items()}
    return document, recipe(document["command"], configs, data, {"rounds": rounds}, str(device))


def text(document: dict[str, Any]) -> str:
    """For people."""
    lines = []
    for name, preset in document["presets"].items():
        lines.append(
            f"{name}: batch {preset['batch_size']}, records cost × {preset['record_overhead']}, "
            f"utilization {preset['utilization']:.0%}"
        )
        for mode in ("records_on", "records_off"):
            speed = preset[mode]
            parts = ", ".join(f"{part} {ms}" for part, ms in speed["sections_ms"].items())
            lines.append(f"  {mode}: {speed['steps_per_s']} steps/s, {speed['items_per_s']} items/s; ms: {parts}")
            lines.append(f"    loss {speed['loss_share']:.1%}, encoders {speed['encoder_share']:.1%}")
    lines += [f"{name}: skipped ({reason})" for name, reason in document["skipped"].items()]
    if "cifar10_loss_below_encoders" in document:
        lines.append(f"cifar10: less time in the loss than in the encoders: {document['cifar10_loss_below_encoders']}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="5 steps of each kind instead of 15")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="also write the document there")
    parser.add_argument("--presets", help="names with commas between them; all when not given")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    given = parser.parse_args()
    names = given.presets.split(",") if given.presets else list(PRESETS)
    document, made = run(names, given.device, given.quick)
    deliver(document, made, text(document), given.json, given.out)


if __name__ == "__main__":
    main()
