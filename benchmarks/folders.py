"""Do the presets for folders of one's own learn, with nothing changed but where the data lie?

    python -m benchmarks.folders [--data DIR] [--work DIR] [--seeds 5] [--tasks A,B] [--json] [--out FILE]

- pictures: `image_folder` on scikit-learn's scans of handwritten digits.
- sounds: `audio_folder` on the voices of six people (the class is who speaks), from the spoken digits in DIR.
- surroundings: `audio_folder` on made-up rain, engines, birds, … (`benchmarks.surroundings`).
- pairs: `paired_folders` on spoken digits and handwritten ones of the same class.

Nothing was chosen on these files; `audio.filter_db` was chosen on other made-up surroundings, of another seed. Each is
trained with several seeds and judged on held-out files against the same network untrained and the best raw-feature
baseline (see `cpc_engine.evaluation.baselines`). Runs that --work holds already are not made again. The spoken digits
are looked for in DIR, in $CPC_SHARED/data, or in `shared/data` beside the repository.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

if not __package__:  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.surroundings import write
from benchmarks.timing import deliver, machine, shared_data
from benchmarks.typicality import FILES
from cpc_engine.api.foreground import execute_here
from cpc_engine.errors import CpcError, RunError
from cpc_engine.experiments.definitions import SEEDS, Experiment, PlannedArm
from cpc_engine.experiments.recipe import Recipe, recipe
from cpc_engine.experiments.results import collect
from cpc_engine.experiments.runner import plan_runs, run_all
from cpc_engine.experiments.tables import PAIRS, Table, baselines_table, metrics_table, probes_table

VOICES, SPOKEN = 50, 60  # clips a class: so few that the baselines leave something to be gained
AROUND, AROUND_SEED = 80, 1
_SIDE = 64  # pixels of a scan as a file

Changes = dict[str, Any]


def pictures(folder: Path, recordings: Path) -> Changes:
    """Every scan as a PNG below its digit."""
    from sklearn.datasets import load_digits

    scans = load_digits()
    for number, (scan, digit) in enumerate(zip(scans.images, scans.target, strict=True)):
        pixels = Image.fromarray((scan * (255 / 16)).round().astype(np.uint8))
        path = folder / str(digit) / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC).save(path)
    return {"data.path": str(folder)}


def sounds(folder: Path, recordings: Path) -> Changes:
    """Clips below the name of who speaks."""
    _link(recordings, folder, lambda digit, speaker: speaker, VOICES)
    return {"data.path": str(folder)}


def surroundings(folder: Path, recordings: Path) -> Changes:
    """Made-up sounds below their kind."""
    write(folder, AROUND, AROUND_SEED)
    return {"data.path": str(folder)}


def pairs(folder: Path, recordings: Path) -> Changes:
    """Clips and scans below their digit."""
    _link(recordings, folder / "sounds", lambda digit, speaker: digit, SPOKEN)
    changes = pictures(folder / "pictures", recordings)
    return {"data.path": str(folder / "sounds"), "data.image_path": changes["data.path"]}


def _link(recordings: Path, folder: Path, label: Callable[[str, str], str], count: int) -> None:
    """`count` recordings of each label, drawn by a fixed seed over all digits, speakers and takes."""
    found: dict[str, list[Path]] = {}
    for file in sorted(recordings.glob("*_*_*.wav")):
        digit, speaker, _ = file.stem.split("_")
        found.setdefault(label(digit, speaker), []).append(file)
    if not found:
        raise RunError(f"no recordings of spoken digits in {recordings}")
    for name, files in found.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for row in np.random.default_rng(0).permutation(len(files))[:count]:
            shutil.copy(files[row], folder / name)


TASKS: dict[str, tuple[str, Callable[[Path, Path], Changes]]] = {
    "pictures": ("image_folder", pictures),
    "sounds": ("audio_folder", sounds),
    "surroundings": ("audio_folder", surroundings),
    "pairs": ("paired_folders", pairs),
}


def measure(name: str, work: Path, recordings: Path, seeds: int, changes: Changes) -> dict[str, Any]:
    """The document of `cpc_engine.experiments.results.collect` for one task; `changes` to the preset, for trying."""
    preset, make = TASKS[name]
    files = work / name / "files"
    shutil.rmtree(files, ignore_errors=True)
    places = make(files, recordings)
    arm = PlannedArm(preset, preset, {**places, **changes})
    experiment = Experiment(name, name, (make.__doc__ or "").strip(), (arm,))
    planned = plan_runs(experiment, seeds)
    run_all(planned, work / name, execute_here, lambda line: print(f"{name}: {line}", file=sys.stderr, flush=True))
    found = collect(experiment, planned, work / name, "", quick=bool(changes))
    wanted = ("summary", "verdicts", "seeds", "recipe")
    return {"preset": preset, "steps": found["arms"][0]["steps"], **{key: found[key] for key in wanted}}


def merged(recipes: dict[str, Recipe]) -> Recipe:
    """What the recipes of all tasks hold, by the name of the task."""
    one = {
        part: {name: next(iter(own[part].values())) for name, own in recipes.items()} for part in ("configs", "data")
    }
    trained = [source for own in recipes.values() for source in own["trained"]]
    return {**one, "trained": [source for row, source in enumerate(trained) if source not in trained[:row]]}


def text(document: dict[str, Any]) -> str:
    parts: list[str] = []
    for name, found in document["tasks"].items():
        parts.append(f"{name} ({found['preset']}, {found['steps']} steps, {len(found['seeds'])} seeds)")
        for table in (probes_table(found), baselines_table(found), metrics_table(found, PAIRS)):
            parts.append(_lines(table))
    return "\n\n".join(part for part in parts if part)


def _lines(table: Table) -> str:
    """The table aligned; nothing of one that says nothing beside its arms."""
    rows = [list(table), *zip(*table.values(), strict=True)] if len(table) > 1 and any(table.values()) else []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=shared_data(), metavar="DIR", help="where the spoken digits are")
    parser.add_argument("--work", type=Path, metavar="DIR", help="keep folders and runs there")
    parser.add_argument("--seeds", type=int, default=SEEDS, metavar="N")
    parser.add_argument("--tasks", default=",".join(TASKS), metavar="A,B", help="only these")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="also write the document there")
    given = parser.parse_args()
    names = given.tasks.split(",")
    if not set(names) <= set(TASKS):
        parser.error(f"tasks are {', '.join(TASKS)}")
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        try:
            found = {name: measure(name, work, given.data / FILES["fsdd"], given.seeds, {}) for name in names}
        except CpcError as error:
            parser.exit(2, f"error: {error}\n")
    command = f"python -m benchmarks.folders --seeds {given.seeds} --tasks {given.tasks}"
    document = {"tasks": found, "machine": machine(torch.device("cpu")), "command": command}
    made = {**recipe(command, {}, {}), **merged({name: one.pop("recipe") for name, one in found.items()})}
    deliver(document, made, text(document), given.json, given.out)


if __name__ == "__main__":
    main()
