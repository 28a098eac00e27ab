"""The commands: one function each, from options to exit code. `--json` prints exactly one JSON document on stdout.

Commands that need torch import it themselves, so that the others start quickly.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import api
from ..api.verbs import configured
from ..config import RunConfig, all_settings
from ..errors import ConfigError
from ..evaluation.probes.plan import time_left
from ..execution.ranks.layout import Layout, layout
from ..presets import PRESETS, preset
from ..storage.folder import default_root
from ..storage.info import RunInfo
from ..storage.listing import scan_runs
from .assignments import changes_of
from .experiment import run_experiment
from .export import run_export
from .sweep import run_sweep
from .text import aligned, note, printable

Options = argparse.Namespace


def presets(options: Options) -> int:
    """List the presets."""
    rows = [
        {"name": name, "title": p.title, "teaches": p.teaches, "needs_data": p.needs_data, "config": p.changes}
        for name, p in PRESETS.items()
    ]
    width = max(map(len, PRESETS))
    _print(options, rows, [f"{row['name']:{width}} {row['teaches']}" for row in rows])
    return 0


def list_settings(options: Options) -> int:
    """List every setting with its default, unit, range, and description."""
    rows = [asdict(setting) for setting in all_settings()]
    lines = []
    for row in rows:
        choices = f" one of {', '.join(row['choices'])}" if row["choices"] else ""
        ends = ((row["minimum"], "from"), (row["maximum"], "up to"))
        limits = "".join(f" {word} {end:{'g' if end % 1 else ',.0f'}}" for end, word in ends if end is not None)
        lines.append(f"{row['path']:32} {row['default']!s:18} {row['unit']:9} {row['help']}{choices}{limits}")
    _print(options, rows, lines)
    return 0


def train(options: Options) -> int:
    """Train a new run."""
    if (place := layout(options.devices, options.nodes)) and place.rank > 0:
        return _follow(place)
    config, where = _configured(options), {"devices": options.devices, "nodes": options.nodes}
    return _report(options, api.train(config, root=options.runs, cluster=options.cluster, **where))


def resume(options: Options) -> int:
    """Resume a run that ended early."""
    if (place := layout(options.devices, options.nodes)) and place.rank > 0:
        return _follow(place)
    run, where = api.open_run(options.run, options.runs), {"devices": options.devices, "nodes": options.nodes}
    return _report(options, run.resume(cluster=options.cluster, device=options.device, **where))


def fork(options: Options) -> int:
    """Branch a run at its checkpoint, and train the fork and its control; several pairs are held against each other."""
    from ..comparison.collect import load_compared
    from ..comparison.forks import paired
    from ..comparison.judge import check_primary
    from ..comparison.tables import metrics_csv_columns, metrics_table

    if options.seeds < 1:
        raise ConfigError(f"--seeds: 1 or more, not {options.seeds}")
    if options.undo_changes and options.set:
        raise ConfigError("--undo-changes goes back to what the run began with; leave out --set")
    check_primary(options.primary)  # before hours of training
    source, changes = api.open_run(options.run, options.runs), changes_of(options.set)
    pairs = []
    for number in range(options.seeds):
        where = {"root": options.runs, "cluster": options.cluster, "pair": number}
        made = (
            source.undo(options.steps, **where)
            if options.undo_changes
            else source.fork(changes, options.steps, **where)
        )
        pairs.append(made)
    runs = [run for pair in pairs for run in pair]
    lines = [
        f"{info.name}: {info.status} after {info.steps_done} steps, loss {_number(info.loss_last)}"
        for info in (run.info for run in runs)
    ]
    lines += [str(run.path) for run in runs]
    summaries = [
        {side: _summary(run.info, run.path) for side, run in zip(("fork", "control"), pair, strict=True)}
        for pair in pairs
    ]
    document = {"of": source.id, **summaries[0], "pairs": summaries}
    primary = options.primary
    comparison: list[Any] = []
    for found in paired(load_compared(run.folder) for run in runs):  # several where one ended before a change was due
        sides = found.arms
        comparison += _rows(metrics_csv_columns(sides, sides[0], primary))
        lines += ["", *aligned(metrics_table(sides, sides[0], primary), skip=("Meaning", "Interval", "Role"))]
    _print(options, {**document, "comparison": comparison}, lines)
    return 1 if any(run.info.status == "diverged" for run in runs) else 0


def list_all(options: Options) -> int:
    """List all runs, newest first; broken ones are named on stderr."""
    root = options.runs or default_root()
    infos, broken = scan_runs(root)
    for line in broken:
        note(f"left out: {line}")
    lines = [
        f"{info.id:40} {info.status:12} {info.steps_done:>6}/{info.steps:<6} "
        f"loss {_number(info.loss_last):8} {info.name}"
        for info in infos
    ]
    _print(options, [_summary(info, root / info.id) for info in infos], lines or [f"no runs in {root}"])
    return 0


def evaluate(options: Options) -> int:
    """Evaluate a run on its held-out items."""
    run = api.open_run(options.run, options.runs)
    evaluation = run.evaluate(options.data, _noted()).document
    lines = [f"{name:28} {value:.4f}" for name, value in evaluation.items() if isinstance(value, float)]
    lines.append(f"{'probe (test accuracy)':28} trained             untrained raw   neighbors untrained")
    for name, row in evaluation["probe"].items():
        low, high = row["interval"]
        lines.append(
            f"{name:28} {row['trained']:.3f} ({low:.3f}–{high:.3f}) {row['untrained']:.3f}     {row['raw']:.3f} "
            f"{row['knn']:.3f}     {row['untrained_knn']:.3f}"
        )
        if row["at_bound"]:
            note(f"{name}: the chosen strength, C = {row['strength']:g}, is a bound of the search")
        if not row["converged"]:
            note(f"{name}: a probe did not converge; its accuracy may differ from the true one")
    _print(options, evaluation, lines)
    if run.info.is_example:
        note(f"{run.id} is an example and stays as it is: nothing was stored")
    return 0


def locate(options: Options) -> int:
    """Say where the data set of a run is now, or fetch it."""
    if not (options.data or options.images or options.download):
        raise ConfigError("say where the data are now: --data, --images, or --download")
    run = api.open_run(options.run, options.runs)
    run.locate_data(options.data, options.images, options.download)
    _print(options, {"run": run.id, "data": options.data, "images": options.images}, [f"{run.id}: its data are found"])
    return 0


def embed(options: Options) -> int:
    """Place files on the map of a run; exit code 2 if none could be used."""
    run = api.open_run(options.run, options.runs)
    items = [placed.to_dict() for placed in run.place(options.files)]
    lines = []
    for item in items:
        if item["status"] == "error":
            lines.append(f"{item['file']}: error: {item['error']}")
            continue
        near = item["neighbors"][0]
        parts = [
            f"{item['file']}: x {item['x']:.3f} y {item['y']:.3f}",
            f"nearest {near['label']} ({near['source']}, cosine {near['cosine']:.3f})",
        ]
        if item["predicted"] is not None:
            parts.append(f"class {item['predicted']} ({item['probabilities'][item['predicted']]:.0%})")
        if item["verdict"] is not None:
            parts.append(item["verdict"])
        lines.append("; ".join([", ".join(parts), *item["notes"]]))
    document = {"run": run.id, "items": items}
    if any(item["status"] == "ok" for item in items):
        _print(options, document, lines)
        return 0
    reason = items[0]["error"] if len(items) == 1 else f"none of the {len(items)} files could be used"
    _print(options, {**document, "error": reason}, lines)
    note(f"error: {reason}")
    return 2


def compare(options: Options) -> int:
    """Compare runs: the arms, verdicts, and differing settings that the Compare page shows."""
    from ..comparison.arms import group, settings_table
    from ..comparison.collect import load_compared
    from ..comparison.judge import EXPLANATION
    from ..comparison.tables import differences, metrics_csv_columns, metrics_table, overview

    runs = list(dict.fromkeys(api.open_run(run, options.runs) for run in (options.run, *options.others)))
    compared = [load_compared(run.folder) for run in runs]
    for run in compared:
        if run.damaged:
            note(f"left out: {run.damaged}")
    arms = group(compared)
    arm_of = {run.id: index for index, arm in enumerate(arms) for run in arm.runs}
    names = list(dict.fromkeys(name for run in compared for name in run.metrics))
    document = {
        "runs": [run.id for run in runs],
        "arms": {arm.letter: [run.id for run in arm.runs] for arm in arms},
        "seeds": [run.seed for run in compared],
        "settings": {path: [row[arm_of[run.id]] for run in compared] for path, row in settings_table(arms).items()},
        "metrics": {name: [run.metrics.get(name) for run in compared] for name in names},
        "primary": options.primary,
        "comparison": _rows(metrics_csv_columns(arms, arms[0], options.primary)),
    }
    lines = [
        *(f"{arm.letter} = {', '.join(run.id for run in arm.runs)}" for arm in arms),
        "",
        *aligned(overview(arms)),
        "",
        "settings that differ",
        *(aligned(differences(arms)) or ["none"]),
    ]
    lines += [
        "",
        "final metrics, with verdicts",
        *aligned(metrics_table(arms, arms[0], options.primary), skip=("Meaning",)),
        "",
        EXPLANATION,
    ]
    _print(options, document, lines)
    return 0


def bring_in(options: Options) -> int:
    """Bring a run in that someone else has trained; JSON: the summary of `train`, and "skipped"."""
    from ..exports.bring import bring_run

    folder, skipped = bring_run(options.path, options.runs or default_root())
    info = folder.info()
    lines = [f"{info.status}: {info.steps_done} of {info.steps} steps, {info.name or info.id}", str(folder.path)]
    for line in skipped:
        note(f"left out: {line}")
    _print(options, {**_summary(info, folder.path), "skipped": skipped}, lines)
    return 0


COMMANDS: dict[str, Callable[[Options], int]] = {
    "presets": presets,
    "settings": list_settings,
    "train": train,
    "resume": resume,
    "fork": fork,
    "list": list_all,
    "evaluate": evaluate,
    "locate": locate,
    "embed": embed,
    "compare": compare,
    "experiment": run_experiment,
    "export": run_export,
    "import": bring_in,
    "sweep": run_sweep,
}


def _configured(options: Options) -> RunConfig:
    """Build the configuration: preset or file, then --set, then the short options.

    Raises:
        ConfigError: no or several starting points, a file that cannot be read, or a value that does not fit.
    """
    names = [name for name in (options.name_of_preset, options.preset) if name]
    if len(names) > 1:
        raise ConfigError(f"give one preset, not two ({' and '.join(names)})")
    if names and options.config:
        raise ConfigError(f"give a preset ({names[0]}) or --config, not both")
    if not names and not options.config:
        raise ConfigError(f"give --preset ({', '.join(PRESETS)}) or --config FILE")
    if options.config:
        try:
            config = RunConfig.from_json(options.config.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read {options.config}: {getattr(error, 'strerror', None) or error}") from None
    else:
        config = preset(names[0]).config()
    return configured(
        config,
        changes_of(options.set),
        steps=options.steps,
        data=options.data,
        seed=options.seed,
        device=options.device,
        name=options.name,
    )


def _follow(place: Layout) -> int:
    """Take part in a run that another process of torchrun leads and reports."""
    from ..execution.ranks.follow import follow

    return follow(place)


def _report(options: Options, run: api.Run) -> int:
    """Print the summary of a run that has ended; exit code 1 if it diverged."""
    info = run.info
    lines = [
        f"{info.status}: {info.steps_done} steps in {info.seconds:.0f} s on {info.device}, "
        f"loss {_number(info.loss_first)} → {_number(info.loss_last)}",
        str(run.path),
    ]
    if info.data.get("skipped"):
        lines.append(f"skipped {info.data['skipped']} files, for example {info.data['skipped_files'][0]}")
    lines += info.data.get("remarks", ())
    _print(options, _summary(info, run.path), lines)
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
    print(json.dumps(document, indent=2) if options.json else "\n".join(map(printable, lines)))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _noted() -> Callable[[str, float], None]:
    """Return a progress function that notes every new work, and every 5 % of a long one, with the time that is left."""
    began = time.monotonic()
    last = ("", 0.0)

    def progress(text: str, share: float) -> None:
        nonlocal last
        if text != last[0] or share >= last[1] + 0.05:
            last = (text, share)
            left = time_left(time.monotonic() - began, share)
            note(f"{share:4.0%} {text}{f', {left}' if left else ''}")

    return progress


def _rows(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Convert columns to rows, for JSON."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
