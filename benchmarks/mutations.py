"""Mutation testing of sampler, loss, queue, masks, and metrics: how many small changes the tests notice.

    python -m benchmarks.mutations [--sample 200] [--seed 0] [--state FILE] [--part mutations]
        [--out docs/reliability.md]

The modules of `TARGETS` are changed in one place at a time (`benchmarks.mutants`), and the tests named beside each are
run until the first one fails, in one thread, in a copy of the checkout. The sample takes equally many changes of each
module, or all where it has fewer, drawn from the seed. A change that ends no test before the limit of time counts as
killed and is told apart. Changes that no test can notice are in `equivalent_mutants.json`, each with the reason.

One process imports the libraries and forks for each change, so that a change takes about as long as its tests. With
--state, a line is written for each change that was tried, and those lines are not tried again: killed ones as long as
the changed source is the same, others as long as their tests are the same too.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .marked import replace_part
from .mutants import Change, changed, changes

ROOT = Path(__file__).resolve().parents[1]
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.json")
COPIED = ("cpc_engine", "tests", "pyproject.toml")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "runs_format_*", "browser", "ui")
LIBRARIES = (
    *("hypothesis", "lightning_fabric", "numpy", "pandas", "pydantic", "pytest", "safetensors.torch", "scipy.special"),
    *("scipy.stats", "sklearn.linear_model", "sklearn.model_selection", "sklearn.neighbors", "torch", "torchaudio"),
    "sklearn.manifold",
)
MEMORY = 8 << 30  # bytes of data that a changed source may fill

_N, _E, _O = "tests/engine/negatives", "tests/engine/evaluation", "tests/engine/training/objectives"
_LOSS = (f"{_N}/test_infonce.py", f"{_N}/test_weighting.py")
_DRAWN = (f"{_N}/test_sampler.py", f"{_N}/test_copies.py")
_PLANNED = (*_DRAWN, "tests/engine/training/test_plan.py")
_TRAINED = ("tests/engine/training/test_trainer.py",)
# module → its tests, those that find most first
TARGETS: dict[str, tuple[str, ...]] = {
    "negatives/sampler.py": _DRAWN,
    "sources/base.py": _DRAWN,
    "sources/cross_modal.py": _PLANNED,
    "sources/in_batch.py": _PLANNED,
    "sources/mixed.py": _PLANNED,
    "sources/perturbed.py": _PLANNED,
    "sources/queue.py": _PLANNED,
    "sources/shuffled.py": _PLANNED,
    "negatives/infonce.py": _LOSS,
    "negatives/block_pass.py": _LOSS,
    "negatives/weighting.py": (f"{_N}/test_weighting.py",),
    "negatives/source_stats.py": _LOSS,
    "training/objectives/prediction.py": (*_TRAINED, f"{_O}/test_item_term.py"),
    "training/objectives/item_term.py": (f"{_O}/test_item_term.py", *_TRAINED, "tests/engine/training/test_ranks.py"),
    "training/objectives/pair_term.py": (f"{_O}/test_pair_term.py", f"{_N}/test_copies.py"),
    "training/objectives/regularizers.py": (f"{_O}/test_item_term.py",),
    "negatives/queue.py": (f"{_N}/test_queue.py", f"{_N}/test_sampler.py"),
    "negatives/identity.py": (*_DRAWN, f"{_N}/test_weighting.py"),
    "negatives/candidates.py": (*_DRAWN, *_LOSS),
    "evaluation/metrics.py": (f"{_E}/test_metrics.py", f"{_N}/test_copies.py", *_TRAINED),
    "evaluation/geometry.py": (f"{_E}/test_geometry.py",),
    "evaluation/intervals.py": (f"{_E}/test_intervals.py", "tests/engine/comparison/test_judge.py"),
    "evaluation/probes/knn.py": (f"{_E}/probes/test_knn.py",),
}
TARGETS = {f"cpc_engine/{module}": tests for module, tests in TARGETS.items()}
Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sample", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--state", type=Path, help="JSON lines of what was tried, which is not tried again")
    parser.add_argument("--part", default="mutations", help="name of the section that is replaced")
    parser.add_argument("--out", type=Path, help="Markdown file whose section is replaced")
    options = parser.parse_args(arguments)
    sample = draw(ROOT, TARGETS, options.sample, options.seed)
    with tempfile.TemporaryDirectory() as folder:
        rows = attempt(ROOT, Path(folder), sample, TARGETS, options.state, LIBRARIES)
    text = report(rows, json.loads(EQUIVALENT.read_text(encoding="utf-8")), options.seed)
    print(text)
    if options.out:
        replace_part(options.out, options.part, text)
    return 0


def draw(root: Path, modules: Mapping[str, Any], count: int, seed: int) -> list[tuple[str, Change]]:
    """Draw `count` changes, in turn one of each module that has more, sorted by module and line."""
    left = {module: changes((root / module).read_text(encoding="utf-8")) for module in modules}
    for module, found in left.items():
        random.Random(f"{seed} {module}").shuffle(found)
    order = list(modules)
    random.Random(seed).shuffle(order)  # the last round may not reach all of them
    drawn: list[tuple[str, Change]] = []
    while len(drawn) < count and any(left.values()):
        drawn += [(module, left[module].pop()) for module in order if left[module]]
    places = {module: place for place, module in enumerate(modules)}
    return sorted(drawn[:count], key=lambda one: (places[one[0]], one[1].number))


def attempt(
    root: Path,
    folder: Path,
    sample: Sequence[tuple[str, Change]],
    targets: Mapping[str, Sequence[str]],
    state: Path | None,
    libraries: Sequence[str],
) -> list[Row]:
    """Run the tests of each change in a copy in `folder`; a row per change, in the order of the sample.

    Raises:
        RuntimeError: the tests of a module fail without a change.
    """
    known = [] if state is None or not state.exists() else [json.loads(line) for line in state.open(encoding="utf-8")]
    by_key = {row["key"]: row for row in known}
    copy = folder / "copy"
    copy.mkdir()
    for name in COPIED:
        if (root / name).is_dir():
            shutil.copytree(root / name, copy / name, ignore=LEFT_OUT)
        elif (root / name).exists():
            shutil.copy(root / name, copy / name)
    for module in targets:  # all in the form that changed ones have, so that it is tested too
        _write(copy / module, changed((root / module).read_text(encoding="utf-8"), None))
    _prepare(libraries)
    rows: list[Row] = []
    limits: dict[tuple[str, ...], float] = {}
    for module, change in sample:
        source = (root / module).read_text(encoding="utf-8")
        text = changed(source, change.number)
        tests = _digest(*((copy / test).read_text(encoding="utf-8") for test in targets[module]))
        key = _digest(module, text)
        row = by_key.get(key)
        if row is None or (row["outcome"] == "survived" and row["tests"] != tests):
            used = tuple(targets[module])
            if used not in limits:
                limits[used] = _baseline(copy, module, used)
            outcome, seconds = _tried(copy, module, text, used, limits[used])
            row = {"key": key, "tests": tests, "module": module, "line": change.line, "where": change.where}
            row |= {"what": change.what, "outcome": outcome, "seconds": round(seconds, 1)}
            if state is not None:
                with state.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(row, ensure_ascii=False) + "\n")
            print(f"{outcome:9} {seconds:5.1f} s  {module}:{change.line}  {change.what}", file=sys.stderr)
        rows.append({**row, "line": change.line, "where": change.where, "what": change.what})
    return rows


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def _prepare(libraries: Sequence[str]) -> None:
    """Import what all forks need, without starting a thread, which a fork would lose."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    for name in libraries:
        importlib.import_module(name)
    from hypothesis import Phase, settings

    # The same examples every time; a failing one is not made smaller, which would take most of the time.
    settings.register_profile(
        "mutations", deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate]
    )
    if loaded := [name for name in sys.modules if name == "cpc_engine" or name.startswith("cpc_engine.")]:
        raise RuntimeError(f"the changed sources would not be read: {loaded[0]} is imported already")


