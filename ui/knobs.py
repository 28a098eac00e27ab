"""A form from the knobs' own descriptions: no knob is named here.

What the reader changed lives in one dict, path → value, so a knob that is not on the page now keeps its value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import streamlit as st

from cpc_engine.config import RunConfig
from cpc_engine.knobs import Knob, describe, read_text
from cpc_engine.presets import PRESETS

Changes = dict[str, Any]


def knobs_of(sections: Iterable[str]) -> list[Knob]:
    """The knobs of some sections, in the order of the configuration."""
    wanted = tuple(f"{section}." for section in sections)
    return [knob for knob in describe(RunConfig) if knob.path.startswith(wanted)]


def value_of(config: RunConfig, path: str) -> Any:
    section, _, name = path.partition(".")
    return getattr(getattr(config, section), name)


def label_of(knob: Knob) -> str:
    """ "Batch size (items)": plain words, since a screen reader reads marks and icons out."""
    words = knob.name.replace("_", " ")
    unit = f" ({knob.unit})" if knob.unit else ""
    return f"{words[:1].upper()}{words[1:]}{unit}"


def help_of(knob: Knob, preset_value: Any) -> str:
    """Everything the description says, as a tooltip."""
    lines = [knob.help]
    if knob.minimum is not None or knob.maximum is not None:
        lines.append(f"**Range** {_bound(knob.minimum)} to {_bound(knob.maximum)}{_usual(knob)}")
    if knob.low:
        lines.append(f"**Too low** {knob.low}")
    if knob.high:
        lines.append(f"**Too high** {knob.high}")
    if knob.live:
        lines.append("Can be turned while a run goes on.")
    lines.append(f"**Preset** {as_text(preset_value) or 'not set'} · `{knob.path}`")
    return "\n\n".join(lines)


def as_text(value: Any) -> str:
    """A value as a person types it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple | list):
        return ", ".join(as_text(one) for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def draw_knob(knob: Knob, base: RunConfig, changes: Changes, scope: str, changed: Callable[[], None]) -> None:
    """One knob with its help, its mark and, where it differs from the preset, a way back.

    Args:
        base: the preset. changes: what differs from it; edited in place. scope: tells forms of one page apart.
        changed: called after an edit.
    """
    preset_value = value_of(base, knob.path)
    value = changes.get(knob.path, preset_value)
    key = f"{scope}:{knob.path}"

    def edited() -> None:
        given = st.session_state[key]
        if given is None and not knob.optional:  # an emptied number: the old value comes back
            return
        if isinstance(given, str):
            given = read_text(knob, given)
        same = as_text(given) == as_text(preset_value) if knob.kind == "list" else given == preset_value
        if same:
            changes.pop(knob.path, None)
        else:
            changes[knob.path] = given
        changed()

    def reset() -> None:
        changes.pop(knob.path, None)
        changed()

    differs = knob.path in changes
    facts: Any = {"key": key, "help": help_of(knob, preset_value), "on_change": edited}
    label = label_of(knob)
    with st.container(gap="xsmall", key=f"cell:{key}"):
        if knob.kind == "bool":
            st.session_state[key] = value
            st.toggle(label, **facts)
        elif knob.kind == "choice":
            st.session_state[key] = value
            st.selectbox(label, knob.choices, **facts)
        elif knob.kind in ("int", "float"):
            number = int if knob.kind == "int" else float
            st.session_state[key] = number(value)
            low, high = (None if bound is None else number(bound) for bound in (knob.minimum, knob.maximum))
            step = 1 if number is int else _step(float(preset_value))
            st.number_input(label, low, high, step=step, format="%d" if number is int else "%g", **facts)
        else:
            st.session_state[key] = as_text(value)
            st.text_input(label, placeholder="not set" if knob.optional else None, **facts)
        if differs:
            st.button(
                f":orange[●] changed, back to {as_text(preset_value) or 'not set'}",
                key=f"reset:{key}",
                type="tertiary",
                icon=":material/undo:",
                on_click=reset,
            )


def draw_knobs(knobs: list[Knob], base: RunConfig, changes: Changes, scope: str, changed: Callable[[], None]) -> None:
    """A grid of knobs, three to a row where there is room."""
    for start in range(0, len(knobs), 3):
        for column, knob in zip(st.columns(3), knobs[start : start + 3], strict=False):
            with column:
                draw_knob(knob, base, changes, scope, changed)


def _step(value: float) -> float:
    """A sensible click for a number of that size."""
    size = 0.01
    while abs(value) and size > abs(value) / 5:
        size /= 10
    return size


@cache
def _usual(knob: Knob) -> str:
    """What the presets make of a number: a typical range without a second description to keep true."""
    values = {value_of(preset.config(), knob.path) for preset in PRESETS.values()}
    low, high = min(values), max(values)
    return f", in the presets {_bound(low)}" + (f" to {_bound(high)}" if high > low else "")


def _bound(bound: float | None) -> str:
    return "any" if bound is None else f"{bound:,.0f}" if bound >= 1000 else f"{bound:g}"
