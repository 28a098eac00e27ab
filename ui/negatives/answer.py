"""What a line-up says, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cpc_engine.evaluation.alarms import FALSE_SHARE, ways_out

from ..drawing.text import source_label
from ..shell.errors import literal, sentence
from .opened import class_of, name_of

if TYPE_CHECKING:
    from cpc_engine.anatomy.frozen import Frozen
    from cpc_engine.anatomy.lineup import Lineup
    from cpc_engine.config import RunConfig

LITTLE = 0.05  # share of the gradient up to which a source is not worth a warning


def answer(frozen: Frozen, lineup: Lineup) -> str:
    """Which source pulls hardest on the anchor, and whether its strongest negative is a false one."""
    name = lineup.strongest
    if name is None:
        return "**No source pulls on this anchor:** all of its candidates are masked, or none has a gradient."
    strip = lineup.strips[name]
    best = strip.hardest(1)[0]
    row, own = int(strip.items[best]), class_of(frozen, lineup.item)
    false = bool(strip.same_class[best])
    verdict = (
        f"**a false negative**: it is {_of_class(own)} too"
        if false
        else f"**not a false negative**: it is {_of_class(class_of(frozen, row))}, the anchor {_of_class(own)}"
    )
    age = int(strip.ages[best])
    old = f", {age} step{'s' if age > 1 else ''} old" if age else ""
    what = f"noise on {literal(name_of(frozen, row))}" if name == "perturbed" else literal(name_of(frozen, row))
    if strip.second is not None:
        what = f"a mixture of {what} and {literal(name_of(frozen, int(strip.second[best])))}"
    share = float(strip.share[best])
    return (
        f"**{source_label(name)} negatives pull hardest on this anchor:** {strip.total:.0%} of the gradient on its "
        f"negatives. The strongest single latent, of {what} (similarity {float(strip.similarities[best]):.2f}, "
        f"{share:.1%} of the gradient{old}), is {verdict}. In all, **{lineup.false_share:.0%}** of the gradient on "
        f"this anchor's negatives comes from false negatives (own class)."
    )


def warning(lineup: Lineup, config: RunConfig) -> str:
    """Which sources mostly push the anchor from its own class, and what this configuration can do about it.

    Empty where none does. As for a whole run, what counts is the part beyond the number of false negatives: where all
    items have one class, as without labels, every negative would be one.
    """
    found = [
        name
        for name, strip in lineup.strips.items()
        if strip.total > LITTLE
        and strip.false_share - strip.false_negatives > FALSE_SHARE * (1 - strip.false_negatives)
    ]
    if not found:
        return ""
    sources = ", ".join(f"{source_label(name)} ({lineup.strips[name].false_share:.0%})" for name in found)
    return (
        f"**More than half of what {sources} negatives do here pushes the anchor from its own class.** "
        f"{sentence(ways_out(found, config))}"
    )


def _of_class(name: str) -> str:
    return f"of class “{literal(name)}”"
