"""Are two settings different, or do their seeds only scatter? Runs grouped by setting, intervals and verdicts.

A setting is a configuration whatever its seed, name and machine. Its runs are draws of one random variable per measure,
and two settings are told apart only where a 95 % Student-t interval of their difference leaves out zero: from the
differences seed by seed where the seeds are the same (same first weights, same order of data), else by Welch.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..config import RunConfig
from .probe import mean_interval

Direction = Literal["higher", "lower", "neither"]
NOT_THE_SETTING = ("run.seed", "run.name", "run.note", "run.device", "run.threads")


@dataclass(frozen=True)
class Measure:
    """What a number at a run's end means; `better` says which way is better."""

    title: str
    unit: str
    better: Direction
    meaning: str


MEASURES: dict[str, Measure] = {
    "loss": Measure("Loss", "nats", "neither", "Of the last step. Other negatives, another pool: never compare those."),
    "accuracy": Measure("Picking the true future", "share", "neither", "Among the negatives of the last step."),
    "alignment": Measure("Alignment", "distance²", "lower", "Predictions to what came; 0 also when all collapsed."),
    "uniformity": Measure("Uniformity", "log similarity", "lower", "How evenly contexts fill their space."),
    "effective_rank": Measure("Effective rank", "directions", "higher", "How many directions contexts use."),
    "effective_rank_uncentred": Measure(
        "Effective rank, uncentred", "directions", "higher", "The same, with the mean left in."
    ),
    "spread": Measure("Spread", "0…1", "higher", "Of latents: 1 all directions, 0 collapsed to one."),
    "information_bound": Measure("Information bound", "nats", "higher", "At least so much the context tells."),
    "queue_drift": Measure("Drift of the memory", "cosine", "higher", "Stored negatives against fresh ones; 1: none."),
    "modality_gap": Measure("Modality gap", "distance", "lower", "Between the centres of sounds and pictures."),
    "modality_accuracy": Measure("Telling modalities apart", "share", "lower", "By a line; 0.5: it cannot be done."),
    "pair_alignment": Measure("Alignment of pairs", "distance²", "lower", "A sound to the picture that it belongs to."),
    "retrieval_class": Measure("Retrieval of the class", "share", "higher", "Nearest picture has the sound's class."),
    "retrieval_pair": Measure("Retrieval of the pair", "share", "higher", "Nearest picture is the sound's own."),
    "probe": Measure("Probe", "share", "higher", "Test items whose class a linear probe tells from frozen features."),
    "seconds": Measure("Training time", "s", "neither", "Depends on the machine and on what else it did."),
}
_UNKNOWN = Measure("", "", "neither", "Not described.")
_WORDS = {"audio": "sounds", "image": "pictures"}


def describe_measure(name: str) -> Measure:
    """The measure behind "alignment", "audio.alignment_2" or "probe.mean_context"."""
    kind, _, feature = name.partition(".")
    if kind == "probe":
        words = " of ".join(_WORDS.get(part, part.replace("_", " ")) for part in reversed(feature.split(".")))
        return _retitled(MEASURES["probe"], f"Probe: {words}")
    modality, base = (_WORDS[kind], feature) if kind in _WORDS else ("", name)
    known, horizon = MEASURES.get(base), ""
    if known is None and (found := re.fullmatch(r"(alignment)_(\d+)", base)):
        known, horizon = MEASURES[found[1]], f", {found[2]} ahead"
    known = known or _retitled(_UNKNOWN, base.replace("_", " "))
    return _retitled(known, f"{known.title}{horizon}{f' of {modality}' if modality else ''}")


@dataclass(frozen=True)
class ComparedRun:
    """One run as a comparison needs it.

    Attributes:
        changes: (step, knob, value as JSON) of knobs that were changed while it went on.
        complete: it finished all its steps; only such runs are averaged and judged.
        measures: final numbers by name; see `MEASURES`.
    """

    id: str
    config: RunConfig
    status: str
    complete: bool
    measures: Mapping[str, float | None]
    changes: tuple[tuple[int, str, str], ...] = ()

    @property
    def seed(self) -> int:
        return self.config.run.seed

    @property
    def label(self) -> str:
        return self.config.run.name or self.id


@dataclass(frozen=True)
class Setting:
    """Runs that differ in nothing but the seed; `letter` is what tables and curves call it."""

    letter: str
    runs: tuple[ComparedRun, ...]

    @property
    def config(self) -> RunConfig:
        return self.runs[0].config

    @property
    def changes(self) -> tuple[tuple[int, str, str], ...]:
        return self.runs[0].changes

    @property
    def seeds(self) -> list[int]:
        return sorted({run.seed for run in self.runs})

    @property
    def name(self) -> str:
        return f"{self.letter} · {self.runs[0].label}"

    def values(self, measure: str) -> dict[int, float]:
        """{seed: value} over complete runs; where a seed was run twice, the first of `runs` that has it counts."""
        found: dict[int, float] = {}
        for run in self.runs:
            value = run.measures.get(measure)
            if run.complete and value is not None and math.isfinite(value):
                found.setdefault(run.seed, float(value))
        return dict(sorted(found.items()))


