"""Text of each experiment: what the reference recipe claimed, whether the results agree, and the mechanism.

The text holds no numbers. They come from the results, and so does every "agrees" and "differs".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..comparison.arms import MIN_SEEDS
from .results import Document, suffixes
from .tables import difference, interval, verdict_of

SEPARABLE = 0.95  # probe accuracy from which classes count as "almost linearly separable"
APART = 0.75  # accuracy of the modality classifier from which modalities do not "intermingle"
_FEW = 4  # with more arms, ranges are reported instead of one sentence per arm
_FEW_SEEDS = f"no verdict below {MIN_SEEDS} seeds"
_WORDS = {".audio": "sounds", ".image": "pictures", "": "items"}
_PAIRED_BY_CLASS = (
    "A sound's partner is drawn at random within its class, so the pairing is a label: the pair term learns from "
    "classes."
)
_NO_CLAIM = (
    "Nothing: these data were added by this project, because those of the recipe do not show what training adds."
)
_SENSITIVE = (
    '"Negative sampling is modality-sensitive: settings that are perfect for audio can be too harsh for images."'
)
_WHAT_DIFFERS = (
    "Arms are the preset of the data with another set of negatives, in its prediction and in its item-level term; "
    "steps, batches and everything else are the same. Copies of an anchor's own positive are masked in all of them, so "
    "permuted latents only count the batch twice."
)


@dataclass(frozen=True)
class Reading:
    """Text of one experiment.

    Attributes:
        claim: statement of the reference recipe.
        judge: results → sentences on whether they agree with it.
        why: the mechanism behind the results.
    """

    claim: str
    judge: Callable[[Document], Iterator[str]]
    why: str


def measured(document: Document) -> Iterator[str]:
    """Yield one sentence per arm and modality on the probe and what training adds; with many arms, the ranges."""
    if len(document["summary"]) > _FEW:
        yield from _ranges(document)
        return
    for label, arm in document["summary"].items():
        for suffix in suffixes(arm):
            verdict = verdict_of(document, label, "untrained", suffix)
            gained = f"; training changes that by {difference(verdict)}" if verdict["difference"] is not None else ""
            yield (
                f"`{label}`, {_WORDS[suffix]}: a linear probe is right in {interval(arm, f'chosen{suffix}')} of "
                f"held-out cases, on the same network untrained in {interval(arm, f'untrained{suffix}')}{gained}: "
                f"{_outcome(document, label, 'untrained', suffix)}. The best baseline without a network reaches "
                f"{interval(arm, f'baseline{suffix}')}: {_outcome(document, label, 'best baseline', suffix)}."
            )


def _ranges(document: Document) -> Iterator[str]:
    summary = document["summary"]
    for suffix in suffixes(next(iter(summary.values()))):
        outcomes = [verdict_of(document, arm, "untrained", suffix)["outcome"] for arm in summary]
        judged = sum(outcome != "too_few_seeds" for outcome in outcomes)
        beats = f" in {outcomes.count('a')} of {judged} arms" if judged else f": {_FEW_SEEDS}"
        yield (
            f"{_WORDS[suffix].capitalize()}: a linear probe is right in {_extremes(summary, f'chosen{suffix}')} of "
            f"held-out cases; {'' if judged else 'whether '}training beats the untrained network{beats}."
        )
    yield f"The effective rank of contexts goes from {_extremes(summary, 'effective_rank')}."


def _extremes(summary: Document, metric: str) -> str:
    """Return the lowest and the highest value of all arms, with the names of these arms."""
    low, high = (pick(summary, key=lambda label: summary[label][metric]["mean"]) for pick in (min, max))
    return f"{interval(summary[low], metric)} (`{low}`) to {interval(summary[high], metric)} (`{high}`)"


def _outcome(document: Document, label: str, other: str, suffix: str) -> str:
    verdict = verdict_of(document, label, other, suffix)
    text: str = verdict["text"]
    return {"a": "training wins", "b": f"**the {other} wins**"}.get(verdict["outcome"], text)


def _tones(document: Document) -> Iterator[str]:
    reference = document["summary"]["reference"]
    separable = reference["chosen"]["mean"] >= SEPARABLE
    yield (
        f"Almost linearly separable ({SEPARABLE:.0%} or more): {'agrees' if separable else 'differs'}, with "
        f"{interval(reference, 'chosen')} for the reference recipe."
    )
    if reference["untrained"]["mean"] >= SEPARABLE:
        yield (
            "But this says nothing about training: the untrained network reaches "
            f"{interval(reference, 'untrained')}, and the spectrogram alone {interval(reference, 'baseline')}."
        )


def _cifar10(document: Document) -> Iterator[str]:
    for label in ("reference", "ours"):
        arm = document["summary"][label]
        better = [verdict_of(document, label, other)["outcome"] for other in ("untrained", "best baseline")]
        judgment = "agrees" if better == ["a", "a"] else "differs" if "b" in better else "is open"
        yield (
            f"Strong image representations, by `{label}`: {judgment}; trained {interval(arm, 'chosen')}, untrained "
            f"{interval(arm, 'untrained')}, best baseline {interval(arm, 'baseline')}."
        )


def _pairs(document: Document) -> Iterator[str]:
    yield from _places(document, document["summary"])


def _tones_bars(document: Document) -> Iterator[str]:
    apart = document["summary"]["reference"]["modality_accuracy"]["mean"] >= APART
    reference = document["summary"]["reference"]
    yield (
        f"Sounds and pictures intermingle: {'differs' if apart else 'agrees'}; a linear classifier tells them apart in "
        f"{interval(reference, 'modality_accuracy')} of cases under the reference recipe."
    )
    yield from _places(document, document["summary"])


def _places(document: Document, arms: Document) -> Iterator[str]:
    reference = document["without_pair"]
    for label, arm in arms.items():
        ratio = f", {interval(arm, 'modality_gap_ratio')} of the gap of `{reference}`" if label != reference else ""
        apart = ": the modalities do not mix" if arm["modality_accuracy"]["mean"] >= APART else ""
        yield (
            f"`{label}`: the picture nearest to a sound has its class in {interval(arm, 'retrieval_class')} of cases, "
            f"the sound nearest to a picture in {interval(arm, 'retrieval_class_reverse')}; the modality gap is "
            f"{interval(arm, 'modality_gap')}{ratio}. A linear classifier tells sounds from pictures in "
            f"{interval(arm, 'modality_accuracy')} of cases{apart} (below {APART:.0%} was the goal)."
        )


def _no_claim(document: Document) -> Iterator[str]:
    yield "There is no claim to compare with."


def _negatives(document: Document) -> Iterator[str]:
    harsh: set[str] = set()
    for suffix in suffixes(next(iter(document["summary"].values()))):
        worse, sentence = _against_the_first(document, suffix)
        harsh |= worse
        yield sentence
    if not _is_judged(document):
        yield f"The claim stays open: {_FEW_SEEDS}."
    elif harsh:
        yield f"Too harsh for these data: {', '.join(sorted(harsh))}."
    else:
        yield "By the probe, the primary metric, no arm is too harsh for these data for certain."
    for label, arm in document["summary"].items():
        for suffix in suffixes(arm):
            if verdict_of(document, label, "untrained", suffix)["outcome"] == "b":
                yield (
                    f"`{label}`, {_WORDS[suffix]}: worse than no training at all, {interval(arm, f'chosen{suffix}')} "
                    f"beside {interval(arm, f'untrained{suffix}')}."
                )


def _is_judged(document: Document) -> bool:
    """Return whether any arm has seeds enough for a verdict against the first one."""
    return any(v["outcome"] != "too_few_seeds" for v in document["verdicts"] if " against " in v["question"])


def _against_the_first(document: Document, suffix: str) -> tuple[set[str], str]:
    """Return the arms whose probes are worse than the first arm's, and a sentence on worse and better arms."""
    reference, *others = document["summary"]
    if not _is_judged(document):
        return set(), f"Features of {_WORDS[suffix]} against those of `{reference}`: {_FEW_SEEDS}."
    outcomes = {label: verdict_of(document, reference, label, suffix)["outcome"] for label in others}
    worse = [f"`{label}`" for label, outcome in outcomes.items() if outcome == "a"]
    better = [f"`{label}`" for label, outcome in outcomes.items() if outcome == "b"]
    return set(worse), (
        f"Against `{reference}`, features of {_WORDS[suffix]} get worse for certain with "
        f"{', '.join(worse) or 'no other arm'} and better with {', '.join(better) or 'no other arm'}."
    )


