"""Names on charts."""

from __future__ import annotations

from cpc_engine.sources import SOURCES

LONGEST = 60  # letters of a name on a chart


def plain_name(name: str) -> str:
    """A name as plotly shows it letter by letter, where it would take <b> for bold; long ones are cut."""
    name = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
    return name.replace("<", "‹").replace(">", "›")


def source_label(name: str) -> str:
    """A source's name on a chart, with a capital.

    Example:
        >>> source_label("in_batch")
        'In-batch'
    """
    label = SOURCES[name].label
    return label[0].upper() + label[1:]
