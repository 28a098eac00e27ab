"""A form made from the settings' own descriptions: no setting is named here.

What the reader changed is one dict, path → value, so that a setting that is not on the page keeps its value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import streamlit as st

from cpc_engine.config import RunConfig, all_settings
from cpc_engine.datasets import DATASETS, own_settings
from cpc_engine.presets import PRESETS
from cpc_engine.settings import Setting, read_text
from cpc_engine.terms import MODALITIES

Changes = dict[str, Any]


def settings_of(sections: Iterable[str]) -> list[Setting]:
    """The settings of some sections, in the order of the configuration."""
    prefixes = tuple(f"{section}." for section in sections)
    return [setting for setting in all_settings() if setting.path.startswith(prefixes)]


def used_by_data(settings: Iterable[Setting], config: RunConfig) -> list[Setting]:
    """Settings without those that only other data sets than the configuration's read."""
    unused = own_settings() - set(DATASETS[config.data.dataset].own_settings)
    return [setting for setting in settings if setting.path not in unused]


def sections_of_data(sections: Iterable[str], config: RunConfig) -> list[str]:
    """Sections without those of a modality that the configuration's data do not have."""
    absent = set(MODALITIES) - set(DATASETS[config.data.dataset].modalities)
    return [section for section in sections if section not in absent]


def value_of(config: RunConfig, path: str) -> Any:
    """The value of "section.setting"."""
    section, _, name = path.partition(".")
    return getattr(getattr(config, section), name)


def label_of(setting: Setting) -> str:
    """ "Batch size (items)": in plain words, since a screen reader reads marks and icons aloud."""
    return f"{setting.label} ({setting.unit})" if setting.unit else setting.label


def help_of(setting: Setting, preset_value: Any) -> str:
    """The setting's whole description, as a tooltip."""
    lines = [setting.help]
    if setting.minimum is not None or setting.maximum is not None:
        lines.append(f"**Range** {_bound(setting.minimum)} to {_bound(setting.maximum)}{_usual(setting)}")
    if setting.low:
        lines.append(f"**Too low** {setting.low}")
    if setting.high:
        lines.append(f"**Too high** {setting.high}")
    if setting.live:
        lines.append("Can be changed while a run trains.")
    lines.append(f"**Preset** {setting.word_of(as_text(preset_value)) or 'not set'} · `{setting.path}`")
    return "\n\n".join(lines)


def as_text(value: Any) -> str:
    """A setting's value as a person types it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple | list):
        return ", ".join(as_text(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def draw_setting(
    setting: Setting,
    base: RunConfig,
    changes: Changes,
    scope: str,
    changed: Callable[[], None],
    idle: bool = False,
    locked: bool = False,
) -> None:
    """One setting with its help and, where it differs from the preset, a button that resets it.

    Args:
        base: the preset's configuration. changes: what differs from it; edited in place.
        scope: prefix of the widgets' keys, different for each form of one page.
        changed: called after an edit.
        idle: whether it has no effect, so that it is gray. locked: whether it cannot be changed now.
    """
    preset_value = value_of(base, setting.path)
    value = changes.get(setting.path, preset_value)
    key = f"{scope}:{setting.path}"

    def edited() -> None:
        entered = st.session_state[key]
        if entered is None and not setting.optional:  # an emptied number: the old value comes back
            return
        if isinstance(entered, str):
            entered = read_text(setting, entered)
        same = as_text(entered) == as_text(preset_value) if setting.kind == "list" else entered == preset_value
        if same:
            changes.pop(setting.path, None)
        else:
            changes[setting.path] = entered
        changed()

    def reset() -> None:
        changes.pop(setting.path, None)
        changed()

    differs = setting.path in changes
    common: Any = {"key": key, "help": help_of(setting, preset_value), "on_change": edited, "disabled": idle or locked}
    label = label_of(setting)
    with st.container(gap="xsmall", key=f"cell:{key}"):
        if setting.kind == "bool":
            st.session_state[key] = value
            st.toggle(label, **common)
        elif setting.kind == "choice":
            st.session_state[key] = value
            st.selectbox(label, setting.choices, format_func=setting.word_of, **common)
        elif setting.kind in ("int", "float"):
            number = int if setting.kind == "int" else float
            st.session_state[key] = number(value)
            low, high = (None if bound is None else number(bound) for bound in (setting.minimum, setting.maximum))
            step = 1 if number is int else _step(float(preset_value))
            st.number_input(label, low, high, step=step, format="%d" if number is int else "%g", **common)
        else:
            st.session_state[key] = as_text(value)
            st.text_input(label, placeholder="not set" if setting.optional else None, **common)
        if differs and not locked:
            st.button(
                f":orange[●] changed, back to {setting.word_of(as_text(preset_value)) or 'not set'}",
                key=f"reset:{key}",
                type="tertiary",
                icon=":material/undo:",
                on_click=reset,
            )


def _step(value: float) -> float:
    """A sensible click for a number of that size."""
    size = 0.01
    while abs(value) and size > abs(value) / 5:
        size /= 10
    return size


@cache
def _usual(setting: Setting) -> str:
    """The range of a number over all presets: typical values without a second description to keep true."""
    values = {value_of(preset.config(), setting.path) for preset in PRESETS.values()}
    low, high = min(values), max(values)
    return f", in the presets {_bound(low)}" + (f" to {_bound(high)}" if high > low else "")


def _bound(bound: float | None) -> str:
    return "any" if bound is None else f"{bound:,.0f}" if bound >= 1000 else f"{bound:g}"
