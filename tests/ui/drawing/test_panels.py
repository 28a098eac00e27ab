"""A run's curves in one figure: what is drawn, on which axes, and that nothing moves when something arrives."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any

import pytest

from cpc_engine.config import RunConfig
from cpc_engine.sources import SOURCES
from ui.components.live_chart import plain
from ui.drawing.panel_stack import alike, level, panels_figure, panels_spoken, panels_table
from ui.drawing.panels import GEOMETRY, MIDDLE, TALL, Panel, panels_of

ONE, BOTH = RunConfig(), RunConfig().replace({"data.dataset": "tones_bars"})


def record(step: int, sources: tuple[str, ...] = ("in_batch", "queue"), both: bool = True) -> dict[str, Any]:
    one = {"share": 1 / len(sources), "count": 100, "masked": 1.0}
    part = {"loss": 5 / step, "accuracy": 0.25, "sources": dict.fromkeys(sources, one)}
    names = ("audio", "image") if both else ("audio",)
    prefix = (lambda name: f"{name}.") if both else (lambda name: "")
    geometry = {f"{prefix(name)}{metric}": 0.5 for name in names for metric in GEOMETRY}
    return {"step": step, "loss": 5 / step, "modalities": dict.fromkeys(names, part), "geometry": geometry}


RECORDS = [record(step) for step in range(1, 31)]


def layout_of(records: list[dict[str, Any]], names: tuple[str, ...]) -> dict[str, Any]:
    layout: dict[str, Any] = panels_figure(panels_of(records, BOTH if len(names) > 1 else ONE), 200)["layout"]
    return layout


@pytest.mark.parametrize("both", [False, True])
def test_there_is_a_panel_for_everything_that_must_be_seen(both: bool) -> None:
    panels = panels_of([record(step, both=both) for step in range(1, 31)], BOTH if both else ONE)
    shares = ["share-audio", "share-image"] if both else ["share-audio"]
    assert [panel.key for panel in panels] == ["loss", "accuracy", *shares, *GEOMETRY]
    assert all(panel.figure["data"] for panel in panels)


def test_panels_do_not_overlap_and_share_one_step_axis_from_zero_to_the_last_step() -> None:
    figure = panels_figure(panels_of(RECORDS, BOTH), 200)
    layout = figure["layout"]
    axes = [layout[name] for name in layout if name.startswith("yaxis")]
    assert [name for name in layout if name.startswith("xaxis")] == ["xaxis"]
    assert layout["xaxis"]["range"] == pytest.approx([0, 202])
    assert {trace["xaxis"] for trace in figure["data"]} == {"x"}
    domains = [axis["domain"] for axis in axes]
    assert domains[0][1] == 1
    assert domains[-1][0] == pytest.approx(0, abs=1e-9)
    for (bottom, _), (_, top) in pairwise(domains):
        assert top < bottom


def test_records_and_geometry_do_not_move_the_panels() -> None:
    """From before the first record to the last one."""
    empty, first, later = [], [{**record(1), "geometry": None}], RECORDS
    domains = []
    queue = BOTH.replace({"sampler.queue_size": 512})
    for records in (empty, first, later):
        layout = panels_figure(panels_of(records, queue), 200)["layout"]
        domains.append([layout[name]["domain"] for name in layout if name.startswith("yaxis")])
    assert domains[0] == domains[1] == domains[2]


def test_a_panel_without_a_value_says_when_the_first_one_comes() -> None:
    config = ONE.replace({"evaluation.every": 25, "optimizer.steps": 200})
    waits = {panel.key: panel.waits for panel in panels_of([], config)}
    assert waits["loss"] == "begins with the first step"
    assert {waits[metric] for metric in GEOMETRY} == {"first at step 25"}

    def texts(records: list[dict[str, Any]]) -> list[str]:
        return [note["text"] for note in panels_figure(panels_of(records, config), 200)["layout"]["annotations"]]

    begun = [{**record(1, both=False), "geometry": None}]
    assert texts([]).count("first at step 25") == texts(begun).count("first at step 25") == len(GEOMETRY)
    assert texts([]).count("begins with the first step") == 3
    assert "begins with the first step" not in texts(begun)
    assert "first at step 25" not in texts([record(25, both=False)])
    last = panels_of([], config.replace({"evaluation.every": 0}))[-1]
    assert last.waits == "first at step 200", "held-out items are always measured at the end"


def test_every_panel_has_axes_from_before_the_first_record() -> None:
    """Plotly draws those of traces only; notes without an axis would lie over one another in the first panel."""
    begun = [{**record(1), "geometry": None}]
    for records in ([], begun, RECORDS):
        figure = panels_figure(panels_of(records, BOTH), 200)
        axes = {"y" + name.removeprefix("yaxis") for name in figure["layout"] if name.startswith("yaxis")}
        drawn = [trace["yaxis"] for trace in figure["data"] if "scatter" in trace["type"] and len(trace["x"])]
        assert set(drawn) == axes
        assert "" not in panels_table(figure)
        assert all(trace["name"] or trace["showlegend"] is False for trace in figure["data"])


def test_the_chance_lines_follow_the_number_of_negatives() -> None:
    traces = {trace["name"]: trace for trace in panels_figure(panels_of(RECORDS, BOTH), 30)["data"]}
    assert traces["loss by chance"]["y"][-1] == pytest.approx(math.log(2 * 99 + 1), rel=1e-4)
    assert traces["accuracy by chance"]["y"][-1] == pytest.approx(100 / (2 * 99 + 1), rel=1e-4)


def test_the_item_level_term_is_drawn_beside_the_prediction() -> None:
    with_items = [
        one | {"items": {"audio": one["modalities"]["audio"] | {"loss": 0.5, "accuracy": 0.75}}} for one in RECORDS
    ]
    for both in (False, True):
        records = (
            with_items if both else [{**one, "modalities": {"audio": one["modalities"]["audio"]}} for one in with_items]
        )
        panels = panels_of(
            [{**one, "items": dict.fromkeys(one["modalities"], one["items"]["audio"])} for one in records],
            BOTH if both else ONE,
        )
        traces = {trace["name"]: trace for trace in panels_figure(panels, 30)["data"]}
        suffix = ", sounds" if both else ""
        assert traces[f"loss of whole items{suffix}"]["y"][-1] == pytest.approx(0.5)
        assert traces[f"accuracy of whole items{suffix}"]["y"][-1] == pytest.approx(75)
        assert "whole items" in panels[0].title
    assert not any("items" in trace["name"] for trace in panels_figure(panels_of(RECORDS, BOTH), 30)["data"])


def test_shares_are_stacked_in_percent_whatever_the_sources() -> None:
    names = tuple(SOURCES)
    panel = next(
        panel for panel in panels_of([record(step, names) for step in (1, 2)], BOTH) if panel.key == "share-audio"
    )
    assert [trace["name"].partition(",")[0] for trace in panel.figure["data"]] == [
        f"share {SOURCES[name].label}" for name in names
    ]
    assert sum(trace["y"][0] for trace in panel.figure["data"]) == pytest.approx(100, rel=1e-3)
    assert all(SOURCES[name].label.partition(" (")[0] in panel.title for name in names)


def test_a_loss_that_is_no_number_is_a_gap() -> None:
    broken = record(31)
    broken["modalities"] = {name: part | {"loss": None} for name, part in broken["modalities"].items()}
    figure = panels_figure(panels_of([*RECORDS, broken], BOTH), 31)
    assert figure["data"][0]["y"][-1] is None


def test_a_long_run_with_all_sources_and_both_modalities_is_a_small_message() -> None:
    names = tuple(SOURCES)
    rows = [{**record(step, names), "geometry": None} for step in range(1, 100_001, 50)]
    figure = panels_figure(panels_of(rows, BOTH), 100_000)
    assert len(json.dumps(plain(figure))) < 100_000


def test_changes_are_marked_on_all_panels_at_once() -> None:
    change = {"step": 7, "kind": "change", "setting": "loss.temperature", "value": 0.5}
    layout = panels_figure(panels_of(RECORDS, BOTH), 30, [change])["layout"]
    [line] = layout["shapes"]
    assert (line["yref"], line["y0"], line["y1"], line["x0"]) == ("paper", 0, 1, 7)
    assert "τ 0.5" in [note["text"] for note in layout["annotations"]]


def test_text_and_table_name_every_curve_once() -> None:
    figure = panels_figure(panels_of(RECORDS, BOTH), 30)
    columns = panels_table(figure)
    assert {"step", "loss, sounds", "accuracy, pictures", "share queue, sounds", "spread, sounds"} <= set(columns)
    assert {len(values) for values in columns.values()} == {30}
    said = panels_spoken(figure, "my run")
    assert said.startswith("Curves of my run: ")
    assert "spread, sounds 0.5 at step 30" in said
    assert "nothing recorded yet" in panels_spoken(panels_figure(panels_of([], ONE), 30), "my run")


def test_panels_of_two_runs_lie_beside_each_other_with_one_range_for_each_quantity() -> None:
    few = [record(step, sources=("in_batch",), both=False) for step in (1, 2)]
    many = [record(step, both=False) for step in (1, 2, 3)]

    def shown(records: list[dict[str, Any]]) -> list[Panel]:
        found = {panel.key: panel for panel in panels_of(records, ONE)}
        return [found[key] for key in ("accuracy", "share-audio", "loss")]

    left, right = level([shown(few), shown(many)])
    assert [panel.height for panel in left] == [panel.height for panel in right] == [TALL, MIDDLE, MIDDLE]
    firsts = [left[0], right[0]]
    alike([left, right])
    low, high = firsts[0].figure["layout"]["yaxis"]["range"]
    assert [low, high] == firsts[1].figure["layout"]["yaxis"]["range"]
    values = [y for panel in firsts for trace in panel.figure["data"] for y in trace["y"]]
    assert low == 0 <= min(values) <= max(values) < high
    losses = [panels[-1].figure["layout"]["yaxis"]["range"] for panels in (left, right)]
    assert losses[0] == losses[1], "a loss beside another one is read by its height"

    alone, other = level([shown(few), panels_of(many, ONE, more=("modality_gap",))])
    assert len(alone) == 3, "runs of other data have other panels"
    assert other[-1].key == "modality_gap"
    alike([])


def test_a_fixed_range_stays() -> None:
    rows = [record(step) for step in (1, 2, 3)]
    by_key = {panel.key: panel for panel in panels_of(rows, BOTH, more=("modality_gap", "no such metric"))}
    alike([[by_key["spread"]], [by_key["spread"]]])
    assert by_key["spread"].figure["layout"]["yaxis"]["range"] == [0, 1.05]
    assert "no such metric" not in by_key
    assert "distance; lower is better" in by_key["modality_gap"].title
