"""The command `sweep STUDY`: start, continue, or join a sweep, and print what it found."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..api.verbs import configured
from ..errors import ConfigError
from ..evaluation.metric_info import PRIMARY
from ..presets import preset
from ..storage.folder import default_root
from ..sweeps.results import document, rows
from ..sweeps.space import Space
from ..sweeps.study import Spec, open_study, storage_url, try_again
from .assignments import changes_of
from .text import aligned, note, printable

_OF_NEW = ("grid", "space", "trials", "set", "data", "seeds", "metric", "prune")  # options that say what a sweep is


def run_sweep(options: argparse.Namespace) -> int:
    """Run a sweep; exit code 0 where every setting has an end other than a failure, else 1."""
    from ..execution.place import place_of
    from ..sweeps.launch import run_workers

    if options.workers < 1:
        raise ConfigError(f"a sweep needs at least one worker, not {options.workers}")
    root: Path = options.runs or default_root()
    url = storage_url(root, options.study, options.storage)
    wanted, cluster = _spec(options), place_of(options.cluster)
    study, spec = open_study(url, options.study, wanted)
    if again := try_again(study):
        note(f"{again} that failed before: tried again")
    if cluster is not None:
        from ..execution.cluster.client import client_for, scheduler_of

        client_for(cluster)
        cluster = scheduler_of(cluster)  # the workers share the processes of "local"
    ended: set[tuple[int, int]] = set()

    def look() -> None:
        for row in rows(study, spec, root):
            if row.status not in ("waiting", "running") and (row.slot, row.seed) not in ended:
                ended.add((row.slot, row.seed))
                value = "" if row.value is None else f" {spec.metric} {row.value:.4g}"
                why = f": {row.message}" if row.message else ""
                note(f"setting {row.slot}, seed {row.seed}: {row.status}{value} {_shown(row.settings)}{why}")

    run_workers(url, options.study, root, options.workers, look, cluster=cluster)
    found = document(study, spec, root)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        print("\n".join(_lines(found)))
    return int(any(trial["status"] not in ("finished", "pruned", "diverged") for trial in found["trials"]))


def _spec(options: argparse.Namespace) -> Spec | None:
    """What the options ask for; None to go on with a sweep that exists.

    Raises:
        ConfigError: options that do not go together, or a file that cannot be read.
    """
    if options.preset is None:
        given = [f"--{name}" for name in _OF_NEW if getattr(options, name) not in (None, [])]
        if given:
            told = " and ".join(given)
            raise ConfigError(f"{told}: only with --preset, which starts a sweep; without them one goes on as it is")
        return None
    if bool(options.space) == bool(options.grid):
        raise ConfigError("give --grid section.setting=value,value (every combination) or --space FILE.json (TPE)")
    space = Space.of_grid(options.grid) if options.grid else Space.of_document(_read(options.space))
    base = configured(preset(options.preset).config(), changes_of(options.set), data=options.data)
    cells = len(space.check(base))
    if cells and options.trials is not None:
        raise ConfigError(f"--trials is for --space; this grid has {cells} combinations")
    if not cells and options.trials is None:
        raise ConfigError("--space needs --trials N, the number of settings to draw")
    if same := space.left_out(cells):
        note(same)
    seeds = 1 if options.seeds is None else options.seeds
    return Spec(base, space, cells or options.trials, seeds, options.metric or PRIMARY, options.prune)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None


def _lines(found: dict[str, Any]) -> list[str]:
    trials = found["trials"]
    columns: dict[str, list[Any]] = {
        "run": [trial["run"] for trial in trials],
        "settings": [_shown(trial["settings"]) for trial in trials],
        "seed": [trial["seed"] for trial in trials],
        "status": [trial["status"] for trial in trials],
        found["metric"]: [None if trial["value"] is None else f"{trial['value']:.4g}" for trial in trials],
    }
    if any(trial["message"] for trial in trials):
        columns["why"] = [printable(trial["message"]) for trial in trials]
    best = found["best"]
    last = "no setting has an end yet" if best is None else f"best: {_shown(best['settings'])}: {best['sentence']}"
    return [*aligned(columns), "", last]


def _shown(settings: dict[str, Any]) -> str:
    return " ".join(f"{path}={value}" for path, value in settings.items())
