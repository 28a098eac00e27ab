"""Names on charts."""

from __future__ import annotations

LONGEST = 60  # letters of a name on a chart


def plain_name(name: str) -> str:
    """A name as plotly shows it letter by letter, where it would take <b> for bold; long ones are cut."""
    name = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
    return name.replace("<", "‹").replace(">", "›")
