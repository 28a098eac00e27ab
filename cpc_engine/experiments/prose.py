"""What the seed claimed of each experiment, how the results bear on it, and why, in plain words.

No figure is written here: each comes from the results, and so does every "agrees" and "differs".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .results import Document, suffixes
from .tables import difference, interval, verdict_of

SEPARABLE = 0.95  # a probe that is right so often reads classes that are "almost linearly separable"
APART = 0.75  # where a line tells sounds from pictures so often, they do not intermingle
_FEW = 4  # of more arms a sentence each is not read
_WORDS = {".audio": "sounds", ".image": "pictures", "": "items"}
_NO_CLAIM = "Nothing: these data are ours, added because the seed's own cannot tell a good recipe from none."


@dataclass(frozen=True)
class Reading:
    """`claim`: the seed's own statement. `judge`: sentences on whether results bear it out. `why`: the mechanism."""

    claim: str
    judge: Callable[[Document], Iterator[str]]
    why: str


def measured(document: Document) -> Iterator[str]:
    """One sentence per arm and modality: what the probe reads, and what training adds to it; of many arms the range."""
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
        won = [arm for arm in summary if verdict_of(document, arm, "untrained", suffix)["text"] == "trained better"]
        yield (
            f"{_WORDS[suffix].capitalize()}: a linear probe is right in {_extremes(summary, f'chosen{suffix}')} of "
            f"held-out cases; training beats the untrained network in {len(won)} of {len(summary)} arms."
        )
    yield f"The effective rank of contexts goes from {_extremes(summary, 'effective_rank')}."


def _extremes(summary: Document, measure: str) -> str:
    """The lowest and the highest of all arms."""
    low, high = (pick(summary, key=lambda label: summary[label][measure]["mean"]) for pick in (min, max))
    return f"{interval(summary[low], measure)} (`{low}`) to {interval(summary[high], measure)} (`{high}`)"


def _outcome(document: Document, label: str, other: str, suffix: str) -> str:
    text: str = verdict_of(document, label, other, suffix)["text"]
    return {"trained better": "training wins", f"{other} better": f"**the {other} wins**"}.get(text, text)


def _tones(document: Document) -> Iterator[str]:
    seed = document["summary"]["seed"]
    separable = seed["chosen"]["mean"] >= SEPARABLE
    yield (
        f"Almost linearly separable ({SEPARABLE:.0%} or more): {'agrees' if separable else 'differs'}, with "
        f"{interval(seed, 'chosen')} for the seed's recipe."
    )
    alike = seed["untrained"]["mean"] >= SEPARABLE
    if alike:
        yield (
            f"But the claim says nothing of the training: the untrained network gives {interval(seed, 'untrained')}, "
            f"and the spectrogram alone {interval(seed, 'baseline')}."
        )


def _cifar10(document: Document) -> Iterator[str]:
    for label in ("seed", "ours"):
        arm = document["summary"][label]
        outcome = verdict_of(document, label, "untrained")["text"]
        says = "agrees" if outcome == "trained better" else "differs" if outcome == "untrained better" else "is open"
        yield (
            f"Strong image representations, by `{label}`: {says}; trained {interval(arm, 'chosen')}, untrained "
            f"{interval(arm, 'untrained')}, best baseline {interval(arm, 'baseline')}."
        )


def _pairs(document: Document) -> Iterator[str]:
    yield from _places(document, document["summary"])


def _tones_bars(document: Document) -> Iterator[str]:
    apart = document["summary"]["seed"]["modality_accuracy"]["mean"] >= APART
    seed = document["summary"]["seed"]
    yield (
        f"Sounds and pictures intermingle: {'differs' if apart else 'agrees'}; a line tells the two apart in "
        f"{interval(seed, 'modality_accuracy')} of cases under the seed's recipe."
    )
    yield from _places(document, document["summary"])


def _places(document: Document, arms: Document) -> Iterator[str]:
    reference = document["without_pair"]
    for label, arm in arms.items():
        ratio = f", {interval(arm, 'modality_gap_ratio')} of the gap of `{reference}`" if label != reference else ""
        yield (
            f"`{label}`: the picture nearest to a sound has its class in {interval(arm, 'retrieval_class')} of cases; "
            f"the gap between the two senses is {interval(arm, 'modality_gap')}{ratio}."
        )


def _no_claim(document: Document) -> Iterator[str]:
    yield "There is nothing to agree or differ with."


def _ablation(document: Document) -> Iterator[str]:
    harm = {}
    for suffix in (".audio", ".image"):
        harm[suffix], sentence = _against_the_first(document, suffix)
        yield sentence
    harsh = sorted(harm[".image"] - harm[".audio"])
    if harsh:
        yield f"Too harsh for pictures and not for sounds: {', '.join(harsh)}. Here the seed's lesson agrees."
    else:
        yield "No arm is too harsh for pictures and not for sounds. The seed's lesson is not borne out on these data."


