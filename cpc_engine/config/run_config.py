"""Every setting of a run: one immutable object that JSON can carry.

`RunConfig` has nine sections. Each field is described where it stands (see `settings.setting`), and nowhere else.
Defaults are those of our own recipe; what the reference recipe does differently is written in `presets`.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError

from ..errors import ConfigError
from ..settings import Section, Setting, as_setting, describe, read_text, unknown
from .aliases import current_path, current_sections, current_value
from .data import DataConfig
from .network import AudioConfig, ContextConfig, ImageConfig
from .objective import LossConfig, SamplerConfig
from .schedule import EvaluationConfig, OptimizerConfig, RunSettings


class RunConfig(Section):
    """Everything that decides a run. `from_json(to_json())` gives an equal object.

    Example:
        >>> config = RunConfig().replace({"sampler.queue_size": 4096, "optimizer.steps": 50})
        >>> config.sampler.queue_size
        4096
        >>> config.differences(RunConfig())
        {'sampler.queue_size': (4096, 0), 'optimizer.steps': (50, 400)}
    """

    data: DataConfig = DataConfig()
    audio: AudioConfig = AudioConfig()
    image: ImageConfig = ImageConfig()
    context: ContextConfig = ContextConfig()
    sampler: SamplerConfig = SamplerConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    run: RunSettings = RunSettings()

    def horizons(self, modality: str) -> tuple[int, ...]:
        """Return the horizons of one modality in positions, ascending.

        Example:
            >>> RunConfig().replace({"context.horizon_seconds": [0.1, 0.5]}).horizons("audio")
            (2, 8)
        """
        seconds = self.context.horizon_seconds
        if modality != "audio" or not seconds:
            return tuple(sorted(self.context.horizons))
        step = self.audio.frames_between_latents * self.audio.hop_ms / 1000
        return tuple(sorted({max(1, round(ahead / step)) for ahead in seconds}))

    def first_target(self, modality: str) -> int:
        """Return the first position that is predicted from some other: the smallest horizon, or 0 if read backward too.

        Example:
            >>> config = RunConfig()
            >>> config.first_target("audio"), config.replace({"context.orders": "both_ways"}).first_target("audio")
            (1, 0)
        """
        return min(self.horizons(modality)) if self.context.orders == "forward" else 0

    def reading_orders(self, modality: str) -> int:
        """Return the number of orders in which the context network reads a modality.

        Example:
            >>> config = RunConfig().replace({"context.orders": "four_ways"})
            >>> config.reading_orders("image"), config.reading_orders("audio")
            (4, 2)
        """
        if self.context.orders == "forward":
            return 1
        return 4 if self.context.orders == "four_ways" and modality == "image" else 2

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return self.model_dump(mode="json")

    def flat(self) -> dict[str, Any]:
        """{"section.setting": value} of every setting, as plain values."""
        return {
            f"{section}.{name}": value for section, values in self.to_dict().items() for name, value in values.items()
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """A validated configuration; names of earlier versions are understood.

        Raises:
            ConfigError: one line for the first unknown key, wrong type or value out of range.
        """
        if not isinstance(values, Mapping):
            raise ConfigError("a configuration is a JSON object with the sections " + ", ".join(cls.model_fields))
        values = current_sections(values)
        _check_keys(cls, values, "")
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise ConfigError(_one_line(error)) from None

    @classmethod
    def from_json(cls, text: str) -> RunConfig:
        """As `from_dict`, from JSON text."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"not a JSON configuration: {error}") from None
        return cls.from_dict(values)

    def replace(self, changes: Mapping[str, Any]) -> RunConfig:
        """A copy with `{"section.setting": value}` changed; strings are read as `read_text` says."""
        values = self.to_dict()
        for given, value in changes.items():
            path = current_path(given)
            section, _, name = path.partition(".")
            if section not in values:
                raise unknown("section", section, values)
            if name not in values[section]:
                raise unknown("setting", path, [f"{section}.{known}" for known in values[section]])
            field = type(getattr(self, section)).model_fields[name]
            value = read_text(as_setting(path, field), value) if isinstance(value, str) else value
            values[section][name] = current_value(path, value)
        return self.from_dict(values)

    def differences(self, other: RunConfig) -> dict[str, tuple[Any, Any]]:
        """{"section.setting": (mine, other's)} for every setting that differs."""
        theirs = other.flat()
        return {path: (value, theirs[path]) for path, value in self.flat().items() if value != theirs[path]}


@cache
def all_settings() -> tuple[Setting, ...]:
    """Every setting with its description, in the order of the configuration."""
    return tuple(describe(RunConfig))


def paths_with_role(*roles: str) -> frozenset[str]:
    """Paths of the settings that have one of these roles (see `settings.Role`)."""
    return frozenset(setting.path for setting in all_settings() if setting.role in roles)


def _check_keys(model: type[BaseModel], values: Mapping[str, Any], prefix: str) -> None:
    for key, value in values.items():
        field = model.model_fields.get(str(key))
        if field is None:
            raise unknown(
                "setting" if prefix else "section", f"{prefix}{key}", [prefix + n for n in model.model_fields]
            )
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel) and isinstance(value, Mapping):
            _check_keys(inner, value, f"{prefix}{key}.")


def _one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    given = f", not {reprlib.repr(first['input'])}" if first["type"] != "value_error" else ""
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message[0].lower()}{message[1:]}{given}"[:400]
