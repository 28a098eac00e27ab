"""Fair timing, peak memory and the facts that belong beside every number."""

from __future__ import annotations

import gc
import json
import os
import random
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from cpc_engine.experiments.recipe import Recipe, cpu_name, source

ROOT = Path(__file__).resolve().parents[1]
MEGABYTE = 1 << 20
source()  # recipes name the code as it is now, at the start, even if files change during a measurement


def shared_data() -> Path:
    """Where data sets are looked for: $CPC_SHARED/data, or shared/data beside the repository."""
    return Path(os.environ.get("CPC_SHARED", ROOT.parent / "shared")) / "data"


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def alternate(
    runs: Mapping[str, Callable[[], object]], rounds: int, device: torch.device, warm_up: int = 1
) -> dict[str, list[float]]:
    """Seconds of every run in every round; each round calls all of them once, in an order of its own.

    Entry r of any two lists comes from the same round, so their ratio is a paired one.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(-warm_up, rounds):
        order = list(runs)
        random.Random(number).shuffle(order)
        gc.collect()
        gc.disable()
        for name in order:
            synchronise(device)
            began = time.perf_counter()
            runs[name]()
            synchronise(device)
            if number >= 0:
                seconds[name].append(time.perf_counter() - began)
        gc.enable()
    return seconds


def milliseconds(seconds: list[float]) -> float:
    """Median, in ms."""
    return round(1000 * statistics.median(seconds), 3)


def ratio(above: list[float], below: list[float]) -> float:
    """Ratio of the medians of two runs of the same rounds."""
    return round(statistics.median(above) / statistics.median(below), 3)


def extra_memory(run: Callable[[], object], device: torch.device) -> float:
    """Most MB that `run` holds at a time beyond what the process held before it; call it in a process of its own."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        return (torch.cuda.max_memory_allocated(device) - before) / MEGABYTE
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark falls to what is resident now
    before = _resident("VmRSS")
    run()
    return (_resident("VmHWM") - before) / MEGABYTE


def _resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))


def machine(device: torch.device) -> dict[str, Any]:
    """What the numbers were measured on."""
    facts: dict[str, Any] = {"cpu": cpu_name(), "threads": torch.get_num_threads(), "torch": torch.__version__}
    facts["load_average"] = round(os.getloadavg()[0], 2)  # well above `threads`: the numbers are not to be trusted
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        facts |= {"gpu": properties.name, "gpu_memory_mb": properties.total_memory // MEGABYTE}
    return facts


def kept(file: Path, given: Mapping[str, Any], measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `measure` found with what is `given` at this commit: from the file, or measured now and kept there.

    It is measured again while tracked files are changed, since the commit does not tell in what.
    """
    made_from = json.loads(json.dumps({"given": given, "source": source()}))
    if file.exists() and not made_from["source"].get("dirty"):
        stored = json.loads(file.read_text())
        if stored["made_from"] == made_from:
            return dict(stored["found"])
    found = measure()
    file.write_text(json.dumps({"made_from": made_from, "found": found}))
    return found


def deliver(document: dict[str, Any], recipe: Recipe, text: str, as_json: bool, out: Path | None) -> None:
    """Print the document with its recipe, or its text, and keep the document where `out` says."""
    document = {**document, "recipe": recipe}
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(document, indent=2) + "\n")
    print(json.dumps(document, indent=2) if as_json else text)
