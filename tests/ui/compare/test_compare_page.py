"""The Compare page without a browser, its figures, and the report as a parser reads it."""

from __future__ import annotations

import base64
import json
import shutil
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import cpc_engine
from cpc_engine.comparison.arms import MIN_SEEDS, group
from cpc_engine.comparison.collect import load_compared
from cpc_engine.comparison.html import Chart, Section, html_report
from cpc_engine.comparison.tables import differences, metrics_csv_columns, metrics_table, overview
from cpc_engine.config import all_settings
from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.listing import list_runs
from cpc_engine.training.control import Control
from tests.support.compared import compared
from tests.support.pages import links, open_page
from tests.support.tiny import tiny
from ui.compare.curves import Bundle, Curve, curves_figure, run_curve
from ui.compare.pairs import Side, aligned, pair_figures, search, shared_ids, turned
from ui.compare.report import configurations, latex_table, report
from ui.compare.view import curve_figures
from ui.components.settings_form import label_of
from ui.drawing.curves import table
from ui.drawing.palette import series_style

pytest_plugins = ["tests.support.pages"]

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four finished runs: two arms, two seeds each."""
    root = tmp_path_factory.mktemp("runs")
    for name, perturbed in (("plain", False), (EVIL, True)):
        for seed in (0, 1):
            folder = RunFolder.create(root, tiny(run__name=name, run__seed=seed, sampler__perturbed=perturbed))
            assert execute(folder, Control()).status == "finished"
    return root


@pytest.mark.parametrize(("status", "message"), [("failed", "no *space* left."), ("stopped", ""), ("running", "")])
def test_runs_that_ended_without_anything_are_told_so(runs: Path, status: str, message: str) -> None:
    folders = [RunFolder.create(runs, tiny(sampler__perturbed=perturbed)) for perturbed in (False, True)]
    for folder in folders:
        folder.update(status=status, message=message)
    test = page(runs=",".join(folder.id for folder in folders))
    assert not test.exception
    assert not test.error
    told = " ".join(one.value for one in test.info)
    waits = ("finished yet", "recorded yet", "draws its map when it ends")
    assert [words in told for words in waits] == [status == "running"] * 3
    how = r"(2 failed: no \*space\* left)" if message else f"(2 {status})"
    assert told.count(how) == (0 if status == "running" else 4)


def page(**address: str) -> AppTest:
    return open_page("pages/compare.py", **address)


def ids(root: Path) -> list[str]:
    """Oldest first; names tell only the second a run began in, and these begin within one."""
    return [run.id for run in reversed(list_runs(root))]


def shown(test: AppTest) -> list[str]:
    """The runs that the address names."""
    value = test.query_params["runs"]
    return (value if isinstance(value, str) else value[0]).split(",")


def test_the_baseline_stays_the_same_setting_when_letters_and_titles_change(runs: Path, finished: Path) -> None:
    shutil.copytree(finished, runs)
    other = RunFolder.create(runs, tiny(run__name="other", sampler__queue_size=64))
    other.update(status="finished", steps_done=3)
    old = [run for run in ids(runs) if run != other.id]
    test = page(runs=",".join(old))
    test.selectbox(key="reference").select_index(1).run()
    assert not test.exception
    _, kept = test.session_state["baseline"]
    assert RunFolder(runs / kept).config().sampler.perturbed
    test.query_params["runs"] = ",".join([other.id, *old])
    test.run()
    assert not test.exception
    _, now = test.session_state["baseline"]
    assert RunFolder(runs / now).config().sampler.perturbed
    assert RunFolder(runs / now).config().sampler.queue_size == 0


def test_without_runs_it_says_what_to_do(runs: Path) -> None:
    test = page()
    assert not test.exception
    assert "no run of yours yet" in test.info[0].value
    test.button(key="begin").click().run()
    assert not test.exception
    assert len(ids(runs)) == 2 * MIN_SEEDS, "as many as a verdict needs"
    assert set(shown(test)) == set(ids(runs))


def test_examples_are_shown_until_there_are_runs_of_ones_own(runs: Path, finished: Path) -> None:
    shutil.copytree(finished, runs)
    for place, name in enumerate(ids(runs)):
        RunFolder(runs / name).mark_example("A lesson", place)
    test = page()
    assert not test.exception
    assert "no run of yours yet" in test.info[0].value
    assert test.button(key="begin")
    assert len(shown(test)) == 2
    mine = ids(runs)[0]
    RunFolder(runs / mine).update(data={})
    assert shown(page())[0] == mine


def test_more_runs_than_it_takes_are_told(runs: Path, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(finished, runs)
    monkeypatch.setattr("ui.compare.data.MOST", 2)
    test = page(runs=",".join(ids(runs)[:3]))
    assert not test.exception
    assert "Of 3 runs the first 2 are compared" in test.warning[0].value
    assert shown(test) == ids(runs)[:2]


def test_two_settings_are_held_against_each_other(runs: Path, finished: Path) -> None:
    shutil.copytree(finished, runs)
    test = page(runs=",".join(ids(runs)))
    assert not test.exception
    assert not test.error
    assert not test.warning
    tables = [table.value for table in test.dataframe]
    assert "A or B?" in tables[0].columns
    assert list(tables[1]["Seeds"]) == ["0, 1", "0, 1"]
    assert list(tables[2]["Setting"]) == ["Noise-perturbed"]
    assert "Run the missing seeds (6 runs)" in test.button(key="missing").label
    test.toggle(key="all-settings").set_value(True).run()
    assert len(test.dataframe[2].value) > 60


def test_the_charts_keep_their_places_when_runs_end(runs: Path, finished: Path) -> None:
    """Streamlit draws anew what is no longer at its place, and forgets what the reader zoomed to."""
    shutil.copytree(finished, runs)
    places = []
    for status in ("stopped", "finished"):
        for name in ids(runs):
            RunFolder(runs / name).update(status=status)
        test = page(runs=",".join(ids(runs)))
        assert not test.exception
        assert ("measure" in [button.key for button in test.button]) == (status == "finished")
        of_headers = {part.value: place for place, part in test.main.children.items() if part.type == "header"}
        places.append([of_headers[title] for title in ("All metrics", "What differs", "Curves", "Maps")])
    assert places[0] == places[1]


def test_runs_whose_settings_were_changed_on_the_way_are_compared(runs: Path, finished: Path) -> None:
    """Only the missing seeds leave them out."""
    shutil.copytree(finished, runs)
    changed = ids(runs)[-1]
    RunFolder(runs / changed).append_event({"step": 1, "kind": "change", "setting": "loss.temperature", "value": 0.3})
    test = page(runs=",".join(ids(runs)))
    assert not test.exception
    assert not test.error
    tables = [table.value for table in test.dataframe]
    assert "A or B?" in tables[0].columns
    assert list(tables[1]["Seeds"]) == ["0, 1", "0", "1"]
    assert list(tables[2]["Setting"]) == ["Noise-perturbed", "Temperature τ from step 1"]
    missing = test.button(key="missing").label
    assert "Run the missing seeds" in missing


def test_the_primary_metric_comes_first_and_two_seeds_give_no_verdict(runs: Path, finished: Path) -> None:
    shutil.copytree(finished, runs)
    test = page(runs=",".join(ids(runs)))
    assert "Linear probe, the primary metric, is not measured yet" in " ".join(info.value for info in test.info)
    assert not test.exception
    test.selectbox(key="primary").select("uniformity").run()
    assert not test.exception
    assert "no verdict below 5 seeds" in " ".join(one.value for one in test.markdown)
    table = test.dataframe[0].value
    assert (table["Metric"][0], table["Role"][0]) == ("Uniformity", "primary")
    assert set(table["A or B?"]) == {"no verdict below 5 seeds, n = 2"}
    assert all("(" in text for text in table["A − B"]), "differences with intervals"
    assert "Linear probe, the primary" not in " ".join(info.value for info in test.info)
    assert page(runs=",".join(ids(runs)), primary="Uniformity").dataframe[0].value["Role"][0] == "primary"


def test_one_run_can_be_repeated_with_a_change(runs: Path, finished: Path) -> None:
    one = ids(finished)[0]
    shutil.copytree(finished / one, runs / one)
    test = page(runs=one)
    assert not test.exception
    assert "nothing to hold it against" in test.info[0].value
    test.selectbox(key="repeat-setting").select("loss.temperature").run()
    test.number_input(key="repeat-seeds").set_value(1).run()
    test.text_input(key="repeat-values-loss.temperature").set_value("0.2, 0.4, 7000").run()
    assert "Temperature τ" in test.error[0].value
    test.text_input(key="repeat-values-loss.temperature").set_value("0.2, 0.4").run()
    assert test.button(key="repeat-go").label == "Queue 1 runs", "0.2 is there already"
    test.button(key="repeat-go").click().run()
    assert not test.exception
    assert len(ids(runs)) == 2
    assert one in shown(test)
    (new,) = set(ids(runs)) - {one}
    assert RunFolder.open(new, runs).config().loss.temperature == 0.4


def test_two_settings_make_a_grid(runs: Path, finished: Path) -> None:
    one = ids(finished)[0]
    shutil.copytree(finished / one, runs / one)
    test = page(runs=one)
    test.selectbox(key="repeat-setting").select("loss.temperature").run()
    test.selectbox(key="repeat-across").select("sampler.shuffled").run()
    temperature = f"loss: {label_of(next(s for s in all_settings() if s.path == 'loss.temperature'))}"
    assert temperature in test.selectbox(key="repeat-setting").options
    assert temperature not in test.selectbox(key="repeat-across").options
    test.number_input(key="repeat-seeds").set_value(1).run()
    test.text_input(key="repeat-values-loss.temperature").set_value("0.3, 0.4").run()
    assert not [button for button in test.button if button.key == "repeat-go"], "a grid needs values of both"
    test.multiselect(key="repeat-values-sampler.shuffled").set_value(["off", "time"]).run()
    assert test.button(key="repeat-go").label == "Queue 4 runs"
    test.button(key="repeat-go").click().run()
    assert not test.exception
    new = [RunFolder.open(run, runs).config() for run in set(ids(runs)) - {one}]
    assert {(c.loss.temperature, c.sampler.shuffled) for c in new} == {
        (temperature, shuffled) for temperature in (0.3, 0.4) for shuffled in ("off", "time")
    }
    assert all("Temperature τ 0." in c.run.name and "Shuffled " in c.run.name for c in new)


def test_missing_seeds_are_started_once(runs: Path, finished: Path) -> None:
    shutil.copytree(finished, runs)
    test = page(runs=",".join(ids(runs)[:3]))
    assert "Add their 1 other seed" in test.button(key="siblings").label
    test.button(key="missing").click().run()
    assert not test.exception
    assert len(ids(runs)) == 2 * MIN_SEEDS, "the fourth run is there already, though it was not chosen"
    assert len(shown(test)) == 2 * MIN_SEEDS
    assert not [button for button in test.button if button.key == "missing"]


def test_the_address_restores_what_was_looked_at(runs: Path, finished: Path) -> None:
    shutil.copytree(finished, runs)
    every = ",".join(ids(runs))
    usual = page(runs=every)
    right = usual.selectbox(key="pair-right").options[3]
    address = {
        "axis": "Per second",
        "smooth": "false",
        "all-settings": "true",
        "pair-method": "t-SNE",
        "pair-right": right,
    }
    test = page(runs=every, reference=usual.selectbox(key="reference").options[1], **address)
    assert not test.exception
    assert not test.warning
    assert test.segmented_control(key="axis").value == "seconds"
    assert not test.toggle(key="smooth").value
    assert test.toggle(key="all-settings").value
    assert test.segmented_control(key="pair-method").value == "tsne"
    assert test.selectbox(key="pair-right").value == ids(runs)[3] != usual.selectbox(key="pair-right").value
    assert "B or A?" in test.dataframe[0].value.columns
    nonsense = page(runs=every, **dict.fromkeys([*address, "reference", "unheard-of"], "<b>"))
    assert not nonsense.exception
    assert nonsense.segmented_control(key="axis").value == "step"
    assert nonsense.toggle(key="smooth").value


@pytest.mark.parametrize("address", ["", "nothing", "../../etc/passwd,/etc", "<script>,..", ",,,", "a" * 5000])
def test_an_address_that_names_no_runs(runs: Path, finished: Path, address: str) -> None:
    shutil.copytree(finished, runs)
    test = page(runs=address)
    assert not test.exception
    assert not test.error
    assert len(test.warning) == bool(address.strip(","))
    assert test.info
    test.button(key="newest").click().run()
    assert not test.exception
    assert len(shown(test)) == 2


def test_a_run_that_was_deleted_meanwhile_is_told_of_once(runs: Path, finished: Path) -> None:
    shutil.copytree(finished, runs)
    first, *others = ids(runs)
    test = page(runs=",".join([first, *others]))
    assert not test.warning
    shutil.rmtree(runs / first)
    test.run()
    assert [warning.value[:12] for warning in test.warning] == ["1 chosen run"]
    assert shown(test) == others
    test.run()
    assert not test.warning


@pytest.mark.parametrize("broken", ["run.json", "config.json", "metrics.jsonl", "map.json", "map.safetensors"])
@pytest.mark.parametrize("how", ["half", "gone", "other"])
def test_a_broken_folder_never_breaks_the_page(runs: Path, finished: Path, broken: str, how: str) -> None:
    shutil.copytree(finished, runs)
    file = runs / ids(runs)[0] / broken
    if how == "gone":
        file.unlink()
    elif how == "half":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    else:
        file.write_text(json.dumps({"unknown": 1}) + "\n")
    assert not page(runs=",".join(ids(runs))).exception


def test_curves_of_seeds_become_a_mean_and_a_band() -> None:
    x = np.arange(1.0, 101)
    curves = [Curve(x, np.full(100, 1.0)), Curve(x[:50], np.full(50, 3.0))]
    bundle = Bundle("A", series_style(0), curves)
    low, high, mean = curves_figure([bundle], "loss", "step", "range", False)["data"]
    assert (set(low["y"]), set(high["y"]), set(mean["y"])) == ({1.0}, {3.0}, {2.0})
    assert high["fill"] == "tonexty"
    assert mean["x"][-1] == 50, "only as far as every seed goes"
    low, high, _ = curves_figure([bundle], "loss", "step", "interval", False)["data"]
    assert high["y"][0] - low["y"][0] == pytest.approx(2 * 12.706, rel=1e-3)
    columns = table(curves_figure([bundle], "loss", "step", "range", False))
    assert [columns[f"{bundle.name}{end}"][0] for end in (": lowest seed", ": highest seed", "")] == [1.0, 3.0, 2.0]
    each = curves_figure([bundle], "loss", "seconds", "each", True)
    assert [trace.get("showlegend") for trace in each["data"]] == [False, False, None, None]
    assert each["layout"]["xaxis"]["title"]["text"] == "training time (s)"
    many = [Bundle(str(i), series_style(i), [Curve(np.arange(1e5), np.random.rand(100_000))]) for i in range(8)]
    assert len(json.dumps(curves_figure(many, "loss", "step", "each", True))) < 100_000


def test_records_without_a_metric_leave_no_points() -> None:
    records: list[dict[str, Any]] = [
        {"step": 1, "seconds": 0.1, "loss": None, "modalities": {"audio": {"accuracy": 0.5}}},
        {"step": 2, "seconds": 0.2, "loss": 2.0, "modalities": {}, "geometry": {"alignment": 1.5}},
        {"unknown": 1},
    ]
    assert run_curve(records, "accuracy", "step").y.tolist() == [50.0]
    assert run_curve(records, "alignment", "seconds").x.tolist() == [0.2]
    assert np.isnan(run_curve(records, "loss", "step").y[0])
    assert len(run_curve([], "loss", "step").x) == 0


def side(name: str, layout: np.ndarray, sources: list[str], classes: list[str], origin: str = "tones") -> Side:
    labels = np.arange(len(layout)) % len(classes)
    return Side(name, origin, layout, labels, classes, ["audio"] * len(layout), sources)


def points(trace: dict[str, Any]) -> list[int]:
    """By which numbers the browser knows a trace's points."""
    ids: list[int] = np.frombuffer(base64.b64decode(trace["customdata"]["bdata"]), "<i4").tolist()
    return ids


