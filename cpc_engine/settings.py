"""How a setting is described, once, for the command line, the app, the docs and validation.

A section of the configuration is a pydantic model whose fields are made by `setting(...)`.
`describe(section)` gives the same facts back as `Setting` rows, which is all a form, a help text or a table needs.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo

from .errors import ConfigError

# What a setting decides: the result of a run, where its data lie, the machine it runs on, how people call it, or the
# draw of random numbers. Runs that differ in "machine", "label" and "seed" alone are repetitions of one another.
Role = Literal["result", "data_location", "machine", "label", "seed"]

_LONGEST = 300  # letters of a list of names in an error


class Section(BaseModel):
    """A group of settings: immutable, unknown keys are errors, defaults are validated too."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_bool_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Python counts True as 1; a configuration must not."""
        name = info.field_name or ""
        if isinstance(value, bool) and as_setting(name, cls.model_fields[name]).kind in ("int", "float"):
            raise ValueError(f"a number is needed, not {str(value).lower()}")
        return value


def setting(
    default: Any,
    help: str,
    *,
    label: str = "",
    unit: str = "",
    low: str = "",
    high: str = "",
    live: bool = False,
    role: Role = "result",
    speed: bool = True,
    choices: Sequence[str] = (),
    words: Mapping[str, str] | None = None,
    **bounds: Any,
) -> Any:
    """A pydantic field with its description.

    Args:
        default: the value a fresh configuration has.
        help: one sentence, what the setting does.
        label: what forms call it; its name in words where empty.
        unit: "s", "Hz", "px", "steps", … or empty for a pure number.
        low, high: what a user sees when the value is too low or too high.
        live: whether a running run accepts a new value between two steps.
        role: what it decides, see `Role`.
        speed: whether it changes how long a step takes.
        choices: the values of a text setting that a registry lists; a `Literal` lists its own.
        words: what people read in place of each choice; stored values and the command line keep the choice itself.
        bounds: ge, le, max_length, pattern, … as pydantic names them; a number has ge and le, both inclusive, because
            that is what a form can show.

    Example:
        >>> class Loss(Section):
        ...     temperature: float = setting(0.2, "Scores are divided by it.", ge=0.01, le=10)
        >>> next(describe(Loss)).maximum
        10
    """
    extra: JsonDict = {
        "label": label,
        "unit": unit,
        "low": low,
        "high": high,
        "live": live,
        "role": role,
        "speed": speed,
        "choices": list(choices),
        "words": dict(words or {}),
    }
    return Field(default, description=help, json_schema_extra=extra, **bounds)


@dataclass(frozen=True)
class Setting:
    """One setting as a form or a table shows it; `path` is what `--set path=value` takes."""

    path: str
    default: Any
    kind: str  # "bool", "int", "float", "str", "choice" or "list"
    help: str
    label: str
    unit: str
    low: str
    high: str
    live: bool
    role: Role
    speed: bool
    choices: tuple[str, ...]
    choice_words: tuple[str, ...]
    minimum: float | None
    maximum: float | None
    optional: bool

    @property
    def name(self) -> str:
        return self.path.rsplit(".", 1)[-1]

    def word_of(self, choice: str) -> str:
        """What people read in place of a choice; any other text as it is."""
        return dict(zip(self.choices, self.choice_words, strict=False)).get(choice, choice)


def describe(section: type[BaseModel], prefix: str = "") -> Iterator[Setting]:
    """Every setting below `section`, in the order it was written."""
    for name, field in section.model_fields.items():
        path = f"{prefix}{name}"
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from describe(annotation, f"{path}.")
        else:
            yield as_setting(path, field)


def as_setting(path: str, field: FieldInfo) -> Setting:
    """One field's row."""
    extra: dict[str, Any] = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    optional, kind, choices = _kind(field.annotation)
    if extra.get("choices"):
        kind, choices = "choice", tuple(extra["choices"])
    name = path.rsplit(".", 1)[-1].replace("_", " ")
    return Setting(
        path=path,
        default=field.default,
        kind=kind,
        help=field.description or "",
        label=str(extra.get("label") or f"{name[:1].upper()}{name[1:]}"),
        unit=str(extra.get("unit", "")),
        low=str(extra.get("low", "")),
        high=str(extra.get("high", "")),
        live=bool(extra.get("live", False)),
        role=extra.get("role", "result"),
        speed=bool(extra.get("speed", True)),
        choices=choices,
        choice_words=tuple(extra.get("words", {}).get(choice, choice) for choice in choices),
        minimum=next((rule.ge for rule in field.metadata if hasattr(rule, "ge")), None),
        maximum=next((rule.le for rule in field.metadata if hasattr(rule, "le")), None),
        optional=optional,
    )


def _kind(annotation: Any) -> tuple[bool, str, tuple[str, ...]]:
    """(may be None, kind, choices) of a field's type."""
    members = [member for member in get_args(annotation) if member is not type(None)]
    optional = type(None) in get_args(annotation)
    if optional and len(members) == 1:
        annotation = members[0]
    if get_origin(annotation) is Literal:
        return optional, "choice", tuple(str(choice) for choice in get_args(annotation))
    if get_origin(annotation) in (tuple, list):
        inner = get_args(annotation)[0]
        choices = get_args(inner) if get_origin(inner) is Literal else ()
        return optional, "list", tuple(str(choice) for choice in choices)
    return optional, {bool: "bool", int: "int", float: "float"}.get(annotation, "str"), ()


def read_text(setting: Setting, text: str) -> Any:
    """The value that a setting's text stands for, as `--set` and text boxes give it; whether it fits is checked later.

    Lists are JSON or items between commas; an optional setting is unset by "none", "null" or nothing.
    """
    if setting.optional and text.strip().lower() in ("", "none", "null"):
        return None
    if setting.kind in ("str", "choice"):
        return text
    if setting.kind == "list" and not text.lstrip().startswith("["):
        return [item.strip() for item in text.split(",") if item.strip()]
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def nearest(name: str, valid: Iterable[str]) -> str:
    """ " (did you mean …?)" for a misspelled name, or the valid names where none is close; of many the nearest few.

    Example:
        >>> nearest("tonse", ["tones", "bars"]), nearest("nosuch", ["notes", "bars"])
        (" (did you mean 'tones'?)", ' (valid: bars, notes)')
    """
    names = sorted(valid)
    if close := difflib.get_close_matches(name, names, n=1):
        return f" (did you mean {close[0]!r}?)"
    if len(words := ", ".join(names)) <= _LONGEST:
        return f" (valid: {words})"
    return f" (the nearest of {len(names)}: {', '.join(difflib.get_close_matches(name, names, n=5, cutoff=0))})"


def unknown(kind: str, name: str, valid: Iterable[str]) -> ConfigError:
    """The error for a name that does not exist, with the nearest one that does."""
    return ConfigError(f"unknown {kind} {name!r}{nearest(name, valid)}")
