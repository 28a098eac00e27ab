"""The sources of negatives as cards: a switch, one or two sliders, and what they lead to in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from cpc_engine.config import RunConfig, all_settings, why_unread, with_labels
from cpc_engine.datasets import DATASETS
from cpc_engine.settings import Setting, describe
from cpc_engine.sources import SOURCES, NegativeSource
from cpc_engine.training.plan import ModalityPlan

from ..components.settings_form import Changes, help_of, label_of, value_of
from ..drawing.palette import SOURCE_STYLES
from ..shell.glossary import define
from .consequences import consequence
from .sliders import shown, stops
from .steer import Reach

ALWAYS = ("loss.temperature", "optimizer.learning_rate")  # below the sources, whatever these are
SHORT = {"optimizer.learning_rate": "Rate", "sampler.key_momentum": "MoCo m", "sampler.queue_size": "Size"}


class Sampler:
    """Draws the cards of one draft.

    Args:
        config: the draft's configuration. base: the preset's. changes: what differs; edited in place.
        reach: what an edit does (see `steer`). changed: called after an edit.
        plans: of a step; empty where the data that it depends on were not read.
    """

    def __init__(
        self,
        config: RunConfig,
        base: RunConfig,
        changes: Changes,
        reach: Reach,
        changed: Callable[[], None],
        plans: Sequence[ModalityPlan],
    ) -> None:
        self.config, self.base, self.changes = config, base, changes
        self.reach, self.changed = reach, changed
        self.settings = {setting.path: setting for setting in all_settings()}
        self.plans = plans
        self.idle = why_unread(config)

    def show(self) -> None:
        """All cards, and the settings that stand below them."""
        for source in SOURCES.values():
            self._card(source)
        with st.container(border=True, key="source-all", gap=None):
            for path in ALWAYS:
                self._slider(self.settings[path])

    def locked(self, path: str) -> bool:
        """Whether a setting cannot be changed now."""
        return self.reach == "none" or (self.reach == "live" and not self.settings[path].live)

    def _card(self, source: NegativeSource) -> None:
        on = not source.off or any(value_of(self.config, path) != off for path, off in source.off.items())
        absent = source.other_modality and len(DATASETS[self.config.data.dataset].modalities) < 2
        with st.container(border=True, key=f"source-{source.name}", gap=None):
            with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
                self._switch(source, on, absent)
                st.space("stretch")
                count = self.plans[0].candidates.get(source.name, 0) if self.plans else 0
                st.caption(
                    "needs both" if absent else f"{count:,}" if count else "on" if on else "off", width="content"
                )
            if on:
                self._settings(source)
                if words := consequence(source.name, self.config, self.plans):
                    st.caption(words)

    def _switch(self, source: NegativeSource, on: bool, absent: bool) -> None:
        label = _title(source.label)
        help = define(source.name) or source.summary
        if not source.off:
            st.markdown(f":color[■]{{foreground='{SOURCE_STYLES[source.name].color}'}} **{label}**", help=help)
            return
        key = f"switch-{source.name}"

        def switched() -> None:
            wanted = source.recipe if st.session_state[key] else source.off
            for path in source.off:
                self._set(path, wanted.get(path, source.off[path]))
            self.changed()

        st.session_state[key] = on
        fixed = any(self.locked(path) for path in source.off) or (absent and not on)
        st.toggle(label, key=key, help=help, on_change=switched, disabled=fixed)

    def _settings(self, source: NegativeSource) -> None:
        """A list of choices where the switch is one, and a slider for each number whose size matters."""
        for path in source.off:
            if self.settings[path].kind == "choice":
                self._choice(self.settings[path], str(source.off[path]))
        own = describe(source.settings, "sampler.") if source.settings else ()
        for setting in own:
            if setting.kind in ("int", "float") and (setting.low or setting.high):
                self._slider(setting)

    def _choice(self, setting: Setting, off: str) -> None:
        key = f"slide:{setting.path}"

        def chosen() -> None:
            self._set(setting.path, st.session_state[key])
            self.changed()

        st.session_state[key] = value_of(self.config, setting.path)
        st.segmented_control(
            label_of(setting),
            [choice for choice in setting.choices if choice != off],
            required=True,
            format_func=setting.word_of,
            key=key,
            label_visibility="collapsed",
            on_change=chosen,
            disabled=self.locked(setting.path),
        )

    def _slider(self, setting: Setting) -> None:
        key, value = f"slide:{setting.path}", value_of(self.config, setting.path)

        def moved() -> None:
            self._set(setting.path, st.session_state[key])
            self.changed()

        st.session_state[key] = value
        locked = self.locked(setting.path)
        note = "\n\nFixed while this run trains." if locked and self.reach == "live" else ""
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"row-{setting.name}"):
            st.markdown(SHORT.get(setting.path, setting.label), width=112)
            st.select_slider(
                label_of(setting),
                stops(setting, value),
                format_func=shown,
                key=key,
                help=help_of(setting, value_of(self.base, setting.path)) + note,
                label_visibility="collapsed",
                on_change=moved,
                disabled=locked or setting.path in self.idle,
            )
        if setting.path in self.idle:
            st.caption(f"Without effect: {with_labels(self.idle[setting.path])}.")

    def _set(self, path: str, value: Any) -> None:
        if value == value_of(self.base, path):
            self.changes.pop(path, None)
        else:
            self.changes[path] = value


def _title(label: str) -> str:
    return f"{label[:1].upper()}{label[1:]}"
