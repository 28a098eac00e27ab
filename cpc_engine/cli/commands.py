"""One function a command: options in, exit code out; `--json` prints exactly one document on stdout.

What needs torch imports it itself: the other commands answer at once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import RunConfig
from ..errors import ConfigError, DataError, RunError
from ..knobs import describe
from ..presets import PRESETS, preset
from ..runs.folder import RunFolder, RunInfo, check_resumable, scan_runs
from .experiment import run_experiment
from .foreground import execute_here

if TYPE_CHECKING:
    from ..runs.execute import State

Options = argparse.Namespace


def presets(options: Options) -> int:
    rows = [
        {"name": name, "title": p.title, "teaches": p.teaches, "needs_data": p.needs_data, "config": p.changes}
        for name, p in PRESETS.items()
    ]
    _print(options, rows, [f"{row['name']:16} {row['teaches']}" for row in rows])
    return 0


def knobs(options: Options) -> int:
    rows = [asdict(knob) for knob in describe(RunConfig)]
    lines = []
    for row in rows:
        choices = f" one of {', '.join(row['choices'])}" if row["choices"] else ""
        lines.append(f"{row['path']:32} {row['default']!s:18} {row['unit']:9} {row['help']}{choices}")
    _print(options, rows, lines)
    return 0


def train(options: Options) -> int:
    folder = RunFolder.create(options.runs, _configured(options))
    end = execute_here(folder, resume=False)
    if end.status == "failed" and not end.unexpected and not folder.records():
        folder.remove()  # bad input, not a run
        raise DataError(end.message)
    return _report(options, folder, end)


def resume(options: Options) -> int:
    folder = RunFolder.open(options.run, options.runs)
    check_resumable(folder)
    return _report(options, folder, execute_here(folder, resume=True))


def list_all(options: Options) -> int:
    infos, broken = scan_runs(options.runs)
    for line in broken:
        _note(f"left out: {line}")
    lines = [
        f"{info.id:40} {info.status:12} {info.steps_done:>6}/{info.steps:<6} "
        f"loss {_number(info.loss_last):8} {info.name}"
        for info in infos
    ]
    _print(options, [_summary(info, options.runs / info.id) for info in infos], lines or [f"no runs in {options.runs}"])
    return 0


def evaluate(options: Options) -> int:
    from ..runs.evaluate import evaluate_run

    folder = RunFolder.open(options.run, options.runs)
    found = evaluate_run(folder, options.data, lambda text, share: _note(f"{share:4.0%} {text}"))
    lines = [f"{name:28} {value:.4f}" for name, value in found.items() if isinstance(value, float)]
    lines.append(f"{'probe (test accuracy)':28} trained           untrained raw")
    for name, row in found["probe"].items():
        low, high = row["interval"]
        lines.append(
            f"{name:28} {row['trained']:.3f} ({low:.3f}–{high:.3f}) {row['untrained']:.3f}     {row['raw']:.3f}"
        )
    _print(options, found, lines)
    return 0


def embed(options: Options) -> int:
    from ..media import start_sandbox

    folder = RunFolder.open(options.run, options.runs)
    start_sandbox()  # it gets ready while torch is imported
    from ..placing import Placer

    items = [placed.to_dict() for placed in Placer(folder).place_all(options.files)]
    lines = []
    for item in items:
        if item["status"] == "error":
            lines.append(f"{item['file']}: error: {item['error']}")
            continue
        near = item["neighbours"][0]
        says = [
            f"{item['file']}: x {item['x']:.3f} y {item['y']:.3f}",
            f"nearest {near['label']} ({near['source']}, cosine {near['cosine']:.3f})",
        ]
        if item["predicted"] is not None:
            says.append(f"class {item['predicted']} ({item['probabilities'][item['predicted']]:.0%})")
        if item["verdict"] is not None:
            says.append(item["verdict"])
        lines.append("; ".join([", ".join(says), *item["notes"]]))
    document = {"run": folder.id, "items": items}
    if any(item["status"] == "ok" for item in items):
        _print(options, document, lines)
        return 0
    reason = items[0]["error"] if len(items) == 1 else f"none of the {len(items)} files could be used"
    _print(options, {**document, "error": reason}, lines)
    _note(f"error: {reason}")
    return 2


def compare(options: Options) -> int:
    from ..runs.compare import final_measures

    folders = [RunFolder.open(run, options.runs) for run in (options.run, *options.others)]
    configs = [folder.config().to_dict() for folder in folders]
    flat = [{f"{s}.{k}": v for s, knobs in c.items() for k, v in knobs.items()} for c in configs]
    differing = {path: [f[path] for f in flat] for path in flat[0] if any(f[path] != flat[0][path] for f in flat)}
    measures = [final_measures(folder) for folder in folders]
    names = list(dict.fromkeys(name for found in measures for name in found))
    table = {name: [found.get(name) for found in measures] for name in names}
    document = {"runs": [folder.id for folder in folders], "settings": differing, "measures": table}
    lines = ["", *(f"{chr(65 + i)} = {folder.id}" for i, folder in enumerate(folders)), "", "settings that differ"]
    lines += [f"  {path:34} {'  '.join(f'{v!s:>12}' for v in values)}" for path, values in differing.items()] or [
        "  none"
    ]
    lines += ["", "final measures"]
    lines += [f"  {name:34} {'  '.join(f'{_number(v):>12}' for v in values)}" for name, values in table.items()]
    _print(options, document, lines[1:])
    return 0


COMMANDS: dict[str, Callable[[Options], int]] = {
    "presets": presets,
    "knobs": knobs,
    "train": train,
    "resume": resume,
    "list": list_all,
    "evaluate": evaluate,
    "embed": embed,
    "compare": compare,
    "experiment": run_experiment,
}


def _configured(options: Options) -> RunConfig:
    """Preset or file, then --set, then the short options."""
    if options.preset and options.config:
        raise ConfigError("give --preset or --config, not both")
    if not options.preset and not options.config:
        raise ConfigError(f"give --preset ({', '.join(PRESETS)}) or --config FILE")
    if options.config:
        try:
            config = RunConfig.from_json(options.config.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read {options.config}: {getattr(error, 'strerror', None) or error}") from None
    else:
        config = preset(options.preset).config()
    changes: dict[str, Any] = {}
    for assignment in options.set:
        path, equals, value = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set takes section.knob=value, not {assignment!r}")
        changes[path.strip()] = value.strip()
    short = {
        "data.path": options.data,
        "optimiser.steps": options.steps,
        "run.seed": options.seed,
        "run.device": options.device,
        "run.name": options.name,
    }
    changes |= {path: value for path, value in short.items() if value is not None}
    config = config.replace(changes)
    # Whole paths, so that the run can be resumed from anywhere.
    paths = {"data.path": config.data.path, "data.image_path": config.data.image_path}
    return config.replace({name: os.path.abspath(os.path.expanduser(path)) for name, path in paths.items() if path})


def _report(options: Options, folder: RunFolder, end: State) -> int:
    if end.status == "failed":
        raise RunError(f"{folder.id}: {end.message}")
    info = folder.info()
    lines = [
        f"{info.status}: {info.steps_done} steps in {info.seconds:.0f} s on {info.device}, "
        f"loss {_number(info.loss_first)} → {_number(info.loss_last)}",
        str(folder.path),
    ]
    if info.data.get("skipped"):
        lines.append(f"skipped {info.data['skipped']} files, for example {info.data['skipped_files'][0]}")
    _print(options, _summary(info, folder.path), lines)
    return 1 if info.status == "diverged" else 0


def _summary(info: RunInfo, path: Path) -> dict[str, Any]:
    return {
        "run": info.id,
        "path": str(path),
        "name": info.name,
        "status": info.status,
        "steps": info.steps_done,
        "steps_planned": info.steps,
        "loss_first": info.loss_first,
        "loss_last": info.loss_last,
        "seconds": info.seconds,
        "device": info.device,
        "parameters": info.parameters,
        "data": info.data,
        "message": info.message,
        "created": info.created,
    }


def _print(options: Options, document: Any, lines: Sequence[str]) -> None:
    print(json.dumps(document, indent=2) if options.json else "\n".join(lines))


def _note(line: str) -> None:
    print(line, file=sys.stderr)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
