"""What each choice of negatives adds to those of the batch, over all data sets that were measured: one table.

The verdicts are those of the single experiments. What is tested here is whether a choice of negatives does something
else to pictures than to sounds: the interaction of modality and source.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..comparison.arms import MIN_SEEDS
from ..comparison.judge import LEVEL, weighted_holm
from ..evaluation.intervals import Cells, Estimate, combined, hierarchical_interval, single_values
from ..terms import Modality
from .definitions import EXPERIMENTS
from .items import cells_of
from .results import Document, values_of
from .tables import Table, interval, verdict_of


@dataclass(frozen=True)
class Column:
    """One column of the table: the features of one modality of one experiment.

    Attributes:
        experiment: name of the experiment. suffix: of its metrics, see `results.suffixes`. head: of the column.
        modality: what the features are of. paired: whether the experiment has a column for each modality.
    """

    experiment: str
    suffix: str
    head: str
    modality: Modality
    paired: bool = False


COLUMNS = (
    Column("negatives_photographs", "", "photographs", "image"),
    Column("negatives_sounds", "", "environmental sounds", "audio"),
    Column("negatives_notes", "", "notes", "audio"),
    Column("negatives_speech", "", "digits, new speaker", "audio"),
    Column("negatives_pairs", ".audio", "key tones, paired", "audio", paired=True),
    Column("negatives_pairs", ".image", "written digits, paired", "image", paired=True),
)
INTERACTION = "pictures − sounds"


def effects(documents: Mapping[str, Document]) -> Table:
    """Return one row per choice of negatives, one column per data set and modality; empty where nothing was measured.

    The first two rows are the accuracies of negatives of the batch alone and of the untrained network. The others are
    differences from the first in percentage points with 95 % intervals, marked "helps" or "hurts" where the verdict of
    the experiment says so. The last column has the difference of the effects on pictures and on sounds.

    Args:
        documents: results (see `results.collect`) by the name of the experiment; others than those of `COLUMNS` may be
            among them.
    """
    columns = [column for column in COLUMNS if column.experiment in documents]
    if not columns:
        return {}
    first, *labels = dict.fromkeys(
        arm.label
        for column in columns
        for arm in EXPERIMENTS[column.experiment].arms
        if arm.label in documents[column.experiment]["summary"]
    )
    table = {"negatives": [first, "untrained network", *labels]}
    for column in columns:
        document = documents[column.experiment]
        arm = document["summary"][first]
        start = [interval(arm, f"{kind}{column.suffix}") for kind in ("chosen", "untrained")]
        table[column.head] = [*start, *(_cell(document, first, label, column.suffix) for label in labels)]
    found = _interactions(documents, first, labels, columns)
    if found:
        table[INTERACTION] = ["", "", *(found.get(label, "–") for label in labels)]
    return table


def _cell(document: Document, first: str, label: str, suffix: str) -> str:
    """Return what an arm adds to the first one; the verdicts have the first one minus the arm."""
    if label not in document["summary"]:
        return "–"
    verdict = verdict_of(document, first, label, suffix)
    if verdict["difference"] is None:
        return "–"
    mean, low, high = (-100 * verdict[name] for name in ("difference", "high", "low"))
    mark = {"a": "**hurts** ", "b": "**helps** "}.get(verdict["outcome"], "")
    return f"{mark}{_range(mean, low, high)}"


def _range(mean: float, low: float, high: float) -> str:
    return f"{mean:+.1f} ({low:.1f} to {high:.1f})"


def _interactions(
    documents: Mapping[str, Document], first: str, labels: Sequence[str], columns: Sequence[Column]
) -> dict[str, str]:
    """Return {label: effect on pictures minus effect on sounds}, corrected together by Holm's method."""
    found: dict[str, Estimate] = {}
    for label in labels:
        own = [column for column in columns if label in documents[column.experiment]["summary"]]
        how = _within if any(column.paired for column in own) else _between
        if estimate := how(documents, first, label, own):
            found[label] = estimate
    adjusted = weighted_holm([p for e in found.values() if (p := e.p) is not None], [1.0] * len(found))
    cells = {}
    for (label, estimate), p in zip(found.items(), adjusted, strict=True):
        mean, half = 100 * estimate.mean, 100 * (estimate.half or 0.0)
        cells[label] = ("**differ** " if p < LEVEL else "") + _range(mean, mean - half, mean + half)
    return cells


def _within(documents: Mapping[str, Document], first: str, label: str, columns: Sequence[Column]) -> Estimate | None:
    """Both modalities of the same runs: the two effects are subtracted seed by seed; it does not cover the items."""
    of_seed = {side.modality: _by_seed(documents[side.experiment], first, label, side.suffix) for side in columns}
    seeds = sorted(of_seed["image"].keys() & of_seed["audio"].keys())
    differences = {seed: of_seed["image"][seed] - of_seed["audio"][seed] for seed in seeds}
    return hierarchical_interval(single_values(differences)) if len(seeds) >= MIN_SEEDS else None


def _between(documents: Mapping[str, Document], first: str, label: str, columns: Sequence[Column]) -> Estimate | None:
    """Modalities of different data: the mean effect on each, independent of one another."""
    of_modality: dict[Modality, list[Estimate]] = {"image": [], "audio": []}
    for column in columns:
        cells = _effect(documents[column.experiment], first, label, column.suffix)
        if len(cells) >= MIN_SEEDS:
            of_modality[column.modality].append(hierarchical_interval(cells))
    if not all(of_modality.values()):
        return None
    pictures, sounds = of_modality["image"], of_modality["audio"]
    weights = [1 / len(pictures)] * len(pictures) + [-1 / len(sounds)] * len(sounds)
    return combined([*pictures, *sounds], weights)


def _effect(document: Document, first: str, label: str, suffix: str) -> Cells:
    """Return what an arm adds to the first one, item by item where the items are kept, else seed by seed."""
    name = f"chosen{suffix}"
    of_arm = {
        arm: [{**run, "metrics": run.get("correct", {})} for run in document["runs"] if run["arm"] == arm]
        for arm in (first, label)
    }
    ours, batch = cells_of([(of_arm[label], name), (of_arm[first], name)], document["folds"])
    seeds = sorted(ours.keys() & batch.keys())
    if not seeds:
        return single_values(_by_seed(document, first, label, suffix))
    return {seed: [x - y for x, y in zip(ours[seed], batch[seed], strict=True)] for seed in seeds}


def _by_seed(document: Document, first: str, label: str, suffix: str) -> dict[int, float]:
    ours, batch = (values_of(document["summary"][arm], f"chosen{suffix}") for arm in (label, first))
    return {seed: ours[seed] - batch[seed] for seed in sorted(ours.keys() & batch.keys())}