def _ablation_of_photographs(document: Document) -> Iterator[str]:
    harsh, sentence = _against_the_first(document, "")
    yield sentence
    if harsh:
        yield f"Too harsh for photographs: {', '.join(sorted(harsh))}. Here the seed's lesson agrees."
    else:
        yield "No arm is too harsh for photographs."
    for label, arm in document["summary"].items():
        if verdict_of(document, label, "untrained")["text"] == "untrained better":
            yield (
                f"`{label}` is worse than no training at all: {interval(arm, 'chosen')}, untrained "
                f"{interval(arm, 'untrained')}, effective rank {interval(arm, 'effective_rank')}."
            )


def _against_the_first(document: Document, suffix: str) -> tuple[set[str], str]:
    """The arms whose probes are worse than the first arm's, and a sentence on those and the better ones."""
    reference, *others = document["summary"]
    texts = {label: verdict_of(document, reference, label, suffix)["text"] for label in others}
    worse = [f"`{label}`" for label, text in texts.items() if text == f"{reference} better"]
    better = [f"`{label}`" for label, text in texts.items() if text == f"{label} better"]
    return set(worse), (
        f"Against `{reference}`, features of {_WORDS[suffix]} get worse with {', '.join(worse) or 'no other arm'} "
        f"and better with {', '.join(better) or 'no other arm'}."
    )


READINGS: dict[str, Reading] = {
    "tones": Reading(
        'The audio representation has "very clean geometry", "two smooth manifolds, almost linearly separable".',
        _tones,
        "A steady tone is one spectrum repeated, so any map that keeps the spectrum keeps the class, a random network "
        "too. For the same reason other moments of the clip are false negatives, which is why our preset leaves the "
        "clip's own moments out. In the seed's mode the permuted copies hold each positive a second time: the loss "
        "cannot fall below log 2, and the accuracy counts a tie as a mistake.",
    ),
    "cifar10": Reading(
        'After tuning, "strong image representations on a realistic benchmark"; separation "good but not perfect".',
        _cifar10,
        "In the seed's ConvNet neighbouring latents see the same pixels, so the next one can be told without knowing "
        "what the picture shows, and the queue of old latents pulls on current ones without being pushed back, which "
        "can collapse them. Our preset encodes patches apart and changes their colours on their own, so that only "
        "what the patches have in common is worth predicting. k-means patches are the bar to know: they describe "
        "small pictures well without a single gradient.",
    ),
    "tones_bars": Reading(
        '"Multi-modal CPC with cross-modal negatives can encourage a shared, semantically meaningful context space": '
        '"audio and image points intermingle along the same semantic manifold".',
        _tones_bars,
        "A negative pushes away. Latents of the other sense that serve only as negatives push the two senses apart, "
        "and once apart they are too easy to teach anything. A t-SNE map can draw two far sets side by side, so a look "
        "at it does not settle the matter; the gap and the retrieval do. What brings pairs together is a term that "
        "attracts them.",
    ),
    "fsdd": Reading(
        _NO_CLAIM,
        _no_claim,
        "In the official split every speaker is in both halves, so a spectrum that knows the voice knows much of the "
        "answer. That makes the baselines strong, and the next experiment necessary.",
    ),
    "fsdd_speakers": Reading(
        _NO_CLAIM,
        _no_claim,
        "With a new voice, what helps is what all voices share: how the spectrum moves. Features that only remember "
        "which bands were loud fail here, and validation is another speaker too, so that nothing is tuned to the test.",
    ),
    "keypad": Reading(
        _NO_CLAIM,
        _pairs,
        "Without the pair term nothing asks a key's tone and its digit to lie in one place, so they do not. The digits "
        "are real handwriting, and no picture is in two splits: a pair that is found was not learned by heart.",
    ),
    "ablation": Reading(
        '"Negative sampling is modality-sensitive: settings that are perfect for audio can be too harsh for images."',
        _ablation,
        "The pair term is off in all arms, so that only the negatives shape the space. A queue without momentum keys "
        "compares today's predictions with yesterday's network. Noisy copies with little noise, and permuted copies "
        "where nothing is masked, are the right answer counted as wrong. Permuting latents adds no new vector to the "
        "batch's own; once copies are masked it only counts them twice.",
    ),
    "ablation_cifar10": Reading(
        '"Negative sampling is modality-sensitive: settings that are perfect for audio can be too harsh for images."',
        _ablation_of_photographs,
        "Tones and bars are so easy that no arm can spoil them; photographs are not. What a plain queue does is the "
        "plainest: its latents come from older networks and carry no gradient, so that all current ones can lower the "
        "loss by moving away from them together, until they lie in one place. Keys of a slower second encoder take "
        "that way out. Permuted copies change next to nothing, masked or not: as a set they are the batch once more. "
        "Noisy copies lie near the right answer, and pushing them away narrows the space.",
    ),
}