@dataclass(frozen=True)
class Verdict:
    """Whether A or B is better by one measure.

    Attributes:
        text: "A better", "B better", "not distinguishable, n = 3", or why there is none.
        difference: mean of A minus mean of B; low, high: its 95 % interval. All None without a verdict.
        method: "paired t", "Welch" or "".
    """

    text: str
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    method: str = ""


def setting_key(config: RunConfig, changes: Iterable[tuple[int, str, str]] = ()) -> str:
    """Equal for runs of one setting."""
    sections = config.to_dict()
    for path in NOT_THE_SETTING:
        section, _, name = path.partition(".")
        del sections[section][name]
    return json.dumps([sections, list(changes)], sort_keys=True)


def group(runs: Iterable[ComparedRun]) -> list[Setting]:
    """Runs by setting, in the order their first ones come; letters go A … Z, then A2 …"""
    groups: dict[str, list[ComparedRun]] = {}
    for run in runs:
        groups.setdefault(setting_key(run.config, run.changes), []).append(run)
    return [
        Setting(f"{chr(65 + i % 26)}{i // 26 + 1 if i >= 26 else ''}", tuple(sorted(members, key=lambda run: run.seed)))
        for i, members in enumerate(groups.values())
    ]


def settings_table(settings: Sequence[Setting], all_knobs: bool = False) -> dict[str, list[Any]]:
    """{"section.knob": its value in each setting}, only those that differ unless `all_knobs`.

    Knobs that were changed while a setting's runs went on come last, as "section.knob from step n".
    """
    flat = [
        {
            f"{section}.{name}": value
            for section, knobs in setting.config.to_dict().items()
            for name, value in knobs.items()
        }
        for setting in settings
    ]
    for values, setting in zip(flat, settings, strict=True):
        values |= {f"{knob} from step {step}": json.loads(value) for step, knob, value in setting.changes}
    paths = dict.fromkeys(path for values in flat for path in values if path not in NOT_THE_SETTING)
    table = {path: [values.get(path) for values in flat] for path in paths}
    return {p: row for p, row in table.items() if all_knobs or any(value != row[0] for value in row)}


def measure_names(settings: Sequence[Setting]) -> list[str]:
    """Measures that any complete run has: those of `MEASURES` in their order, details of a modality after them."""
    names = {n for s in settings for run in s.runs if run.complete for n, v in run.measures.items() if v is not None}
    order = list(MEASURES)

    def rank(name: str) -> tuple[bool, int, str]:
        base = "probe" if name.startswith("probe.") else name
        return base not in MEASURES, order.index(base) if base in MEASURES else 0, name

    return sorted(names, key=rank)


def compare(
    a: Mapping[int, float], b: Mapping[int, float], better: Direction, names: tuple[str, str] = ("A", "B")
) -> Verdict:
    """Judge {seed: value} of two settings.

    Paired where one side's seeds are all among the other's, else Welch, at 95 %. One test per measure: of twenty
    measures one differs by chance alone.
    """
    if not a or not b:
        return Verdict("not measured" if not a and not b else f"not measured in {names[0] if not a else names[1]}")
    if len(a) < 2 or len(b) < 2:
        alone = [name for name, values in zip(names, (a, b), strict=True) if len(values) < 2]
        return Verdict(f"one seed {'each' if len(alone) == 2 else f'of {alone[0]}'}: no verdict")
    common = sorted(a.keys() & b.keys())
    if len(common) == min(len(a), len(b)):
        difference, half = mean_interval([a[seed] - b[seed] for seed in common])
        assert half is not None
        method, count = "paired t", f"n = {len(common)}"
    else:
        difference, half = _welch(list(a.values()), list(b.values()))
        method = "Welch"
        count = f"n = {len(a)}" if len(a) == len(b) else f"n = {len(a)} and {len(b)}"
    low, high = difference - half, difference + half
    if low <= 0 <= high:
        text = f"not distinguishable, {count}"
    elif better == "neither":
        text = f"{names[0] if difference > 0 else names[1]} higher"
    else:
        text = f"{names[0] if (difference > 0) == (better == 'higher') else names[1]} better"
    return Verdict(text, difference, low, high, method)


def missing_seeds(settings: Sequence[Setting], at_least: int = 3) -> dict[str, list[int]]:
    """{letter: seeds still to run} so that all settings have the same seeds, `at_least` so many.

    Seeds of runs that wait or go on count as there; those of runs that ended early are run again.
    """
    there = {
        s.letter: {run.seed for run in s.runs if run.complete or run.status in ("queued", "running", "paused")}
        for s in settings
    }
    wanted = set().union(*there.values())
    spare = 0
    while len(wanted) < at_least:
        wanted.add(spare)
        spare += 1
    return {letter: sorted(wanted - seeds) for letter, seeds in there.items() if wanted - seeds}


def _welch(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """(difference of means, half width of its 95 % interval) without assuming equal variances."""
    from scipy.special import stdtrit

    shares = [float(np.var(values, ddof=1)) / len(values) for values in (a, b)]
    difference, error = float(np.mean(a) - np.mean(b)), sum(shares)
    if error == 0:
        return difference, 0.0
    freedom = error**2 / sum(s**2 / (len(v) - 1) for s, v in zip(shares, (a, b), strict=True))
    return difference, float(stdtrit(freedom, 0.975)) * math.sqrt(error)


def _retitled(measure: Measure, title: str) -> Measure:
    return Measure(title, measure.unit, measure.better, measure.meaning)
