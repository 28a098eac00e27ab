"""The picture of a run: what it says, and that it harms no page."""

from __future__ import annotations

from ui.drawing.run_picture import run_picture


def test_the_picture_says_what_it_shows_and_harms_no_page() -> None:
    picture = run_picture(
        [1, 2, 9], [4.0, 3.0, 2.5], [[0, 0], [1, 2], [2, 1]], [0, 1, 0], ["<b>&", "a rather long name"]
    )
    assert "Loss from 4.00 to 2.50 over 9 steps." in picture
    assert picture.count("<svg") == picture.count("</svg>") == 2
    assert "&lt;b&gt;&amp;" in picture
    assert "<b>" not in picture
    assert "a rather…" in picture
    assert "nan" not in run_picture([1, 2], [1.0, 1.0], [[0, 0], [0, 0]], [0, 0], ["a"] * 40)
