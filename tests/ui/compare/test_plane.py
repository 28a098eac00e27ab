"""The alignment–uniformity plane: trails as recorded, collapse shaded where it is, its table and its figure."""

from __future__ import annotations

import math

import pytest
import torch

from cpc_engine.evaluation import geometry
from cpc_engine.evaluation.alarms import COLLAPSED
from cpc_engine.storage.folder import RunFolder
from tests.support.paths import REPOSITORY
from ui.compare.plane import ZONE, Trail, plane_columns, plane_figure, plane_words, trail_points
from ui.drawing.figure_file import Look, figure_file, legend_of
from ui.drawing.palette import series_style


def trail(run: str, arm: int, *points: tuple[int, float, float]) -> Trail:
    return Trail(run, f"arm {arm}", series_style(arm), points)


TRAILS = [
    trail("a", 0, (5, -1.0, 0.9), (10, -2.5, 0.4)),
    trail("b", 0, (5, -1.1, 0.8)),
    trail("c", 1, (5, -0.9, 0.5), (10, -0.01, 0.01)),
]


def test_a_trail_is_what_the_run_recorded() -> None:
    folder = RunFolder(REPOSITORY / "checkpoints" / "example-keypad")
    rows = [row for row in folder.records() if row.get("geometry")]
    for modality, prefix in (("", ""), ("audio", "audio.")):
        points = trail_points(folder.records(), modality)
        assert [step for step, _, _ in points] == [row["step"] for row in rows]
        assert points[-1][1:] == (
            rows[-1]["geometry"][f"{prefix}uniformity"],
            rows[-1]["geometry"][f"{prefix}alignment"],
        )
    assert trail_points([{"step": 1, "geometry": None}, {"step": 2, "geometry": {"uniformity": None}}]) == []


def test_the_zone_begins_where_the_spread_is_that_of_the_alarm() -> None:
    generator = torch.Generator().manual_seed(0)
    mean = torch.nn.functional.normalize(torch.ones(64), dim=0)
    around = torch.nn.functional.normalize(mean + 0.04 * torch.randn(400, 64, generator=generator), dim=1)
    spread = geometry.spread(around)
    assert spread == pytest.approx(COLLAPSED, abs=0.02)
    assert geometry.uniformity(around) == pytest.approx(-4 * spread**2, rel=0.1)


def test_the_collapsed_example_ends_in_the_zone_and_the_others_do_not() -> None:
    ends = {}
    for folder in sorted((REPOSITORY / "checkpoints").glob("example-*")):
        ends[folder.name] = trail_points(RunFolder(folder).records())[-1][1] > ZONE
    assert [name for name, inside in ends.items() if inside] == ["example-collapsed"]


def test_the_figure_has_a_trail_and_a_newest_mark_for_each_run() -> None:
    figure = plane_figure(TRAILS)
    zone, *traces = figure["data"]
    assert (min(zone["x"]), zone["fill"]) == (ZONE, "toself")
    assert [(trace["x"], trace["y"], trace["customdata"]) for trace in traces[::2]] == [
        ([-1.0, -2.5], [0.9, 0.4], [5, 10]),
        ([-1.1], [0.8], [5]),
        ([-0.9, -0.01], [0.5, 0.01], [5, 10]),
    ]
    assert [trace["x"] for trace in traces[1::2]] == [[-2.5], [-1.1], [-0.01]]
    assert legend_of(figure) == ["arm 0", "arm 1"]
    left, right = figure["layout"]["xaxis"]["range"]
    assert left < -2.5
    assert right > -0.01
    assert plane_columns(TRAILS)["run"] == ["a", "a", "b", "c", "c"]
    assert plane_columns(TRAILS)["alignment"] == [0.9, 0.4, 0.8, 0.5, 0.01]
    assert "c from uniformity -0.90, alignment 0.50 at step 5 to -0.01, 0.01 at step 10, collapsed" in plane_words(
        TRAILS
    )
    assert math.isfinite(plane_figure([])["layout"]["yaxis"]["range"][1])
    for kind in ("SVG", "PDF", "PNG"):
        assert len(figure_file(figure, Look(), kind)) > 3000