def test_maps_share_items_colors_and_orientation() -> None:
    layout = np.random.default_rng(0).normal(size=(6, 2))
    angle = 1.0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    left = side("l", layout, list("abcdef"), ["low", "high"])
    right = side("r", layout[::-1] @ turn * [1, -1], list("fedcba"), ["high", "low"])
    ids, keys = shared_ids([left, right])
    assert ids == [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]]
    assert keys[0] == ("tones", "audio", "a")
    np.testing.assert_allclose(turned(right.layout, ids[1], layout, ids[0])[::-1], layout - layout.mean(0), atol=1e-9)
    same, beside = aligned([left, right])
    assert same is left
    np.testing.assert_allclose(beside.layout[::-1], layout - layout.mean(0), atol=1e-9)
    first, second = ({t["name"]: t for t in figure["data"]} for figure in pair_figures([left, right]))
    assert first["low"]["marker"] == second["low"]["marker"]
    other, _ = shared_ids([left, side("o", layout, list("abcdef"), ["low"], "tones with another seed")])
    assert not set(other[0]) & set(other[1])


def test_items_of_both_maps_are_found_by_class_and_name() -> None:
    layout = np.random.default_rng(0).normal(size=(4, 2))
    left, right = side("l", layout, list("abcd"), ["low", "high"]), side("r", layout, list("cdAx"), ["high", "mid"])
    sides = [left, right]
    assert search(sides, [], "a") == [0, 4], "letter case does not count"
    assert search(sides, ["low"], "") == [0, 2]
    assert search(sides, ["mid"], "") == [3, 5], "d is of two classes"
    assert search(sides, ["low"], "b") == []
    first, second = ({t["name"]: points(t) for t in figure["data"]} for figure in pair_figures(sides))
    assert first == {"low": [0, 2], "high": [1, 3]}, "the browser knows an item by one number on both maps"
    assert second == {"high": [2, 4], "mid": [3, 5]}


