"""Small drawings of curves and maps."""

from __future__ import annotations

from ui.drawing.palette import SYMBOLS
from ui.drawing.run_picture import run_picture
from ui.drawing.thumbnails import SHAPES, curve_svg, map_svg


def test_small_drawings_are_whole_even_of_nothing() -> None:
    for svg in (curve_svg([]), curve_svg([None, 1.0]), curve_svg([3.0, 2.0, None, 2.5]), map_svg([], [])):
        assert svg.startswith("<svg")
        assert svg.rstrip().endswith("</svg>")
        assert "nan" not in svg
    assert map_svg([[0, 0], [1, 1]] * 500, [0, 1] * 500).count("<path") <= 220


def test_small_maps_draw_classes_in_shapes_too() -> None:
    assert set(SHAPES) == set(SYMBOLS)
    assert len(set(SHAPES.values())) == len(SYMBOLS)
    for drawing in (
        map_svg([[0, 0], [1, 1]], [0, 1]),
        run_picture([1, 2], [2.0, 1.0], [[0, 0], [1, 2]], [0, 1], ["a", "b"]),
    ):
        for name in SYMBOLS[:2]:
            assert SHAPES[name] in drawing
