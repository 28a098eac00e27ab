"""What each choice of negatives adds, over all data sets: the table, and the test of modality × source."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cpc_engine.evaluation.intervals import combined, hierarchical_interval, single_values
from cpc_engine.experiments.definitions import EXPERIMENTS
from cpc_engine.experiments.effects import INTERACTION, effects
from cpc_engine.experiments.items import pack

SEEDS = 5
ITEMS = 400


def results(
    name: str, accuracies: dict[str, float], seed: int, kept: bool = True, seeds: int = SEEDS
) -> dict[str, Any]:
    """Results of an ablation, as `collect` makes them: every arm is right with the probability given, or 0.7."""
    draw = np.random.default_rng(seed)
    experiment = EXPERIMENTS[name]
    suffixes = (".audio", ".image") if name == "negatives_pairs" else ("",)
    runs, summary, verdicts = [], {}, []
    for arm in experiment.arms:
        values: dict[str, dict[str, float]] = {suffix: {} for suffix in suffixes}
        for number in range(seeds):
            correct = {}
            for suffix in suffixes:
                right = draw.random(ITEMS) < accuracies.get(f"{arm.label}{suffix}", accuracies.get(arm.label, 0.7))
                values[suffix][str(number)] = float(right.mean())
                correct[f"chosen{suffix}"] = pack("".join("01"[int(value)] for value in right))
            runs.append({"arm": arm.label, "seed": number, "fold": "", "correct": correct if kept else {}})
        summary[arm.label] = {
            f"{kind}{suffix}": {"mean": float(np.mean(list(numbers.values()))), "half": 0.01, "values": numbers}
            for suffix, numbers in values.items()
            for kind in ("chosen", "untrained")
        }
        for suffix in suffixes:
            found = {"a": experiment.arms[0].label, "b": arm.label, "metric": f"chosen{suffix}", "outcome": "a"}
            verdicts.append({**found, "difference": 0.012, "low": 0.003, "high": 0.021})
    return {"folds": [""], "runs": runs, "summary": summary, "verdicts": verdicts}


def test_signs_and_words_are_those_of_what_is_added() -> None:
    table = effects({"negatives_notes": results("negatives_notes", {}, 0)})
    row = table["negatives"].index("queue")
    assert table["notes"][row] == "**hurts** -1.2 (-2.1 to -0.3)"  # the batch alone was better by 1.2
    assert table["negatives"][:2] == ["in-batch", "untrained network"]
    assert list(table) == ["negatives", "notes"]  # an interaction needs both modalities
    assert effects({}) == {} == effects({"tones": {}})


@pytest.mark.parametrize("kept", [True, False])
def test_an_effect_on_one_sense_alone_is_found_and_no_other(kept: bool) -> None:
    only_pictures = {
        "negatives_photographs": results("negatives_photographs", {"debiased": 0.9}, 1, kept),
        "negatives_sounds": results("negatives_sounds", {}, 2, kept),
        "negatives_speech": results("negatives_speech", {}, 3, kept),
        "negatives_pairs": results("negatives_pairs", {"cross-modal.audio": 0.9}, 4, kept),
    }
    table = effects(only_pictures)
    found = dict(zip(table["negatives"], table[INTERACTION], strict=True))
    assert [name for name, cell in found.items() if "differ" in cell] == ["debiased", "cross-modal"]
    mean = float(found["debiased"].split()[1])
    assert mean == pytest.approx(20, abs=5)
    assert found["cross-modal"].startswith("**differ** -2")  # pictures less sounds
    assert table["photographs"][-1] == "–"  # an arm of pairs alone


def test_the_same_effect_on_both_modalities_is_no_interaction() -> None:
    wrong = 0
    for seed in range(20):
        documents = {
            name: results(name, {"all": 0.8}, 10 * seed + k)
            for k, name in enumerate(("negatives_photographs", "negatives_sounds"))
        }
        wrong += any("differ" in cell for cell in effects(documents)[INTERACTION])
    assert wrong <= 2


def test_two_seeds_give_no_interaction() -> None:
    names = ("negatives_photographs", "negatives_sounds", "negatives_pairs")
    documents = {name: results(name, {"queue": 0.99}, k, seeds=2) for k, name in enumerate(names)}
    assert INTERACTION not in effects(documents)


@given(st.integers(0, 10_000), st.integers(2, 8), st.integers(2, 8))
def test_a_difference_of_means_is_that_of_scipy(seed: int, first: int, second: int) -> None:
    draw = np.random.default_rng(seed)
    a, b = draw.normal(0.5, 0.1, first), draw.normal(0.4, 0.3, second)
    estimates = [hierarchical_interval(single_values(dict(enumerate(map(float, values))))) for values in (a, b)]
    found = combined(estimates, [1, -1])
    expected = stats.ttest_ind(a, b, equal_var=False)
    assert found.p == pytest.approx(expected.pvalue, abs=1e-9)
    assert found.freedom == pytest.approx(expected.df)
    assert found.mean == pytest.approx(a.mean() - b.mean())


def test_one_seed_has_no_error_to_combine() -> None:
    one = hierarchical_interval(single_values({0: 0.5}))
    with pytest.raises(ValueError, match="standard error"):
        combined([one, one], [1, -1])