def test_the_keyboard_marks_what_the_lasso_does(runs: Path, finished: Path) -> None:
    shutil.copytree(finished, runs)
    test = page(runs=",".join(ids(runs)))
    [name, *_] = test.multiselect(key="pair-classes").options
    test.multiselect(key="pair-classes").set_value([name]).run()
    assert not test.exception
    [chosen] = [one.value for one in test.dataframe if "On the maps" in one.value.columns]
    assert set(chosen["Class"]) == {name}
    assert set(chosen["On the maps"]) == {"left and right"}
    name = max(chosen["Item"], key=len)  # part of no other
    test.multiselect(key="pair-classes").set_value([]).run()
    assert "Its negatives, left" not in links(test)
    test.text_input(key="pair-find").set_value(name).run()
    [alone] = [one.value for one in test.dataframe if "On the maps" in one.value.columns]
    assert list(alone["Item"]) == [name]
    asked = [dict(links(test)[f"Its negatives, {place}"]) for place in ("left", "right")]
    for address, key in zip(asked, ("pair-left", "pair-right"), strict=True):
        assert address["run"] == test.selectbox(key=key).value
        assert cpc_engine.open(address["run"], runs).stored_map().names[int(address["item"])] == name
    test.text_input(key="pair-find").set_value("there is no such item").run()
    assert "No item fits." in [one.value for one in test.info]


