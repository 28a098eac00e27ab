"""Tests of recipes: what they hold, that a changed preset is named, and that fingerprints tell data apart."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import tables
from cpc_engine.config import RunConfig
from cpc_engine.data import Dataset, Split, load_dataset
from cpc_engine.experiments import document, outdated
from cpc_engine.experiments.definitions import EXPERIMENTS, PlannedArm
from cpc_engine.experiments.recipe import differing, incomplete, recipe, source
from cpc_engine.presets import PRESETS
from tests.support.paths import REPOSITORY
from tests.support.tiny import tiny

RESULTS = REPOSITORY / "benchmarks" / "results"


def made(name: str = "tones", **changes: Any) -> dict[str, Any]:
    config = PRESETS[name].config().replace({"data.path": "/home/of/someone", "run.seed": 7, **changes})
    return recipe("python -m benchmarks.x", {"title": (name, config)}, {"title": "ab" * 32})


def change_preset(monkeypatch: pytest.MonkeyPatch, name: str, **changes: Any) -> None:
    settings = {path.replace("__", "."): value for path, value in changes.items()}
    changed = PRESETS[name]
    monkeypatch.setitem(PRESETS, name, replace(changed, changes={**changed.changes, **settings}))


def test_a_recipe_holds_everything_and_no_path() -> None:
    found = json.loads(json.dumps(made(**{"optimizer.steps": 33})))
    assert incomplete(found) == []
    assert "/home" not in json.dumps(found)
    assert found["configs"]["title"]["changes"] == {"optimizer.steps": 33}
    assert RunConfig.from_dict(found["configs"]["title"]["settings"]).optimizer.steps == 33
    assert {"python", "torch", "numpy", "scikit-learn"} <= found["versions"].keys()
    assert found["versions"]["torch"] == torch.__version__
    assert found["device"]["threads"] == torch.get_num_threads()
    assert len(found["commit"]) == 40


def test_the_code_is_that_at_the_start_of_a_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    before = source()
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("git was asked again"))
    assert (source()["commit"], source()["dirty"]) == (before["commit"], before["dirty"])


@pytest.mark.parametrize(
    ("broken", "missing"),
    [
        ({"commit": None}, "commit"),
        ({"dirty": None}, "dirty"),
        ({"versions": {}}, "versions"),
        ({"device": {}}, "device"),
        ({"data": {}}, "data"),
        ({"data": {"title": None}}, "data"),
        ({"configs": {}}, "configs or parameters"),
        ({"trained": [None]}, "trained"),
    ],
)
def test_what_is_missing_is_named(broken: dict[str, Any], missing: str) -> None:
    assert missing in incomplete({**made(), **broken})


def test_a_changed_preset_is_named_with_the_settings_and_both_values(monkeypatch: pytest.MonkeyPatch) -> None:
    found = made(**{"optimizer.batch_size": 5})
    assert differing(found, {}) == []
    old = PRESETS["tones"].config().optimizer.steps
    change_preset(monkeypatch, "tones", optimizer__steps=old + 1, optimizer__batch_size=9)
    assert differing(found, {}) == [f"title, preset tones: optimizer.steps was {old}, is {old + 1}"]
    monkeypatch.delitem(PRESETS, "tones")
    assert "unknown preset 'tones'" in differing(found, {})[0]


def test_settings_that_are_newer_than_the_recipe_have_their_defaults() -> None:
    found = made()
    del found["configs"]["title"]["settings"]["loss"]["similarity"]
    assert RunConfig().loss.similarity == PRESETS["tones"].config().loss.similarity
    assert differing(found, {}) == []
    found["configs"]["title"]["settings"]["optimizer"]["no_such"] = 1
    assert "unknown setting" in differing(found, {})[0]


def test_what_a_run_found_in_its_data_is_no_change_of_the_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    found = made("audio_folder", **{"audio.sample_rate": 22050, "audio.clip_seconds": 2.0})
    today = {"title": PRESETS["audio_folder"].config()}
    assert differing(found, today) == []
    today = {"title": today["title"].replace({"audio.sample_rate": 16000})}
    assert differing(found, today) == ["title, preset audio_folder: audio.sample_rate was 22050, is 16000"]


def check(main: Callable[[], int], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    capsys.readouterr()
    return main(), capsys.readouterr().err


def test_both_checks_fail_where_a_preset_has_changed_or_a_file_has_no_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme, results = tmp_path / "README.md", tmp_path / "results"
    results.mkdir()
    stored = json.loads((RESULTS / "experiment-tones.json").read_text())
    arms = EXPERIMENTS["tones"].configs()
    presets = {arm.label: arm.preset for arm in EXPERIMENTS["tones"].arms}
    configs = {title: (presets[title], config) for title, config in arms.items()}
    stored["recipe"] = recipe(stored["command"], configs, dict.fromkeys(arms, "cd" * 32))
    (results / "experiment-tones.json").write_text(json.dumps(stored))
    (results / "place.json").write_text((RESULTS / "place.json").read_text())
    readme.write_text(f"{tables.BEGIN}\n{tables.END}\n")
    arguments = ["tables", "--readme", str(readme), "--results", str(results)]
    document_arguments = ["--results", str(results), "--out", str(tmp_path / "experiments.md")]

    def of_readme() -> int:
        monkeypatch.setattr(sys, "argv", [*arguments, "--check"])
        return tables.main()

    def of_document() -> int:
        return document.main([*document_arguments, "--check"])

    monkeypatch.setattr(sys, "argv", arguments)
    assert tables.main() == 0
    assert document.main(document_arguments) == 0
    stored_place = json.loads((results / "place.json").read_text())
    stored_place.pop("recipe", None)
    (results / "place.json").write_text(json.dumps(stored_place))
    assert check(of_readme, capsys) == (1, "place.json: without a recipe: measure again\n")
    assert check(of_document, capsys) == (0, "")
    old = PRESETS["tones"].config().loss.temperature
    change_preset(monkeypatch, "tones", loss__temperature=0.5)
    for main in (of_readme, of_document):
        code, err = check(main, capsys)
        assert code == 1
        line = f"experiment-tones.json: ours, preset tones: loss.temperature was {old!r}, is 0.5: measure again"
        assert line in err.splitlines()


def test_a_changed_arm_of_an_experiment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = EXPERIMENTS["fsdd_speakers"]
    (arm,) = chosen.arms
    configs = {title: (arm.preset, config) for title, config in chosen.configs().items()}
    found = recipe("c", configs, dict.fromkeys(configs, "ef" * 32))
    assert differing(found, chosen.configs()) == []
    longer = PlannedArm(arm.label, arm.preset, {**arm.overrides, "optimizer.steps": 999})
    lines = differing(found, replace(chosen, arms=(longer,)).configs())
    assert len(lines) == len(chosen.folds)
    assert lines[0] == "ours (george), preset fsdd: optimizer.steps was 400, is 999"


def test_the_files_of_results_are_those_of_today_with_complete_recipes() -> None:
    assert outdated.outdated(RESULTS) == []
    for path in RESULTS.glob("*.json"):
        assert incomplete(json.loads(path.read_text())["recipe"]) == [], path.name


def small(**config: Any) -> Dataset:
    return load_dataset(tiny(data__dataset="tones_bars", **config))


def test_fingerprints_change_with_any_items_content_label_or_name_and_its_split() -> None:
    data = small()
    first = data.fingerprint()
    assert small().fingerprint() == first
    assert data.to("cpu").fingerprint() == first
    found = {first, small(data__seed=5).fingerprint(), small(audio__sample_rate=4000).fingerprint()}
    changed: list[Split] = []
    for field in ("audio", "image", "labels"):
        values = getattr(data.test, field).clone()
        values.view(-1)[-1] = 1 - values.view(-1)[-1]
        changed.append(replace(data.test, **{field: values}))
    changed.append(replace(data.test, names=("another", *data.test.names[1:])))
    rows = torch.arange(len(data.test)).roll(1)
    changed.append(data.test.take(rows))
    found |= {replace(data, test=split).fingerprint() for split in changed}
    found.add(replace(data, test=data.validation, validation=data.test).fingerprint())
    found.add(replace(data, classes=tuple(reversed(data.classes))).fingerprint())
    assert len(found) == 3 + len(changed) + 2


def test_fingerprints_do_not_depend_on_memory_layout() -> None:
    data = small()
    assert data.test.image is not None
    other = data.test.image.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    assert not other.is_contiguous()
    assert replace(data, test=replace(data.test, image=other)).fingerprint() == data.fingerprint()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_fingerprints_do_not_depend_on_the_device() -> None:
    data = small()
    assert data.to("cuda").fingerprint() == data.fingerprint()
