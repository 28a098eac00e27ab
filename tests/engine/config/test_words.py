"""Settings in words: labels come from the descriptions, and no key is left in what people read."""

from __future__ import annotations

from collections import Counter

import pytest

from cpc_engine import RunConfig
from cpc_engine.config import all_settings, in_words, label_of, sign_of, with_labels
from cpc_engine.evaluation.alarms import ways_out
from cpc_engine.settings import Setting
from cpc_engine.sources import SOURCES
from cpc_engine.training.plan import diagnostics


def test_every_setting_has_a_label_of_its_own() -> None:
    labels = Counter(label_of(setting.path) for setting in all_settings())
    assert max(labels.values()) == 1
    assert all(setting.label in label_of(setting.path) for setting in all_settings())
    assert all(sign_of(setting.path) in label_of(setting.path) for setting in all_settings())


@pytest.mark.parametrize("setting", all_settings(), ids=lambda setting: setting.path)
def test_a_key_becomes_its_label_wherever_it_stands(setting: object) -> None:
    path = setting.path  # type: ignore[attr-defined]
    label = label_of(path)
    text = f"{path}: lower {path}, `{path}` ({path} 0.98) or {path}."
    assert with_labels(text) == f"“{label}”: lower “{label}”, “{label}” (“{label}” 0.98) or “{label}”."


@pytest.mark.parametrize(
    "text",
    [
        "fetch them with --set data.download=true",
        "run.seedling and my.run.name and image.width.txt",
        "C:\\audio.width /data.path/loss.temperature",
        "data.paths",
    ],
)
def test_commands_and_names_of_files_stay(text: str) -> None:
    assert with_labels(text) == text


def test_advice_has_no_key_left_once_it_is_shown() -> None:
    paths = [setting.path for setting in all_settings()]
    queue = RunConfig().replace({"sampler.queue_size": 100_000, "sampler.perturbed": True, "sampler.sigma": 0.001})
    texts = [ways_out(list(SOURCES), queue), *(one.advice for one in diagnostics(queue))]
    assert any(path in text for path in paths for text in texts), "the command line names keys"
    assert not any(path in with_labels(text) for path in paths for text in texts)


CHOSEN = [setting for setting in all_settings() if setting.kind == "choice"]


@pytest.mark.parametrize("setting", CHOSEN, ids=lambda setting: setting.path)
def test_every_choice_is_shown_in_words(setting: Setting) -> None:
    words = [setting.word_of(choice) for choice in setting.choices]
    assert len(set(words)) == len(setting.choices)
    assert not [word for word in words if "_" in word]
    assert setting.choice_words, "said where the setting is described"
    assert in_words({setting.path: setting.choices[0]}) == f"{label_of(setting.path)} {words[0]}"


def test_advice_names_a_choice_as_the_form_does() -> None:
    [one] = [one for one in diagnostics(RunConfig().replace({"sampler.mode": "reference"})) if "masked" in one.text]
    assert "`sampler.mode=exclude_positives`" in one.advice, "what the command line takes"
    assert "“Mask copies of the positive: yes”" in with_labels(one.advice)
    assert "exclude_positives" not in with_labels(one.advice)


def test_more_changes_than_are_named_are_counted() -> None:
    changes = {"sampler.queue_size": 8, "loss.temperature": 0.1, "optimizer.steps": 9}
    assert in_words(changes) == "Queue size 8, Temperature τ 0.1, Steps 9"
    assert in_words(changes, 1) == "Queue size 8 and 2 more"
