"""Figures of an experiment's report."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cpc_engine.experiments import figures


@pytest.mark.parametrize("arms", [1, 2, 5])
def test_the_names_of_many_classes_fit_below_the_maps(arms: int, monkeypatch: pytest.MonkeyPatch) -> None:
    classes = ("rain", "church bells", "cow", "glass", "insects", "siren", "snoring", "thunderstorm")
    layout, labels = np.random.default_rng(0).normal(size=(80, 2)), np.arange(80) % len(classes)
    stored = SimpleNamespace(
        maps={"tsne": SimpleNamespace(layout=layout)}, modalities=["audio"] * 80, classes=classes, labels=labels
    )
    drawn: list[Any] = []
    monkeypatch.setattr(figures, "load_map", lambda folder, kind: stored)
    monkeypatch.setattr(figures, "_finished", lambda document, label: [{"run": "run", "seed": 0}])
    monkeypatch.setattr(figures, "_png", lambda name, figure: drawn.append(figure))
    figures._maps({"arms": [{"label": f"arm {number}"} for number in range(arms)]}, Path())
    [figure] = drawn
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert (figure.bbox.x0, figure.bbox.y0) <= (box.x0, box.y0)
    assert box.x1 <= figure.bbox.x1
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(classes)
