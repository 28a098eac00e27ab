"""Hover texts of the batch preview: entries of the glossary, else summaries of the source and the data set."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from cpc_engine.datasets import DATASETS
from cpc_engine.sources import SOURCES
from ui.shell import glossary


def preview() -> None:
    from cpc_engine.presets import PRESETS
    from ui.train.own_data import Look
    from ui.train.preview import show_plan

    show_plan(Look(PRESETS["reference_tones"].config()))


@pytest.mark.parametrize("there", [True, False])
def test_a_source_without_an_entry_in_the_glossary_shows_its_summary(
    there: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if not there:
        monkeypatch.setattr(glossary, "GLOSSARY", tmp_path / "none.md")
    glossary._entries.cache_clear()
    try:
        test = AppTest.from_function(preview, default_timeout=120).run()
        assert not test.exception
        hovers = {markdown.value: markdown.help for markdown in test.markdown}
        of_data, of_queue = (
            next(help for text, help in hovers.items() if words in text) for words in ("latents", "queue")
        )
        assert of_data == DATASETS["tones"].summary
        assert of_queue == (glossary.define("queue") if there else SOURCES["queue"].summary)
    finally:
        glossary._entries.cache_clear()
