"""How far a map and a place on it can be trusted, in words."""

from __future__ import annotations

from ui.drawing.text import trust_words


def test_quality_in_words() -> None:
    assert "can be relied on" in trust_words(0.97, 0.5)
    assert "Most neighbors" in trust_words(0.9, 0.5)
    assert "misplaces much" in trust_words(0.6, 0.1)
    assert "10%" in trust_words(0.6, 0.1)
