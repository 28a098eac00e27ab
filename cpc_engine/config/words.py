"""Settings as people read them: every name of a setting in words comes from its description."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any

from ..settings import Setting
from .run_config import all_settings


@cache
def label_of(path: str) -> str:
    """Return the label of "section.setting", with its section where settings of others have the same label.

    A text that is no setting's path is returned as it is.

    Example:
        >>> label_of("sampler.queue_size"), label_of("image.width"), label_of("sampler.sigma")
        ('Queue size', 'Width (image)', 'Noise σ')
    """
    labels = _labels()
    if path not in labels:
        return path
    several = Counter(labels.values())[labels[path]] > 1
    return f"{labels[path]} ({path.partition('.')[0]})" if several else labels[path]


def sign_of(path: str) -> str:
    """Return the sign at the end of a setting's label where it has one, as on a chart with little room; else the label.

    Example:
        >>> sign_of("loss.temperature"), sign_of("sampler.queue_size")
        ('τ', 'Queue size')
    """
    last = label_of(path).rpartition(" ")[2]
    return last if len(last) <= 2 and not last.isascii() else label_of(path)


def value_text(value: Any) -> str:
    """Return a setting's value in words.

    Example:
        >>> [value_text(value) for value in (True, None, 0.001, (1, 2), "input")]
        ['on', 'not set', '0.001', '1, 2', 'input']
    """
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        return ", ".join(map(value_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def in_words(changes: Mapping[str, Any], most: int | None = None) -> str:
    """Return labels with values; of more than `most` the others are counted.

    Example:
        >>> in_words({"sampler.queue_size": 512, "sampler.perturbed": True, "optimizer.steps": 9}, most=2)
        'Queue size 512, Noise-perturbed on and 1 more'
        >>> in_words({"sampler.shuffled": "time"})
        'Shuffled in time'
    """
    parts = [f"{label_of(path)} {_word(path, value_text(value))}" for path, value in changes.items()]
    more = len(parts) - most if most is not None else 0
    return ", ".join(parts[:most]) + (f" and {more} more" if more > 0 else "")


def with_labels(text: str) -> str:
    """Return a text with the label of each setting in place of its path, and of `path=choice` the words of the choice.

    In a command ("--set …") paths stay.

    Example:
        >>> with_labels("Raise `sampler.sigma`."), with_labels("use --set sampler.sigma=1")
        ('Raise “Noise σ”.', 'use --set sampler.sigma=1')
        >>> with_labels("Choose `sampler.shuffled=time`.")
        'Choose “Shuffled: in time”.'
    """
    return _pattern().sub(lambda found: f"“{_named(found[0].strip('`'))}”", text)


def _named(key: str) -> str:
    """ "section.setting" or "section.setting=choice" in words."""
    path, _, choice = key.partition("=")
    return f"{label_of(path)}: {_word(path, choice)}" if choice else label_of(path)


def _word(path: str, text: str) -> str:
    """A setting's value as people read it."""
    return _settings()[path].word_of(text) if path in _settings() else text


@cache
def _settings() -> dict[str, Setting]:
    return {setting.path: setting for setting in all_settings()}


@cache
def _labels() -> dict[str, str]:
    return {path: setting.label for path, setting in _settings().items()}


@cache
def _pattern() -> re.Pattern[str]:
    """Paths as words of their own: parts of files' names and of addresses are none."""
    paths = "|".join(map(re.escape, sorted(_labels(), key=len, reverse=True)))
    return re.compile(rf"`(?:{paths})(?:=[\w-]+)?`|(?<!--set )(?<![\w./\\`-])(?:{paths})(?![\w/\\-]|\.\w)")
