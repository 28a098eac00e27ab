"""The form of a new sweep: a preset, one to four settings, and how they are tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from cpc_engine.config import label_of as label_of_path
from cpc_engine.config import unread
from cpc_engine.errors import ConfigError
from cpc_engine.evaluation.metric_info import PRIMARY, describe_metric
from cpc_engine.evaluation.metric_values import given_metrics
from cpc_engine.presets import PRESETS

from ..components.settings_form import as_text, help_of, label_of, sections_of_data, settings_of, used_by_data, value_of
from ..shell.errors import plain_errors
from ..shell.session import root

if TYPE_CHECKING:
    from cpc_engine.config import RunConfig
    from cpc_engine.settings import Setting
    from cpc_engine.sweeps.space import Space

SECTIONS = ("sampler", "loss", "optimizer", "context", "audio", "image", "data")
MOST = 4  # settings that one sweep varies here
METRICS = ("probe", "effective_rank", "spread", "uniformity", "retrieval_class")
GRID, TPE = "every combination (grid)", "draw and learn (TPE)"


def new_sweep() -> None:
    """Draw the form, and start what it says."""
    left, right = st.columns(2)
    with left:
        named = [name for name, one in PRESETS.items() if not one.needs_data]
        preset = st.selectbox("Preset", named, format_func=lambda name: PRESETS[name].title, key="sweep-preset")
        name = st.text_input("Name", f"{preset}-sweep", key=f"sweep-name-{preset}", max_chars=60)
    base = PRESETS[preset].config()
    used = used_by_data(settings_of(sections_of_data(SECTIONS, base)), base)
    idle = unread(base)
    settings = {setting.path: setting for setting in used if setting.role == "result" and setting.path not in idle}
    with right:
        how = st.selectbox("How", [GRID, TPE], key="sweep-how")
        chosen = st.multiselect(
            "Vary",
            list(settings),
            format_func=label_of_path,
            placeholder="Choose one to four settings",
            max_selections=MOST,
            help="Settings that this preset does not read, such as σ while noise-perturbed negatives are off, are left "
            "out: runs that differ in them alone would be the same.",
            key=f"sweep-vary-{preset}",
        )
    entered = {path: _values(settings[path], base, how) for path in chosen}
    with st.container(horizontal=True):
        steps = st.number_input("Steps", 1, 1_000_000, base.optimizer.steps, key=f"sweep-steps-{preset}")
        trials = 0
        if how == TPE:
            trials = int(st.number_input("Settings to draw", 2, 500, 20, key="sweep-trials"))
        seeds = st.number_input("Seeds", 1, 10, 2, key="sweep-seeds", help="With one, nothing is said about chance.")
        workers = st.number_input("Processes", 1, 16, 1, key="sweep-workers", help="One thread each.")
        help = "The linear probe is read on validation items."
        given = (PRIMARY, *given_metrics(base))
        metric = st.selectbox(
            "Decided by",
            [name for name in METRICS if name in given],
            format_func=lambda name: describe_metric(name).title,
            key="sweep-metric",
            help=help,
        )
    with plain_errors():
        if not chosen or not all(entered.values()):
            st.caption("Choose what to vary and give its values.")
            return
        space = _space(how, entered)
        cells = len(space.check(base))
        count = cells or trials
        st.caption(f"{count} settings × {seeds} seeds = {count * int(seeds)} runs of {steps} steps.")
        if same := space.left_out(cells):
            st.caption(f"{same}.")
        if st.button("Start the sweep", icon=":material/play_arrow:", key="sweep-start", type="primary"):
            from cpc_engine.sweeps.background import begin
            from cpc_engine.sweeps.study import Spec

            config = base.replace({"optimizer.steps": int(steps)})
            begin(root(), name, Spec(config, space, count, int(seeds), metric), int(workers))
            st.session_state.sweep = name
            st.rerun()


def _values(setting: Setting, base: RunConfig, how: str) -> str:
    """What is entered for one setting: values, or for a number that TPE draws "low to high"."""
    current = value_of(base, setting.path)
    drawn = how == TPE and setting.kind in ("int", "float")
    mark = ";" if setting.kind == "list" else ","
    hint = "low to high" if drawn else f"values, with {mark} between"
    title = f"{label_of(setting)} (now {as_text(current) or 'not set'})"
    key = f"sweep-{'range' if drawn else 'values'}-{setting.path}"
    return st.text_input(title, placeholder=hint, key=key, help=help_of(setting, current)).strip()


def _space(how: str, entered: dict[str, str]) -> Space:
    """The space of what was entered.

    Raises:
        ConfigError: it does not fit.
    """
    from cpc_engine.sweeps.space import Space

    grids = {path: text for path, text in entered.items() if how == GRID or " to " not in text}
    grid = Space.of_grid([f"{path}={text}" for path, text in grids.items()])
    if how == GRID:
        return grid
    document: dict[str, Any] = {path: dimension["choices"] for path, dimension in grid.dimensions.items()}
    for path, text in entered.items():
        if path not in grids:
            low, _, high = text.partition(" to ")
            try:
                bounds = {"low": float(low), "high": float(high)}
            except ValueError:
                raise ConfigError(f"{path}: {text!r} is no range; write 0.1 to 0.5") from None
            document[path] = {**bounds, "log": bounds["low"] > 0 and bounds["high"] > 10 * bounds["low"]}
    return Space.of_document(document)