def _baseline(copy: Path, module: str, tests: Sequence[str]) -> float:
    """Run the tests without a change; the seconds that a change may take."""
    outcome, seconds = _tried(copy, module, (copy / module).read_text(encoding="utf-8"), tests, 600.0)
    if outcome != "survived":
        raise RuntimeError(f"{module}: its tests do not pass unchanged\n{(copy / 'output').read_text()[-3000:]}")
    return max(20.0, 4 * seconds)


def _tried(copy: Path, module: str, text: str, tests: Sequence[str], limit: float) -> tuple[str, float]:
    """What the tests make of a source ("killed", "timed out", or "survived"), and the seconds it took."""
    path = copy / module
    before = path.read_text(encoding="utf-8")
    _write(path, text)
    began = time.monotonic()
    child = multiprocessing.get_context("fork").Process(target=_run_tests, args=(copy, tests))
    child.start()
    child.join(limit)
    if child.is_alive():
        os.killpg(child.pid or 0, signal.SIGKILL)  # with what the tests have started
        child.join()
        status = None
    else:
        status = child.exitcode
    _write(path, before)
    seconds = time.monotonic() - began
    if status == 5:  # pytest: no tests were collected
        raise RuntimeError(f"{module}: no tests in {tests}")
    return "timed out" if status is None else "killed" if status else "survived", seconds


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
        compiled.unlink()  # Python compares seconds and sizes only, which two changes can share


