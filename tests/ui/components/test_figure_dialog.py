"""The choices for a figure without a browser: what is said of letters that no font has."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

pytest_plugins = ["tests.support.pages"]


def choices(names: list[str]) -> None:
    from ui.components.figure_dialog import figure_choices
    from ui.drawing.charts import Series, line_figure

    figure_choices(line_figure([Series(name, [0, 1], [1, 2]) for name in names], "step", "loss", "Loss"), "chart")


@pytest.mark.parametrize(
    ("letters", "told"),
    [("", ""), ("\U0001f436", "lack \U0001f436:"), ("".join(map(chr, range(0x4E00, 0x4E14))), "and 8 more:")],
)
def test_letters_that_the_fonts_lack_are_told_in_one_line(
    letters: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.drawing.fonts._known", lambda: frozenset(range(0x300)))
    test = AppTest.from_function(choices, kwargs={"names": [f"dog {letters}", "_cat_"]}, default_timeout=90).run()
    assert not test.exception
    assert not test.error
    lines = [one.value for one in test.caption if "fonts of this machine lack" in one.value]
    assert len(lines) == bool(letters)
    assert all(told in line for line in lines)
