"""Pieces that the tables of README share."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]


def where(d: Document) -> str:
    facts = d["machine"]
    place = facts.get("gpu", f"{facts['cpu']}, {facts['threads']} threads")
    return f"{place}, PyTorch {facts['torch']}{' (quick)' if d['quick'] else ''}"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def milliseconds(ms: float) -> str:
    return f"{ms:.0f} ms" if ms >= 100 else f"{ms:.3g} ms"


def megabytes(mb: float | None) -> str:
    return "" if mb is None else f"{mb:.0f} MB"


def percent(found: Document) -> str:
    """A mean with the half width of its interval, if one is known."""
    return f"{found['mean']:.1%}" + ("" if found["half"] is None else f" ± {100 * found['half']:.1f}")


def met(bar: bool) -> str:
    """What stands beside a bar."""
    return "met" if bar else "**missed**"
