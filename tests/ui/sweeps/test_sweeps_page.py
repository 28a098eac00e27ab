"""The Sweeps page without a browser: the form, a sweep that has ended, and one that goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from cpc_engine.config import label_of, unread
from cpc_engine.evaluation.metric_info import describe_metric
from cpc_engine.evaluation.metric_values import given_metrics
from cpc_engine.presets import PRESETS
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.listing import list_runs
from cpc_engine.sweeps.background import begin, is_going, stop
from cpc_engine.sweeps.results import Best, Row, rows
from cpc_engine.sweeps.space import Space
from cpc_engine.sweeps.study import Spec, open_study, storage_url
from cpc_engine.sweeps.worker import Worker
from tests.support.pages import open_page
from tests.support.tiny import tiny, wait_until
from ui.sweeps.figures import heat_figure, importance_figure, parallel_figure, two_figure, two_height

pytest.importorskip("optuna")
pytest_plugins = ["tests.support.pages"]
GRID = Space.of_grid(["loss.temperature=0.1,0.3", "sampler.shuffled=off,batch"])


def test_an_ended_sweep_is_told_and_drawn(runs: Path) -> None:
    url = storage_url(runs, "mine", None)
    open_study(url, "mine", Spec(tiny(optimizer__steps=1), GRID, 4, 2, "spread"))
    Worker(url, "mine", runs).work()
    test = open_page("pages/sweeps.py")
    assert not test.exception
    [told] = [one.value for one in test.info if "Best mean" in one.value]
    assert "best of 4 equally good settings" in told
    assert "No verdict below 5 seeds" in told
    assert not test.success
    table = test.dataframe[0].value
    assert table["Status"].tolist() == ["finished"] * 8
    assert set(table["Run"]) == {f"/train?run={info.id}" for info in list_runs(runs)}
    assert {"Runs", "From settings to results", "Two settings"} <= {one.value for one in test.subheader}
    test.selectbox(key="across").set_value("sampler.shuffled").run()
    assert not test.exception
    assert test.selectbox(key="up").value == "loss.temperature"


def test_a_setting_of_five_seeds_is_named_the_best(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = storage_url(runs, "mine", None)
    open_study(url, "mine", Spec(tiny(), GRID, 4, 5, "spread"))
    best = Best(0, {"loss.temperature": 0.1}, ["one"], 0.7, 0.1, seeds=5, of=4, tied=0, optimism=0.05, test=None)
    monkeypatch.setattr("cpc_engine.sweeps.results.best_setting", lambda *_: best)
    test = open_page("pages/sweeps.py")
    assert not test.exception
    assert "Temperature τ 0.1" in test.success[0].value
    assert "No verdict" not in test.success[0].value


def test_settings_that_do_not_fit_together_are_told(runs: Path) -> None:
    space = Space.of_document({"image.size": [64], "image.grid": [3]})
    url = storage_url(runs, "mine", None)
    open_study(url, "mine", Spec(tiny(data__dataset="bars", image__size=48), space, 2, 3, "spread"))
    Worker(url, "mine", runs).work()
    test = open_page("pages/sweeps.py")
    assert not test.exception
    assert [one.value for one in test.markdown if "[2 failed]" in one.value]
    table = test.dataframe[0].value
    assert table["Status"].tolist() == ["failed"] * 2
    assert all("size 64 must be a multiple of grid 3" in why for why in table["Why"])
    assert test.button(key="go-on").label == "Try what failed again"


def test_a_sweep_of_a_command_line_that_goes_on_is_not_called_stopped(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = storage_url(runs, "mine", None)
    open_study(url, "mine", Spec(tiny(optimizer__steps=1), GRID, 4, 2, "spread"))
    Worker(url, "mine", runs).work()
    run = list_runs(runs)[0].id
    row = Row(0, run, {"loss.temperature": 0.1, "sampler.shuffled": "off"}, 0, "running", None, "")
    monkeypatch.setattr("cpc_engine.sweeps.results.rows", lambda *_: [row])
    monkeypatch.setattr("ui.sweeps.page.base_path", lambda: "/lab")  # behind a proxy
    for status, state in (("running", "going on"), ("interrupted", "stopped")):
        RunFolder(runs / run).update(status=status)  # of this process, which is there
        test = open_page("pages/sweeps.py")
        assert not test.exception
        assert [one.value for one in test.markdown if f"[{state}]" in one.value]
        assert list(test.dataframe[0].value["Run"]) == [f"/lab/train?run={run}"]
        assert ("go-on" in [one.key for one in test.button]) is (state == "stopped")


def test_the_form_starts_a_sweep(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[tuple[str, Spec | None, int]] = []

    def note(root: Path, name: str, spec: Spec | None, workers: int) -> None:
        open_study(storage_url(root, name, None), name, spec)
        begun.append((name, spec, workers))

    monkeypatch.setattr("cpc_engine.sweeps.background.begin", note)
    test = open_page("pages/sweeps.py")
    assert not test.exception
    test.selectbox(key="sweep-preset").set_value("tones").run()
    test.multiselect(key="sweep-vary-tones").set_value(["loss.temperature"]).run()
    test.text_input(key="sweep-values-loss.temperature").set_value("0.1, 0.2, hot").run()
    assert "“Temperature τ”" in test.error[0].value
    test.text_input(key="sweep-values-loss.temperature").set_value("0.1, 0.2, 0.4").run()
    assert "3 settings × 2 seeds = 6 runs" in " ".join(one.value for one in test.caption)
    test.button(key="sweep-start").click().run()
    assert not test.exception
    [(name, spec, workers)] = begun
    assert spec is not None
    assert (name, spec.trials, spec.seeds, workers) == ("tones-sweep", 3, 2, 1)
    assert [row.status for row in rows(*open_study(storage_url(runs, name, None), name), runs)] == ["waiting"] * 6
    assert test.button(key="go-on").label == "Go on"


def offered(preset: str) -> set[str]:
    """The settings that the form offers for a preset."""
    test = open_page("pages/sweeps.py")
    test.selectbox(key="sweep-preset").set_value(preset).run()
    assert not test.exception
    return set(test.multiselect(key=f"sweep-vary-{preset}").options)


@pytest.mark.parametrize("preset", [name for name, one in PRESETS.items() if not one.needs_data])
def test_the_form_offers_what_the_preset_reads(runs: Path, preset: str) -> None:
    idle = {label_of(path) for path in unread(PRESETS[preset].config())}
    assert offered(preset) & idle == set()
    assert {"Temperature τ", "Noise-perturbed", "Queue size"} <= offered(preset)


@pytest.mark.parametrize("preset", [name for name, one in PRESETS.items() if not one.needs_data])
def test_the_form_offers_metrics_that_the_runs_will_have(runs: Path, preset: str) -> None:
    test = open_page("pages/sweeps.py")
    test.selectbox(key="sweep-preset").set_value("tones_bars").run()
    test.selectbox(key="sweep-metric").set_value("retrieval_class").run()
    test.selectbox(key="sweep-preset").set_value(preset).run()
    assert not test.exception
    chosen = test.selectbox(key="sweep-metric")
    config = PRESETS[preset].config()
    given = {describe_metric(name).title for name in ("probe", *given_metrics(config))}
    assert set(chosen.options) <= given
    assert (describe_metric("retrieval_class").title in chosen.options) is ("retrieval_class" in given_metrics(config))
    assert {describe_metric(name).title for name in ("probe", "spread")} <= set(chosen.options)
    Spec(config, Space.of_grid(["loss.temperature=0.1"]), 1, 1, chosen.value).check()


def test_the_form_tells_what_other_values_make_idle(runs: Path) -> None:
    """The reference recipe reads σ, and no setting of a grid that switches the noise off does."""
    test = open_page("pages/sweeps.py")
    test.selectbox(key="sweep-preset").set_value("reference_tones_bars").run()
    vary = ["sampler.perturbed", "sampler.sigma"]
    test.multiselect(key="sweep-vary-reference_tones_bars").set_value(vary).run()
    test.text_input(key="sweep-values-sampler.sigma").set_value("0.1, 0.2").run()
    test.text_input(key="sweep-values-sampler.perturbed").set_value("off").run()
    assert "“Noise σ” would change nothing in this sweep\\: “Noise-perturbed” is off" in test.error[0].value
    test.text_input(key="sweep-values-sampler.perturbed").set_value("off, on").run()
    assert not test.error
    captions = " ".join(one.value for one in test.caption)
    assert "3 settings × 2 seeds = 6 runs" in captions
    assert "1 of 4 combinations is the same as another" in captions


@pytest.mark.slow
def test_a_sweep_of_the_app_goes_on_in_a_process_of_its_own(tmp_path: Path) -> None:
    spec = Spec(tiny(optimizer__steps=60), Space.of_grid(["loss.temperature=0.1,0.3"]), 2, 1, "spread")
    begin(tmp_path, "s", spec, 1)
    assert is_going(tmp_path, "s")
    wait_until(lambda: any(info.status == "running" for info in list_runs(tmp_path)), "a run", 120)
    stop(tmp_path, "s")
    wait_until(lambda: not is_going(tmp_path, "s"), "its end", 120)
    begin(tmp_path, "s", None, 1)
    wait_until(lambda: not is_going(tmp_path, "s"), "its end", 200)
    study, _ = open_study(storage_url(tmp_path, "s", None), "s")
    assert [row.status for row in rows(study, spec, tmp_path)] == ["finished"] * 2
    assert len(list_runs(tmp_path)) == 2


def test_figures_hold_what_they_are_given() -> None:
    settings = [{"a.x": x, "a.y": y} for x in (0.5, 0.1) for y in ("no", "yes")]
    lines = parallel_figure([*settings], [1.0, 2.0, 3.0, 4.0], "spread")["data"][0]["dimensions"]
    assert [axis["label"] for axis in lines] == ["a.x", "a.y", "spread"]
    assert (lines[1]["values"], lines[1]["ticktext"]) == ([0, 1, 0, 1], ["no", "yes"])
    heat = heat_figure([*settings, settings[0]], [1.0, 2.0, 3.0, 4.0, 3.0], "a.x", "a.y", "spread")["data"][0]
    assert (heat["x"], heat["y"]) == (["0.1", "0.5"], ["no", "yes"])
    assert heat["z"] == [[3.0, 2.0], [4.0, 2.0]]
    holes = heat_figure(settings[1:3], [2.0, 3.0], "a.x", "a.y", "spread")["data"][0]
    assert holes["z"] == [[3.0, None], [None, 2.0]]
    few = two_figure(settings, [1.0, 2.0, 3.0, 4.0], "a.x", "a.y", "spread")
    assert (few["data"][0]["type"], two_height(few)) == ("heatmap", 238)
    drawn = [{"a.x": 0.001 * 1.02**draw, "a.y": ["no", "yes"][draw % 2]} for draw in range(500)]
    many = two_figure(drawn, [float(draw) for draw in range(500)], "a.x", "a.y", "spread")
    assert many["data"][0]["x"] == [one["a.x"] for one in drawn]
    assert (many["layout"]["xaxis"]["type"], many["layout"]["yaxis"]["type"]) == ("log", "category")
    assert two_height(many) < 600, "as high as a page, however many settings were drawn"
    bars = importance_figure({"a.x": 0.75, "a.y": 0.25})["data"][0]
    assert (bars["x"], bars["y"]) == ([25.0, 75.0], ["a.y", "a.x"])
