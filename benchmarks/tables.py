"""README's performance section, from the files in benchmarks/results/.

    python -m benchmarks.tables [--check] [--readme FILE] [--results FOLDER]

`--check` writes nothing and exits 1 where the section is not what the files say.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

if not __package__:  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.timing import ROOT

BEGIN, END = "<!-- performance -->", "<!-- /performance -->"
Document = dict[str, Any]


def section(results: Path) -> str:
    """The text between the markers, from `loss-*.json` and `training-*.json` (one pair per machine)."""
    parts = [
        "## Performance",
        "Written by `python -m benchmarks.tables` from the files in `benchmarks/results/`; never edited by hand.",
    ]
    for kind, tables in (("loss", _loss), ("training", _training)):
        for file in sorted(results.glob(f"{kind}-*.json")):
            parts += tables(json.loads(file.read_text()))
    if not any(results.glob("*-cuda.json")):
        parts.append("No GPU was at hand for these measurements; what the CUDA path reaches is not known.")
    return "\n\n".join(parts)


def with_section(readme: str, text: str) -> str:
    """The README with its performance section replaced.

    Raises:
        ValueError: it does not hold the two markers, in order.
    """
    head, begin, rest = readme.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the README needs {BEGIN} and, below it, {END}")
    return f"{head}{BEGIN}\n{text}\n{END}{tail}"


def _loss(d: Document) -> list[str]:
    shape, memory = d["shape"], d["memory_mb"]
    whole = f"{_ms(d['ours_ms'])}, one forward and backward pass"
    rows = [["ours", d["ours_ms"], "", memory.get("ours"), "every source, nothing masked (the seed's mode)"]]
    for name, words in (
        ("ours_account", "the same, with the account per source"),
        ("ours_masked", "copies of the positive masked, with the account per source"),
        ("ours_shifted", "τ so small that exponentials need a shift"),
    ):
        rows.append([name.replace("_", ", "), d[f"{name}_ms"], "", memory.get(name), words])
    naive_words = "concatenate, multiply, cross-entropy: no masks, no account per source"
    rows.append(["naive", d["naive_ms"], f"{d['speedup_naive']:.1f} ×", memory.get("naive"), naive_words])
    folded = {"linear_cross_entropy (folded)": d["linear_cross_entropy_folded"]}
    for name, peer in {**d["peers"], **folded}.items():
        subset = f"N = {peer['N']}, M = {peer['M']}: {peer['subset']}"
        rows.append([f"`{name}`", peer["ms"], f"{peer['speedup_vs']:.1f} ×", memory.get(name), subset])
    cells = [[name, _ms(ms), gain, _mb(used), words] for name, ms, gain, used, words in rows]
    growth = [[str(r["M"]), _ms(r["ms"]), f"{r['ms_per_1k_candidates']:.3g}", _mb(r["peak_mb"])] for r in d["sweep"]]
    errors = ", ".join(f"{case} {error:.1e}" for case, error in d["gradient_error"].items())
    return [
        f"### The loss, {_where(d)}",
        f"N = {shape['N']} anchors, M = {shape['M']} candidates, d = {shape['d']}: {whole}. Medians of {d['rounds']} "
        f"alternating rounds (`{d['command']}`). *Ours is faster* compares within the same rounds and on the same part "
        "of the problem; memory is the peak beyond the inputs, in a process of its own.",
        _table(["loss", "time", "ours is faster", "extra memory", "what it expresses"], cells),
        f"Ours takes {d['roofline_ratio']:.2f} × the time of its bare matrix products ({_ms(d['products_ms'])}); the "
        f"account costs {d['account_overhead'] - 1:+.1%}. Gradients against float64, ‖Δ‖ ÷ ‖ref‖: {errors}.",
        _table(["M", "time", "ms per 1000 candidates", "extra memory"], growth),
    ]


def _training(d: Document) -> list[str]:
    rows = []
    for name, p in d["presets"].items():
        on, off = p["records_on"], p["records_off"]
        speed = [f"{on['steps_per_s']:.2f}", f"{off['steps_per_s']:.2f}", f"{off['items_per_s']:.0f}"]
        gpu = [f"{p['gpu_utilisation']:.0%}"] if "gpu_utilisation" in p else []
        shares = [f"{on['loss_share']:.0%}", f"{on['encoder_share']:.0%}"]
        rows.append([f"`{name}`", str(p["batch_size"]), *speed, *shares, *gpu])
    head = ["preset", "batch", "steps/s", "steps/s without records", "items/s without records", "loss", "encoders"]
    if any("gpu_utilisation" in p for p in d["presets"].values()):
        head.append("GPU busy")
    return [
        f"### Training, {_where(d)}",
        f"The last columns are shares of a step's time, records on (`{d['command']}`).",
        _table(head, rows),
    ]


def _where(d: Document) -> str:
    facts = d["machine"]
    place = facts.get("gpu", f"{facts['cpu']}, {facts['threads']} threads")
    return f"{place}, PyTorch {facts['torch']}{' (quick)' if d['quick'] else ''}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _ms(ms: float) -> str:
    return f"{ms:.0f} ms" if ms >= 100 else f"{ms:.3g} ms"


def _mb(mb: float | None) -> str:
    return "" if mb is None else f"{mb:.0f} MB"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit 1 where the README is stale")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    given = parser.parse_args()
    before = given.readme.read_text()
    after = with_section(before, section(given.results))
    if given.check:
        if before != after:
            print("README's performance section is stale: run `python -m benchmarks.tables`", file=sys.stderr)
        return int(before != after)
    given.readme.write_text(after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
