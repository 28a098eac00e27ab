"""A thing has one name: on charts, on cards, in settings, in warnings, and in the glossary."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from cpc_engine.config import RunConfig, label_of
from cpc_engine.evaluation.alarms import DEAD_STEPS, alarms
from cpc_engine.sources import SOURCES
from ui.drawing.negatives.over_time import parts_of, share_figure
from ui.drawing.panels import panels_of
from ui.drawing.text import SHARE, source_label
from ui.shell.glossary import GLOSSARY
from ui.start.lesson import WATCH

pytest_plugins = ["tests.support.explored"]

TITLES = {
    key: title for title, key in re.findall(r"^\*\*(.+?)\*\* \(`(\w+)`\):", GLOSSARY.read_text("utf-8"), re.MULTILINE)
}


@pytest.mark.parametrize("name", list(SOURCES))
def test_a_source_is_called_alike_in_the_glossary_and_in_its_setting(name: str) -> None:
    assert TITLES[name].replace(" negatives", "") == source_label(name)
    for path in SOURCES[name].off:
        assert label_of(path).startswith(source_label(name))


def record(step: int) -> dict[str, Any]:
    source = {"share": 0.001, "count": 8, "masked": 0.0, "false_mass": 0.0, "false_negatives": 0.0}
    part = {"loss": 1.0, "accuracy": 0.5, "queue": 0, "latents_per_item": 16, "sources": {"in_batch": source}}
    part["sources"] |= {"perturbed": source, "queue": source | {"share": 0.9}}
    return {"step": step, "loss": 1.0, "modalities": {"audio": part}, "geometry": {}}


def test_the_share_of_the_gradient_has_one_name() -> None:
    records = [record(step) for step in range(1, DEAD_STEPS + 1)]
    assert TITLES["gradient_share"] == SHARE
    assert share_figure(parts_of(records, "audio", "prediction"))["layout"]["title"]["text"] == SHARE
    assert any(SHARE in panel.title for panel in panels_of(records, RunConfig()))
    assert any(SHARE in words for words in WATCH)
    [dead] = [one for one in alarms(records, 64, RunConfig()) if one.where == "audio perturbed"]
    assert f"{source_label('perturbed').lower()} negatives" in dead.message
    assert "gradient on negatives" in dead.message


def test_what_if_calls_settings_by_their_labels(page: Callable[..., AppTest], runs: Path, keypad: Path) -> None:
    shutil.copytree(keypad, runs / keypad.name)
    test = page("pages/negatives.py", run=keypad.name)
    assert not test.exception
    named = {
        one.key.rpartition("-")[2]: one.label
        for one in (*test.toggle, *test.select_slider, *test.selectbox)
        if one.key and one.key.startswith("if-")
    }
    named.pop("shuffled", None)  # its key is no path
    assert len(named) > 8
    assert named == {path: label_of(path) for path in named}
