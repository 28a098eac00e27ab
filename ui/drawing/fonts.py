"""Fonts of figures for papers: those of this machine with letters of many scripts, and the letters that none has."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

FIRST = "DejaVu Sans"  # which comes with matplotlib
# Looked into for a letter that the ones before do not have, where they are installed. Fonts of colored pictures alone,
# such as Noto Color Emoji, cannot be drawn with.
FALLBACKS = (
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans JP", "Noto Sans SC", "Noto Sans KR", "Source Han Sans"),
    *("Hiragino Sans", "PingFang SC", "Yu Gothic", "Microsoft YaHei", "Malgun Gothic", "Apple SD Gothic Neo"),
    *("WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback", "IPAGothic", "IPAexGothic", "NanumGothic"),
    *("Noto Sans Devanagari", "Lohit Devanagari", "Nirmala UI", "Kohinoor Devanagari", "Devanagari MT", "Mangal"),
    *("Noto Sans Bengali", "Noto Sans Tamil", "Noto Sans Telugu", "Noto Sans Thai", "Noto Sans Arabic"),
    *("Noto Sans Hebrew", "Noto Sans Symbols", "Noto Sans Symbols 2", "Arial Unicode MS", "FreeSans"),
    *("Noto Emoji", "Symbola", "Segoe UI Emoji", "Segoe UI Symbol", "Unifont"),
)
SELECTORS = range(0xFE00, 0xFE10)  # which choose a variant of the letter before; nothing is drawn for them


@cache
def families() -> list[str]:
    """The fonts that figures are drawn with, in the order in which a letter is looked for."""
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    return [FIRST, *(name for name in FALLBACKS if name in installed)]


def lacking(texts: Iterable[str]) -> list[str]:
    """The letters of some texts that none of these fonts has, each once.

    Example:
        >>> lacking(["cat", "Größe σ²"])
        []
    """
    known = _known()
    letters = dict.fromkeys(letter for text in texts for letter in text if letter.isprintable())
    return [letter for letter in letters if ord(letter) not in known and ord(letter) not in SELECTORS]


@cache
def _known() -> frozenset[int]:
    """Unicode numbers of the letters that the fonts have."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset().union(*(get_font(findfont(FontProperties([name]))).get_charmap() for name in families()))
