"""The InfoNCE loss against its peers: time, peak memory, exactness, growth with the number of candidates.

    python -m benchmarks.loss [--quick] [--json] [--out FILE] [--shape B,T,d] [--device cpu]

Everything that is compared runs in one process, forward and backward, in alternation on the same tensors; medians.
Peak memory is measured in processes of their own, beyond what they held with the inputs made.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

if not __package__:  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks import memory, peers
from benchmarks.problem import TAU, Problem, Shape, exact, make_problem
from benchmarks.timing import alternate, deliver, machine, milliseconds, ratio
from cpc_engine.experiments.recipe import recipe
from cpc_engine.negatives.infonce import info_nce

SMALL = 256  # most anchors for peers that hold N²·M numbers
PEER_PACKAGES = ("info-nce-pytorch", "lightly", "pytorch-metric-learning")
SWEEP = tuple(2**power for power in range(11, 19))
SWEEP_SHAPE = Shape(8, 65, 64)  # 512 anchors, so that 4 sources of 512 leave room for a queue of any size
Times = dict[str, list[float]]


def close_race(problem: Problem, rounds: int) -> Times:
    """Ours in its modes, `linear_cross_entropy` at every chunk size, and the bare matrix products."""
    runs = {name: _step(name, problem) for name in (*peers.OURS, *peers.LINEAR, *peers.FOLDED)}
    bare = {f"products_{rows}": peers.products(problem, rows) for rows in peers.CHUNKS}
    return alternate(runs | bare, rounds, problem.device)


def peer_races(shape: Shape, device: torch.device, rounds: int) -> dict[str, Times]:
    """Per task, its peers beside our own loss on the same task."""
    problem = make_problem(shape, device)
    problems = {"whole": problem, "constant": problem, "small": make_problem(fewer(shape), device)}
    races = {}
    for task, given in problems.items():
        names = [name for name, run in peers.PEERS.items() if run.task == task]
        own = peers.step(peers.ours(given, constant=task == "constant"), given)
        runs: dict[str, Callable[[], object]] = {"ours": own} | {name: _step(name, given) for name in names}
        races[task] = alternate(runs, rounds, device)
    return races


def fewer(shape: Shape) -> Shape:
    """The shape with so few items that N²·M numbers fit."""
    return Shape(max(1, min(shape.batch, SMALL // (shape.length - 1))), shape.length, shape.dim)


def shape_of(name: str, shape: Shape) -> Shape:
    """The shape of the task that a run takes on."""
    return fewer(shape) if peers.RUNS[name].task == "small" else shape


def best(times: Times, prefix: str) -> str:
    """The fastest of the runs whose names begin so (and go on with a number)."""
    names = [name for name in times if name.removeprefix(prefix).isdigit()]
    return min(names, key=lambda name: milliseconds(times[name]))


def gradient_error(shape: Shape, device: torch.device) -> dict[str, float]:
    """‖Δ‖ ÷ ‖ref‖ over all gradients, against float64 on the same (rounded) inputs."""
    one = Shape(1, 2, shape.dim)
    cases: dict[str, tuple[Shape, float, bool, torch.dtype]] = {
        "reference": (shape, 0.2, False, torch.float32),
        "masked": (shape, 0.2, True, torch.float32),
        "tau_0.01": (shape, 0.01, False, torch.float32),
        "tau_0.01_masked": (shape, 0.01, True, torch.float32),
        "tau_0.05_masked": (shape, 0.05, True, torch.float32),
        "tau_10": (shape, 10.0, True, torch.float32),
        "one_anchor_masked": (one, 0.05, True, torch.float32),
        "one_anchor": (one, 0.2, False, torch.float32),
        "bf16": (shape, 0.2, True, torch.bfloat16),
    }
    errors = {}
    for name, (size, tau, masked, dtype) in cases.items():
        problem = make_problem(size, device, tau).to(dtype)
        loss = info_nce(problem.anchors, problem.positives, problem.candidates(masked), problem.scale).loss
        found = torch.autograd.grad(loss, problem.leaves)
        _, reference = exact(problem, masked)
        off = sum((a.double() - b).square().sum().item() for a, b in zip(found, reference, strict=True))
        whole = sum(b.square().sum().item() for b in reference)
        errors[name] = float(f"{(off / whole) ** 0.5:.3g}")
    return errors


def sweep(sizes: tuple[int, ...], device: torch.device, rounds: int) -> list[dict[str, float]]:
    """Time and extra memory of ours as the queue grows."""
    problems = {m: make_problem(SWEEP_SHAPE, device, queue=m - 4 * SWEEP_SHAPE.anchors) for m in sizes}
    times = alternate({str(m): _step("ours", problem) for m, problem in problems.items()}, rounds, device)
    rows = []
    for m in sizes:
        ms = milliseconds(times[str(m)])
        peak = memory.measure("ours", SWEEP_SHAPE, device, candidates=m)
        rows.append({"M": m, "ms": ms, "ms_per_1k_candidates": round(1000 * ms / m, 3), "peak_mb": peak})
    return rows


def run(shape: Shape, device: torch.device, quick: bool) -> dict[str, Any]:
    """The whole document."""
    rounds = 3 if quick else 9
    problem = make_problem(shape, device)
    close, races = close_race(problem, rounds), peer_races(shape, device, rounds)
    linear, folded = best(close, "linear_cross_entropy_"), best(close, "linear_cross_entropy_folded_")
    bare = best(close, "products_")
    found = {"linear_cross_entropy": _entry(linear, close, shape)}
    for times in races.values():
        found |= {name: _entry(name, times, shape) for name in times if name not in ("ours", "naive")}
    speedups = {name: entry["speedup_vs"] for name, entry in found.items()}
    closest = min(speedups, key=lambda name: speedups[name])
    whole = races["whole"]
    # Each in a new process, which takes seconds to import.
    measured = ("ours", "naive") if quick else (*peers.OURS, "naive", linear, *peers.CONTRASTIVE)
    used = {name: memory.measure(name, shape_of(name, shape), device) for name in measured}
    return {
        "shape": {"B": shape.batch, "T": shape.length, "d": shape.dim, "N": shape.anchors, "M": 5 * shape.anchors},
        "rounds": rounds,
        "quick": quick,
        **{f"{name}_ms": milliseconds(close[name]) for name in peers.OURS},
        "ours_spread": round(max(close["ours"]) / min(close["ours"]), 3),
        "stats_overhead": ratio(close["ours_stats"], close["ours"]),
        "weights_overhead": ratio(close["ours_weighted"], close["ours_masked"]),
        "naive_ms": milliseconds(whole["naive"]),
        "products_ms": milliseconds(close[bare]),
        "peers_ms": {name: entry["ms"] for name, entry in found.items()},
        "peers": found,
        "best_peer": closest,
        "speedup_naive": ratio(whole["naive"], whole["ours"]),
        "speedup_best_peer": speedups[closest],
        "speedup_contrastive_peers": min(speedups[name] for name in peers.CONTRASTIVE),
        "speedup_linear_cross_entropy": speedups["linear_cross_entropy"],
        "linear_cross_entropy_folded": _entry(folded, close, shape),
        "linear_cross_entropy_ms_by_chunk": {c: milliseconds(close[f"linear_cross_entropy_{c}"]) for c in peers.CHUNKS},
        "roofline_ratio": ratio(close["ours"], close[bare]),
        "memory_mb": {"linear_cross_entropy" if name == linear else name: mb for name, mb in used.items()},
        "memory_ratio_naive": round(used["ours"] / used["naive"], 4) if used["naive"] else None,
        "gradient_error": gradient_error(shape, device),
        "sweep": sweep(SWEEP[:2] if quick else SWEEP, device, rounds),
        "machine": machine(device),
        "command": f"python -m benchmarks.loss --shape {shape} --device {device}{' --quick' if quick else ''}",
    }


def _step(name: str, problem: Problem) -> Callable[[], object]:
    return peers.step(peers.RUNS[name].make(problem), problem)


def _entry(name: str, times: Times, shape: Shape) -> dict[str, Any]:
    """One peer: its time, ours beside it in the same rounds, and what it expresses."""
    n = shape_of(name, shape).anchors
    return {
        "N": n,
        "M": 5 * n,
        "ms": milliseconds(times[name]),
        "ours_ms": milliseconds(times["ours"]),
        "speedup_vs": ratio(times[name], times["ours"]),
        "subset": peers.RUNS[name].subset,
    }


def text(document: dict[str, Any]) -> str:
    """For people."""
    shape = document["shape"]
    lines = [f"N = {shape['N']}, M = {shape['M']}, d = {shape['d']}: ours {document['ours_ms']} ms"]
    for key, value in document.items():
        if isinstance(value, int | float) and key not in ("quick", "rounds"):
            lines.append(f"  {key}: {value}")
    for name, peer in document["peers"].items():
        lines.append(f"{name}: {peer['ms']} ms, ours {peer['ours_ms']} ms, × {peer['speedup_vs']}: {peer['subset']}")
    for key in ("linear_cross_entropy_folded", "memory_mb", "gradient_error", "machine"):
        lines.append(f"{key}: {document[key]}")
    return "\n".join([*lines, *(str(row) for row in document["sweep"])])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 rounds and a shorter sweep")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="also write the document there")
    parser.add_argument("--shape", type=Shape.parse, default=Shape(), help="B,T,d; the reference recipe's is 64,64,64")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    given = parser.parse_args()
    document = run(given.shape, given.device, given.quick)
    shapes = {"shape": str(given.shape), "sweep_shape": str(SWEEP_SHAPE), "temperature": TAU}
    parameters = shapes | {"rounds": document["rounds"], "sweep": [row["M"] for row in document["sweep"]], "seed": 0}
    made = recipe(document["command"], {}, {}, parameters, str(given.device), PEER_PACKAGES)
    deliver(document, made, text(document), given.json, given.out)


if __name__ == "__main__":
    main()