class Reader(HTMLParser):
    """Collects tags and what they point to."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attributes if name in ("src", "href", "action", "data")]
        self.handlers += [name for name, _ in attributes if name.startswith("on")]


def test_the_report_needs_nothing_else_and_escapes_everything(finished: Path) -> None:
    arms = group(load_compared(RunFolder.open(run, finished)) for run in ids(finished))
    x = np.arange(5.0)
    curve = curves_figure([Bundle(EVIL, series_style(0), [Curve(x, x)])], "loss", "step", "each", False)
    figures = pair_figures([side(EVIL, np.random.rand(6, 2), [EVIL] * 6, [EVIL, "b"])])
    text = report(arms, arms[0], "probe", [curve], [(figures[0], EVIL)])
    reader = Reader()
    reader.feed(text)
    assert reader.links == []
    assert reader.handlers == []
    assert reader.tags.count("script") == 4, "plotly, ours, and the data of two figures"
    assert not {"img", "iframe", "link", "object"} & set(reader.tags)
    assert "<script>alert" not in text
    assert "--preset" in text
    assert html_report("t", [Section("s", charts=[Chart(curve, "alt")])]).count("<figure>") == 1
    assert f"<h3>{escape(figures[0]['layout']['title']['text'])}</h3>" in text, "a title of any length has its lines"
    assert '"title": {"text": "step"}' in text, "axes keep theirs"
    assert len(html_report("t", [])) < 5000, "no chart, no plotly"
    assert list(json.loads(configurations(arms))) == [run.id for s in arms for run in s.runs]


def test_tables_have_columns_of_one_length(finished: Path) -> None:
    arms = group(load_compared(RunFolder.open(run, finished)) for run in ids(finished))
    for columns in (
        overview(arms),
        differences(arms),
        metrics_table(arms, arms[1], every=True),
        metrics_csv_columns(arms, arms[0]),
    ):
        assert len({len(column) for column in columns.values()}) == 1
    assert "B or A?" in metrics_table(arms, arms[1])


def test_a_sweep_leaves_out_what_has_no_effect(runs: Path, finished: Path) -> None:
    """σ while noise-perturbed negatives are off trained six equal runs once."""
    one = ids(finished)[0]
    shutil.copytree(finished / one, runs / one)
    test = page(runs=one)
    labels = {setting.path: label_of(setting) for setting in all_settings()}
    assert f"sampler: {labels['sampler.sigma']}" not in test.selectbox(key="repeat-setting").options
    test.selectbox(key="repeat-setting").select("sampler.perturbed").run()
    test.selectbox(key="repeat-across").select("sampler.sigma").run()
    test.number_input(key="repeat-seeds").set_value(1).run()
    test.multiselect(key="repeat-values-sampler.perturbed").set_value(["off", "on"]).run()
    test.text_input(key="repeat-values-sampler.sigma").set_value("0.1, 0.2, 0.4").run()
    assert not test.exception
    assert "4 × 1 seeds = 4 runs" in " ".join(one.value for one in test.caption), "off once, and three values of on"
    assert test.button(key="repeat-go").label == "Queue 3 runs", "off is there already"


def test_a_table_for_a_paper_escapes_names_and_has_every_arm() -> None:
    runs = [
        compared(f"{name}{seed}", seed, metrics={"probe": 0.5 + seed / 10}, loss__temperature=temperature)
        for name, temperature in (("a_1", 0.1), ("50%", 0.2))
        for seed in (0, 1)
    ]
    lines = latex_table(group(runs), "probe").splitlines()
    assert lines[0] == r"\begin{tabular}{lrr}"
    assert lines[2] == r"Metric & A · Temperature τ 0.1 & B · Temperature τ 0.2 \\"
    assert lines[4] == r"Linear probe (share) & $0.55 \pm 0.64$ & $0.55 \pm 0.64$ \\"
    single = latex_table(group([compared("50%_{x}", metrics={"probe": 0.5})]), "probe")
    assert r"A · 50\%\_\{x\}" in single
    assert "$0.5$" in single


def test_the_curves_of_a_comparison_are_as_long_as_the_runs_will_be(finished: Path, runs: Path) -> None:
    arms = group(load_compared(RunFolder.open(run, finished)) for run in ids(finished))
    shutil.copytree(finished, runs)
    figures = curve_figures(arms, "step", "range", False)
    assert {tuple(figure["layout"]["xaxis"]["range"]) for figure in figures.values()} == {(0, 1.01 * 3)}
