"""The diagram: a button for each stage, and what the stage made; the browser's half is diagram.js."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from .stages import Stage

KEYS = "space plays and pauses, arrows step, Home and End go to the ends"
_ICONS = {
    "back": "M15 5 8 12l7 7",
    "play": "M8 5v14l11-7z",
    "next": "M9 5l7 7-7 7",
}


def _button(name: str, label: str) -> str:
    icon = f'<svg viewBox="0 0 24 24" aria-hidden="true"><path d="{_ICONS[name]}"/></svg>'
    return f'<button type="button" class="{name}">{icon}{label}</button>'


_mount = st.components.v2.component(
    "cpc_step",
    html=f"""<div class="cpc-step" role="group" aria-label="One training step, stage by stage: {KEYS}" tabindex="-1">
<div class="tools">{_button("back", "Back")}{_button("play", "Play")}{_button("next", "Next")}
<span class="at"></span><span class="keys">Keys: {KEYS}</span></div>
<p class="said" role="status"></p><ol class="stages"></ol></div>""",
    css=Path(__file__).with_suffix(".css").read_text(encoding="utf-8"),
    js=Path(__file__).with_suffix(".js").read_text(encoding="utf-8"),
)


def diagram(html: str, key: str) -> None:
    """Draw the stages of `stages_html`, or bring those drawn under the same key up to date."""
    _mount(key=key, data=html)


def stages_html(
    found: Sequence[Stage],
    small: Sequence[str],
    large: Sequence[str],
    settings: Mapping[str, tuple[str, str]],
) -> str:
    """The list of stages.

    Args:
        found: what the stages are in words. small, large: HTML of their pictures.
        settings: (name and value, address) of the settings that are shown.
    """
    count = len(found)
    return "".join(
        _stage(number, count, stage, little, picture, settings)
        for number, (stage, little, picture) in enumerate(zip(found, small, large, strict=True), 1)
    )


def _stage(
    number: int, count: int, stage: Stage, small: str, large: str, settings: Mapping[str, tuple[str, str]]
) -> str:
    links = "".join(
        f'<li><a href="{escape(settings[path][1])}">{escape(settings[path][0])}</a></li>'
        for path in stage.settings
        if path in settings
    )
    panel, name, shape = f"stage-{number}", escape(stage.name), escape(stage.shape)
    chosen = f"<p><b>Settings</b></p><ul>{links}</ul>" if links else ""
    return f"""<li class="stage" data-lines="{" ".join(f"{a}-{line}" for a, line in stage.lines)}">
<button type="button" class="node" aria-controls="{panel}"><span class="title"><b>{number}</b> {name}</span>
<span class="small" aria-hidden="true">{small}</span><span class="shape">{shape}</span></button>
<section class="panel" id="{panel}" aria-label="{number} of {count}: {name}">
<div class="words"><h3>{number}. {name} <span class="shape">{shape}</span></h3>
<p class="sentence">{escape(stage.words)}</p>
<div class="links"><p><b>In docs/method.md</b> {_lines(stage)}</p>{chosen}</div></div>
<div class="picture">{large}</div></section></li>"""


def _lines(stage: Stage) -> str:
    """Links to the stage's lines, which stand below the diagram: "Algorithm 2, line 3, line 4"."""
    parts = []
    for algorithm in sorted({algorithm for algorithm, _ in stage.lines}):
        name = f"Algorithm {algorithm}"
        links = (
            f'<a href="#algorithm-{algorithm}-line-{line}" aria-label="{name}, line {line}">line {line}</a>'
            for one, line in stage.lines
            if one == algorithm
        )
        parts.append(f"{name}, {', '.join(links)}")
    return "; ".join(parts)
