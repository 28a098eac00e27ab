"""One training step, slowly: the diagram for one anchor, and the algorithms whose lines it walks along."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import streamlit as st

from cpc_engine.config import all_settings, unread

from ...components.settings_form import as_text, label_of, sections_of_data, value_of
from ...shell.errors import literal
from ...shell.links import train_address
from ..opened import class_of, name_of, stepped
from . import pictures
from .algorithm import algorithms
from .diagram import diagram, stages_html
from .stages import stages

if TYPE_CHECKING:
    from cpc_engine.config import RunConfig

    from ..anchor import Chosen

STYLE = """<style>
[class*="st-key-algorithm-"] li { padding: 0.05rem 0.4rem; border-left: 3px solid transparent; }
[class*="st-key-algorithm-"] li.cpc-lit { border-color: var(--st-primary-color, #227aae);
  background: color-mix(in srgb, currentColor 9%, transparent); }
[class*="st-key-algorithm-"] li:focus { outline: none; }
</style>"""


def show_step(chosen: Chosen) -> None:
    """The step that trains on the anchor's batch."""
    step = stepped(chosen.opening, chosen.row, chosen.which, chosen.anchor)
    opened, modality, lineup = chosen.frozen.opened, chosen.frozen.modality, step.outcome.lineup
    name, kind = (literal(text(chosen.frozen, lineup.item)) for text in (name_of, class_of))
    st.markdown(
        f"**Step {step.number:,}** of this run, for one anchor: {name}, class “{kind}”, one of "
        f"{len(chosen.frozen.parts):,} in the batch. Nothing is trained."
    )
    grid = opened.config.image.grid if modality == "image" else None
    large = [
        pictures.encode(step, grid),
        pictures.context(step),
        pictures.predict(step),
        pictures.gather(step),
        pictures.logits(step),
        pictures.loss(step),
        pictures.gradient(step),
        pictures.enqueue(step),
    ]
    found = stages(step, opened.config, modality, len(chosen.frozen.parts))
    html = stages_html(found, pictures.small(step), large, _settings(opened.config))
    diagram(html, key=f"slowly-{chosen.run}")
    _algorithms()


def _settings(config: RunConfig) -> dict[str, tuple[str, str]]:
    """{path: (name and value, address on the Train page)} of the settings that have an effect on these data."""
    sections = sections_of_data({setting.path.partition(".")[0] for setting in all_settings()}, config)
    idle, address = unread(config), train_address(config)
    return {
        setting.path: (
            f"{label_of(setting)}: {as_text(value_of(config, setting.path))}",
            f"train?{urlencode(address | {'settings': setting.path}, doseq=True)}",
        )
        for setting in all_settings()
        if setting.path not in idle and setting.path.partition(".")[0] in sections
    }


def _algorithms() -> None:
    """Both algorithms; the browser lights the lines of the stage that is shown."""
    st.html(STYLE)
    for (number, (title, lines)), place in zip(algorithms().items(), st.columns(2, gap="medium"), strict=False):
        with place, st.container(key=f"algorithm-{number}"):
            numbered = "\n".join(f"{at}. {line}" for at, line in enumerate(lines, 1))
            st.markdown(f"**Algorithm {number}** (docs/method.md): {title}\n\n{numbered}")
