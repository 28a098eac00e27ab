"""How far a map and a place on it can be trusted, in words."""

from __future__ import annotations

import numpy as np
import pytest

from cpc_engine.maps.projection import map_quality, quality_neighbors
from ui.drawing.text import trust_words


def test_quality_in_words() -> None:
    assert "can be relied on" in trust_words(0.97, 0.5, 15)
    assert "Most neighbors" in trust_words(0.9, 0.5, 15)
    assert "misplaces much" in trust_words(0.6, 0.1, 15)
    assert "10%" in trust_words(0.6, 0.1, 15)


@pytest.mark.parametrize("items", [4, 8, 12, 13, 30, 31, 500])
def test_words_name_as_many_neighbors_as_were_counted(items: int) -> None:
    draw = np.random.default_rng(0).normal(size=(items, 2))
    counted = quality_neighbors(items)
    assert map_quality(draw, draw[::-1], 0) == map_quality(draw, draw[::-1], 0, counted)
    words = trust_words(1.0, 0.5, counted)
    assert words.count(f"the {counted} nearest") == 2
    assert ("can be relied on" in words) == (counted > 5)
