"""The settings that a sweep tries: every combination of given values, or ranges that TPE draws from."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

from ..config import RunConfig, all_settings, current_path, why_unread
from ..errors import ConfigError
from ..settings import Setting, read_text, unknown

if TYPE_CHECKING:
    from optuna import Trial

Choice = bool | int | float | str | None
MOST = 10_000  # combinations of a grid


@dataclass(frozen=True)
class Space:
    """What a sweep varies.

    Attributes:
        sampler: "grid", which tries every combination, or "tpe", which draws (Bergstra et al. 2011, "Algorithms for
            hyper-parameter optimization"; Optuna's implementation).
        dimensions: by setting {"choices": [value, …]}, or {"low", "high", "log", "kind"} and "step" where wanted; both
            bounds are included. Lists stand among the choices as JSON text.
    """

    sampler: Literal["grid", "tpe"]
    dimensions: dict[str, dict[str, Any]]

    @classmethod
    def of_grid(cls, assignments: Sequence[str]) -> Space:
        """The space of `--grid section.setting=value,value …`; values of a list are divided by ";".

        Raises:
            ConfigError: no such setting, no values, or one twice.

        Example:
            >>> Space.of_grid(["loss.temperature=0.1,0.2", "sampler.shuffled=off,input"]).cells()[1]
            {'loss.temperature': 0.1, 'sampler.shuffled': 'input'}
        """
        dimensions: dict[str, dict[str, Any]] = {}
        for assignment in assignments:
            path, equals, text = assignment.partition("=")
            setting = _setting(path.strip())
            mark = ";" if setting.kind == "list" else ","
            values = [read_text(setting, part.strip()) for part in text.split(mark) if part.strip()]
            if not equals or not values:
                raise ConfigError(f"--grid takes section.setting=value,value, not {assignment!r}")
            if setting.path in dimensions:
                raise ConfigError(f"--grid names {setting.path} twice")
            dimensions[setting.path] = {"choices": _choices(values)}
        return cls("grid", dimensions)

    @classmethod
    def of_document(cls, document: Any) -> Space:
        """The space of a `--space` file: {"section.setting": [value, …] or {"low", "high", "log" or "step"}}.

        Raises:
            ConfigError: it has another form, or a setting does not exist.

        Example:
            >>> Space.of_document({"loss.temperature": {"low": 0.05, "high": 0.5, "log": True}}).sampler
            'tpe'
        """
        if not isinstance(document, Mapping) or not document:
            raise ConfigError('a space is a JSON object, {"section.setting": [values] or {"low", "high", "log"}}')
        dimensions: dict[str, dict[str, Any]] = {}
        for path, given in document.items():
            setting = _setting(path)
            if isinstance(given, list) and given:
                dimensions[setting.path] = {"choices": _choices(given)}
            else:
                dimensions[setting.path] = _range(setting, given)
        return cls("tpe", dimensions)

    def cells(self) -> list[dict[str, Choice]]:
        """Every combination of a grid; empty for "tpe".

        Raises:
            ConfigError: more than 10 000.
        """
        if self.sampler == "tpe":
            return []
        lists = [dimension["choices"] for dimension in self.dimensions.values()]
        cells = [dict(zip(self.dimensions, values, strict=True)) for values in product(*lists)]
        if len(cells) > MOST:
            raise ConfigError(f"{len(cells):,} combinations are too many; {MOST:,} are the most")
        return cells

    def suggest(self, trial: Trial) -> dict[str, Choice]:
        """The settings of one Optuna trial."""
        return {path: _suggest(trial, path, dimension) for path, dimension in self.dimensions.items()}

    def check(self, base: RunConfig) -> list[dict[str, Choice]]:
        """Check that every value and both ends of every range fit, and that every setting is read somewhere.

        Returns:
            The combinations of a grid that train something different; of several that differ only in what they do not
            read the first. Empty for "tpe".

        Raises:
            ConfigError: a value does not fit, or nothing that the space can try reads one of its settings.

        Example:
            >>> space = Space.of_grid(["sampler.perturbed=off,on", "sampler.sigma=0.1,0.2"])
            >>> [tuple(cell.values()) for cell in space.check(RunConfig())]
            [('off', 0.1), ('on', 0.1), ('on', 0.2)]
        """
        if self.sampler == "tpe":
            for path, ends in self._ends().items():
                for value in ends:
                    base.replace({path: value})
        idle = dict.fromkeys(self.dimensions, "")
        different: dict[str, dict[str, Choice]] = {}
        for cell, config in self.tried(base):
            why, values = why_unread(config), config.flat()
            idle = {path: idle[path] or why[path] for path in idle if path in why}
            if self.sampler == "tpe" and not idle:
                return []
            read = json.dumps([(path, values[path]) for path in cell if path not in why])
            different.setdefault(read, cell)
        for path, reason in idle.items():
            if reason:
                raise ConfigError(f"{path} would change nothing in this sweep: {reason}")
        return list(different.values()) if self.sampler == "grid" else []

    def left_out(self, kept: int) -> str:
        """One line on the combinations of a grid that `check` left out, where it returned `kept`; empty if none."""
        total = len(self.cells())
        if total == kept:
            return ""
        same = "is the same as another" if total - kept == 1 else "are the same as others"
        return f"{total - kept} of {total:,} combinations {same}, in all that they read, and not trained again"

    def tried(self, base: RunConfig) -> Iterator[tuple[dict[str, Choice], RunConfig]]:
        """The cells of a grid, or every combination of values and ends of ranges that fits, with what they make.

        None where a range has too many combinations to look at.
        """
        if self.sampler == "grid":
            yield from ((cell, base.replace(cell)) for cell in self.cells())
            return
        ends = self._ends()
        if math.prod(map(len, ends.values())) > MOST:
            return
        for values in product(*ends.values()):
            cell = dict(zip(self.dimensions, values, strict=True))
            # Two values that do not fit together are told by the trial that draws them.
            with contextlib.suppress(ConfigError):
                yield cell, base.replace(cell)

    def _ends(self) -> dict[str, Sequence[Choice]]:
        """By setting its values, or both ends of its range: a setting is switched off at an end of its range."""
        return {path: one.get("choices") or (one["low"], one["high"]) for path, one in self.dimensions.items()}


def _setting(path: str) -> Setting:
    known = {setting.path: setting for setting in all_settings()}
    path = current_path(path)
    if path not in known:
        raise unknown("setting", path, known)
    if known[path].role != "result":
        raise ConfigError(f"a sweep cannot vary {path}: it does not change what a run learns (--seeds gives seeds)")
    return known[path]


def _choices(values: Sequence[Any]) -> list[Choice]:
    return [json.dumps(value) if isinstance(value, list | tuple) else value for value in values]


def _range(setting: Setting, given: Any) -> dict[str, Any]:
    if setting.kind not in ("int", "float"):
        raise ConfigError(f"{setting.path} has no range: give a list of values")
    allowed = {"low", "high", "log", "step"}
    if not isinstance(given, Mapping) or not {"low", "high"} <= set(given) <= allowed:
        raise ConfigError(f'{setting.path}: give a list of values, or {{"low", "high"}} with "log" or "step"')
    number = int if setting.kind == "int" else float
    bounds = {name: given[name] for name in ("low", "high", "step") if name in given}
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in bounds.values()):
        raise ConfigError(f"{setting.path}: low, high and step are numbers")
    read: dict[str, Any] = {name: number(value) for name, value in bounds.items()}
    log = given.get("log", False)
    if read["low"] > read["high"] or (log and ("step" in read or read["low"] <= 0)) or read.get("step", 1) <= 0:
        raise ConfigError(f"{setting.path}: low is at most high; log needs low above 0 and no step; step is above 0")
    return {**read, "log": bool(log), "kind": setting.kind}


def _suggest(trial: Trial, path: str, dimension: Mapping[str, Any]) -> Choice:
    if "choices" in dimension:
        chosen: Choice = trial.suggest_categorical(path, dimension["choices"])
        return chosen
    low, high, log = dimension["low"], dimension["high"], dimension["log"]
    if dimension["kind"] == "int":
        return trial.suggest_int(path, low, high, step=dimension.get("step", 1), log=log)
    return trial.suggest_float(path, low, high, step=dimension.get("step"), log=log)
