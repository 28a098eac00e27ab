"""Words on and beside charts: names, and how far a map and a place on it can be trusted."""

from __future__ import annotations

from cpc_engine.sources import SOURCES

LONGEST = 60  # letters of a name on a chart
SHARE = "Share of the gradient on negatives"
FEW = 5  # neighbors; a map of so few items cannot misplace much
RELIABLE = "Neighbors on this map can be relied on"
SAYS_LITTLE = "Out of distribution, so this says little."  # before the class of an item unlike the training data


def plain_name(name: str) -> str:
    """A name as plotly shows it letter by letter, where it would take <b> for bold; long ones are cut.

    They are cut before their end, since names of files in one folder often differ there alone.
    """
    if len(name) > LONGEST:
        name = f"{name[: LONGEST // 3]}…{name[len(name) - LONGEST + LONGEST // 3 + 1 :]}"
    return name.replace("<", "‹").replace(">", "›")


def source_label(name: str) -> str:
    """A source's name on a chart, with a capital.

    Example:
        >>> source_label("in_batch")
        'In-batch'
    """
    label = SOURCES[name].label
    return label[0].upper() + label[1:]


def collapsed_words(trustworthiness: float) -> str:
    """What to say of a map of collapsed latents, whose trustworthiness alone would reassure."""
    return (
        "The latents have collapsed: all are nearly one, so neighbors on this map mean little "
        f"(trustworthiness {trustworthiness:.2f} of 1)."
    )


def trust_words(trustworthiness: float, overlap: float, neighbors: int) -> str:
    """A map's trustworthiness and neighborhood overlap in plain words.

    Args:
        neighbors: of each item, by which both were measured.
    """
    verdict = (
        ("Neighbors on this map look right, as far as so few items tell" if neighbors <= FEW else RELIABLE)
        if trustworthiness >= 0.95
        else "Most neighbors on this map are real"
        if trustworthiness >= 0.85
        else "This map misplaces much: rely on the list of neighbors, not on the picture"
    )
    return (
        f"{verdict}: trustworthiness {trustworthiness:.2f} of 1, and {overlap:.0%} of the {neighbors} nearest dots "
        f"are among the {neighbors} nearest in the original space."
    )