READINGS: dict[str, Reading] = {
    "tones": Reading(
        'The audio representation has "very clean geometry", "two smooth manifolds, almost linearly separable".',
        _tones,
        "A steady tone is one spectrum repeated, so any features that keep the spectrum keep the class, even those of "
        "a random network. For the same reason other positions of the clip are false negatives, and our preset leaves "
        "them out. In the reference mode the permuted copies contain each positive a second time: the loss cannot fall "
        "below log 2, and a tie counts as correct in the accuracy.",
    ),
    "cifar10": Reading(
        'After tuning, "strong image representations on a realistic benchmark"; separation "good but not perfect".',
        _cifar10,
        "In the reference ConvNet neighboring latents see the same pixels, so the next one can be predicted without "
        "understanding the picture. The queue of old latents carries no gradient, so all current latents can move away "
        "from it together, which can collapse them. Our preset asks what two pieces of one picture have in common, "
        "which is what it shows. Its first layer, whitened patches of the data, is as good a start as k-means patches "
        "are a baseline; the layers after it are what training adds.",
    ),
    "photographs_four": Reading(
        _NO_CLAIM,
        _no_claim,
        "The preset for airplanes and automobiles, and the same with more steps. No setting was chosen by looking at "
        "these test items; the number of classes and their likeness (deer and "
        "horses, ships and trucks) make them harder than the two classes above.",
    ),
    "environmental_sounds": Reading(
        _NO_CLAIM,
        _no_claim,
        "Each fold holds out recordings of other sources. Spectra are stretched in pitch and "
        "time while it trains, so that two windows of one recording agree in what sounds rather than how high.",
    ),
    "notes": Reading(
        _NO_CLAIM,
        _no_claim,
        "A family is a color of sound at any pitch. The instruments of the test notes are "
        "also among the training notes.",
    ),
    "tones_bars": Reading(
        '"Multi-modal CPC with cross-modal negatives can encourage a shared, semantically meaningful context space": '
        '"audio and image points intermingle along the same semantic manifold".',
        _tones_bars,
        "Latents of the other modality that serve only as negatives may push the two modalities apart, and once apart "
        "be too easy to have an effect; these arms differ in more than that ([a control](break-it.md)). "
        "A t-SNE map can show two distant sets side by side, so the map "
        "alone does not answer the question; the modality gap, the retrieval, and the modality classifier do. A term "
        f"that attracts pairs brings them nearer, so that neighbors of the same class are found. {_PAIRED_BY_CLASS}",
    ),
    "fsdd": Reading(
        _NO_CLAIM,
        _no_claim,
        "In the official split every speaker is in both the training and the test items, so features that recognize "
        "the voice are enough for much of the task. This makes the baselines strong, and the next experiment "
        "necessary.",
    ),
    "fsdd_speakers": Reading(
        _NO_CLAIM,
        _no_claim,
        "With a new voice, only what all voices share helps: how the spectrum changes over time, and "
        "less which bands were loud. The validation items are of another speaker too, so that nothing is "
        "tuned to the test speaker.",
    ),
    "keypad": Reading(
        _NO_CLAIM,
        _pairs,
        "Without the pair term nothing in the loss brings a key's tone and its digit together, so they stay apart. The "
        "digits are real handwriting, and no picture is in two splits: a retrieved pair was not memorized. "
        f"{_PAIRED_BY_CLASS}",
    ),
    **{
        name: Reading(_SENSITIVE, _negatives, f"{_WHAT_DIFFERS} {why}")
        for name, why in {
            "negatives_photographs": "All six classes of both files of photographs, as many of each.",
            "negatives_sounds": "Recordings of other sources are held out.",
            "negatives_notes": "The instruments of the test notes are also among the training notes.",
            "negatives_speech": "One speaker is held out, so the interval does not cover the choice of the speaker. "
            "The kind of feature is chosen on one other speaker; the folded table of features says what each kind has.",
            "negatives_pairs": "The pair term is off, so that only the negatives join or part the two modalities.",
        }.items()
    },
}