def _run_tests(copy: Path, tests: Sequence[str]) -> None:
    """The forked process: run pytest in the copy and end with its exit code."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    output = os.open(copy / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(copy)
    sys.path[:] = [str(copy), *(entry for entry in sys.path if entry and Path(entry).resolve() != ROOT)]
    import pytest

    options = ["-q", "-x", "-p", "no:cacheprovider", "--hypothesis-profile", "mutations"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # plugins that the parent has imported
    chosen = ["-m", "not slow and not timed and not gpu", f"--basetemp={copy / 'temporary'}", "--tb=line"]
    sys.exit(pytest.main([*options, *chosen, *tests]))


def report(rows: Sequence[Row], equivalent: Mapping[str, Sequence[Mapping[str, str]]], seed: int) -> str:
    """The figures as Markdown.

    Args:
        rows: the result of `attempt`.
        equivalent: {module: [{"where", "what", "reason"}]} of changes that no test can notice.
    """
    reasons = {(m, e["where"], e["what"]): e["reason"] for m, entries in equivalent.items() for e in entries}
    survived = [row for row in rows if row["outcome"] == "survived"]
    same = [row for row in survived if _name(row) in reasons]
    timed = sum(row["outcome"] == "timed out" for row in rows)
    killed = len(rows) - len(survived)
    lines = [
        f"{len(rows)} changes (seed {seed}): {killed} killed, {timed} of them by the limit of time; {len(survived)} "
        f"survived, {len(same)} of them because no test can notice them.",
        "",
        f"Killed: {_share(killed, len(rows))} of all, {_share(killed, len(rows) - len(same))} of those that can be "
        "noticed.",
        "",
        "| module of `cpc_engine` | changes | killed | by time | survived | of these equivalent |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for module in dict.fromkeys(row["module"] for row in rows):
        of = [row for row in rows if row["module"] == module]
        counts = [
            sum(row["outcome"] in outcomes for row in of) for outcomes in (("killed", "timed out"), ("timed out",))
        ]
        counts += [sum(row["module"] == module for row in some) for some in (survived, same)]
        lines.append(f"| {module.removeprefix('cpc_engine/')} | {len(of)} | {' | '.join(map(str, counts))} |")
    lines += ["", "| survivor | change | |", "| --- | --- | --- |"] if survived else []
    for row in survived:
        what = " → ".join(f"`{side}`" for side in row["what"].replace("|", "\\|").split(" → "))
        reason = f"equivalent: {reasons[_name(row)]}" if _name(row) in reasons else "no test notices it"
        place = f"{row['module'].removeprefix('cpc_engine/')}:{row['line']}, {row['where']}"
        lines.append(f"| {place} | {what} | {reason} |")
    return "\n".join(lines)


def _name(row: Row) -> tuple[str, str, str]:
    return row["module"], row["where"], row["what"]


def _share(part: int, whole: int) -> str:
    # Imported late: a fork must read the changed sources, not what its parent has imported.
    from cpc_engine.evaluation.intervals import wilson_interval

    low, high = wilson_interval(part, whole)
    return f"{100 * part / max(whole, 1):.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f} %)"


if __name__ == "__main__":
    sys.exit(main())
