"""Figures of maps, spectrograms and waveforms: what a browser will be told, without one."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from ui.drawing.map_figure import (
    PLACES,
    amounts_figure,
    class_figure,
    densest,
    groups_figure,
    in_frame,
    lit_traces,
    map_columns,
)
from ui.drawing.pictures import WAVE_HEIGHT, png, spectrogram_png, wave_svg
from ui.explore.snapshots import frame_of


def unpacked(packed: dict[str, str]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(packed["bdata"]), {"f4": "<f4", "i4": "<i4"}[packed["dtype"]])


def cloud(n: int, dimensions: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, dimensions)).astype(np.float32)


@dataclass
class Items:
    """What a map is drawn from."""

    labels: np.ndarray
    classes: list[str]
    modalities: list[str]
    names: list[str]


ITEMS = Items(np.array([0, 1, 0, 1, -1]), ["low", "high"], ["audio", "audio", "image", "image", "audio"], list("abcde"))


@pytest.mark.parametrize("dimensions", [2, 3])
def test_every_point_is_in_one_group_with_its_own_id(dimensions: int) -> None:
    layout, codes = cloud(30, dimensions), np.arange(30) % 4 - 1
    kinds = ["audio", "image"] * 15
    figure = groups_figure(layout, codes, ["a", "b", "c"], kinds)
    seen = {}
    for trace in figure["data"]:
        ids = unpacked(trace["customdata"])
        for axis, name in enumerate("xyz"[:dimensions]):
            np.testing.assert_array_equal(unpacked(trace[name]), layout[ids, axis])
        assert len({(codes[i], kinds[i]) for i in ids}) == 1
        seen |= {int(i): trace["name"] for i in ids}
    assert set(seen) == set(range(30))
    assert seen[0] == "unlabeled · sound"
    assert seen[3] == "c · picture"
    assert {trace["type"] for trace in figure["data"]} == {"scatter3d" if dimensions == 3 else "scattergl"}
    assert {trace["hoverinfo"] for trace in figure["data"]} == {"none"}, "the page shows a card instead"
    json.dumps(figure)


def test_classes_and_names_are_shown_while_hovering() -> None:
    xy = np.arange(10.0).reshape(5, 2)
    figure = class_figure(ITEMS, xy, "t")
    traces = {trace["name"]: trace for trace in figure["data"]}
    assert set(traces) == {"low · sound", "low · picture", "high · sound", "high · picture", "unlabeled · sound"}
    assert unpacked(traces["low · picture"]["customdata"]).tolist() == [2]
    assert traces["low · picture"]["text"] == ["c"]
    assert "%{fullData.name}<br>%{text}" in traces["low · picture"]["hovertemplate"]
    assert "hoverinfo" not in traces["low · picture"]
    high = traces["high · picture"]
    assert (unpacked(high["x"]).tolist(), unpacked(high["y"]).tolist()) == ([6.0], [7.0])
    assert traces["low · picture"]["marker"]["symbol"] == traces["low · sound"]["marker"]["symbol"] + "-open"
    assert figure["layout"]["yaxis"]["scaleanchor"] == "x"
    assert {trace["type"] for trace in class_figure(ITEMS, xy, "t", gl=False)["data"]} == {"scatter"}
    assert {trace["hoverinfo"] for trace in class_figure(ITEMS, xy, "t", hover=False)["data"]} == {"none"}
    json.dumps(figure, allow_nan=False)


def test_a_map_has_columns_in_the_order_of_its_items() -> None:
    columns = map_columns(ITEMS, np.arange(10.0).reshape(5, 2), split=["held out"] * 5)
    assert list(columns) == ["item", "kind", "class", "split", "x", "y"]
    assert (columns["item"], columns["x"], columns["y"]) == (list("abcde"), [0, 2, 4, 6, 8], [1, 3, 5, 7, 9])
    assert columns["kind"] == ["sound", "sound", "picture", "picture", "sound"]
    assert columns["class"] == ["low", "high", "low", "high", "unlabeled"]
    assert list(map_columns(ITEMS, np.zeros((5, 3))))[-3:] == ["x", "y", "z"]


def test_ids_are_the_callers_where_given() -> None:
    figure = groups_figure(cloud(5), [0, 1, 0, 1, 0], ["a", "b"], ids=range(5, 10))
    assert [unpacked(trace["customdata"]).tolist() for trace in figure["data"]] == [[5, 7, 9], [6, 8]]


def test_a_map_of_nothing_and_of_one_plain_class() -> None:
    assert groups_figure(np.zeros((0, 2)), [], ["a"])["data"] == []
    (trace,) = groups_figure(np.zeros((3, 2)), [0, 0, 0], ["a"])["data"]
    assert trace["name"] == "a"
    assert unpacked(trace["customdata"]).tolist() == [0, 1, 2]


def test_a_map_is_valid_plotly() -> None:
    import plotly.graph_objects as go

    names = [str(i) for i in range(70)]
    drawn = go.Figure(groups_figure(np.zeros((70, 2)), range(70), names, ["audio", "image"] * 35, "t", names=names))
    assert len(drawn.data) == 70
    go.Figure(amounts_figure(cloud(12), np.linspace(-1, 1, 12), "cosine"))


@given(arrays(np.float64, st.tuples(st.integers(1, 40), st.just(2)), elements=st.floats(-1e3, 1e3, width=32)))
def test_the_densest_place_is_that_of_a_slow_count(points: np.ndarray) -> None:
    low, extent = points.min(0), max(np.ptp(points, axis=0).max(), 1e-12)
    squares = [[min(int(value / extent * PLACES), PLACES - 1) for value in point - low] for point in points]
    near = [
        [row for row, other in enumerate(squares) if max(abs(a - b) for a, b in zip(square, other, strict=True)) <= 1]
        for square in squares
    ]
    most = max(len(rows) for rows in near)
    middles = [points[rows].mean(0) for rows in near if len(rows) == most]
    found = np.array(densest(points))
    assert min(np.abs(middle - found).max() for middle in middles) <= 1e-9 * (1 + np.abs(points).max())


def test_a_group_on_a_plane_says_where_its_name_belongs() -> None:
    layout = np.array([[0, 0], [0, 1], [50, 50], [9, 9], [9, 9], [-3, 0]])
    codes, groups = [0, 0, 0, 1, 1, -1], ["a", "b"]
    low, high, none = groups_figure(layout, codes, groups)["data"]
    assert low["meta"] == {"group": "a", "count": 3, "densest": [0, 0.5]}, "where most are, not between the two ends"
    assert high["meta"] == {"group": "b", "count": 2, "densest": [9, 9]}
    assert "meta" not in none, "unlabeled is no name"
    assert all("meta" not in trace for trace in groups_figure(layout, codes, groups, named=False)["data"])
    assert all("meta" not in trace for trace in groups_figure(cloud(6, 3), codes, groups)["data"])
    both = groups_figure(layout[:4], [0, 0, 0, 0], groups, ["audio", "image"] * 2)["data"]
    assert [trace["meta"]["group"] for trace in both] == ["a", "a"], "without the modality"


def test_amounts_are_shaded_on_a_scale_that_says_what_it_is() -> None:
    values = np.linspace(-1, 1, 12)
    figure = amounts_figure(cloud(12), values, "cosine")
    [trace] = figure["data"]
    np.testing.assert_allclose(unpacked(trace["marker"]["color"]), values, atol=1e-6)
    assert figure["layout"]["coloraxis"]["colorbar"]["title"]["text"] == "cosine"
    assert not figure["layout"]["showlegend"]


def test_six_hundred_items_stay_small() -> None:
    figure = groups_figure(cloud(1200), np.arange(1200) % 10, [str(i) for i in range(10)], ["audio", "image"] * 600)
    assert len(json.dumps(figure)) < 100_000


def test_what_is_lit_up_lies_over_the_map() -> None:
    path, rings, star = lit_traces([(1.0, 2.0)], ["3"], near=[[0, 0], [1, 1]], path=[(0, 0), (1, 2)])
    assert (star["x"], star["y"], star["text"]) == ([1.0], [2.0], ["3"])
    assert rings["x"] == [0.0, 1.0]
    assert path["mode"] == "lines+markers"
    assert {trace["type"] for trace in (path, rings, star)} == {"scattergl"}
    assert all("customdata" not in trace for trace in (path, rings, star)), "they are no items to hover"
    assert lit_traces([], []) == []


def test_the_star_of_an_item_whose_place_means_nothing_is_hollow() -> None:
    [stars] = lit_traces([(1.0, 2.0), (3.0, 4.0)], ["1", "2"], doubtful=[False, True])
    assert stars["marker"]["symbol"] == ["star", "star-open"]
    [plain] = lit_traces([(1.0, 2.0)], ["1"], doubtful=[False])
    assert plain["marker"]["symbol"] == "star"


def test_snapshots_share_one_frame() -> None:
    places = np.stack([cloud(9), 3 * cloud(9)])
    frame = frame_of(places)
    assert (places.min((0, 1)) >= frame[:, 0]).all()
    assert (places.max((0, 1)) <= frame[:, 1]).all()
    figures = [in_frame(groups_figure(xy, np.zeros(9), ["a"]), frame) for xy in places]
    assert figures[0]["layout"]["xaxis"]["range"] == figures[1]["layout"]["xaxis"]["range"] == frame[0].tolist()


def test_a_spectrogram_has_low_pitches_at_the_bottom_and_loud_ones_bright() -> None:
    log_mel = np.full((40, 50), -10.0)
    log_mel[3] = 0.0
    picture = np.asarray(Image.open(io.BytesIO(spectrogram_png(log_mel, 50, 40))).convert("L"))
    assert picture.shape == (40, 50)
    assert picture[36].min() > 180
    assert picture[:30].max() < 60
    silent = Image.open(io.BytesIO(spectrogram_png(np.zeros((4, 4)))))
    assert silent.size == (128, 128)


def test_a_waveform_spans_from_its_lowest_to_its_highest() -> None:
    waves = np.zeros(8000, np.float32)
    waves[4000], waves[4001] = 1.0, -1.0
    heights = [float(pair.split(",")[1]) for pair in re.findall(r'points="([^"]+)"', wave_svg(waves))[0].split()]
    assert min(heights) == 0.0
    assert max(heights) == pytest.approx(WAVE_HEIGHT + 0.5)


def test_pixels_become_a_png_of_their_own_size_or_another() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png(pixels)))), pixels)
    assert Image.open(io.BytesIO(png(pixels, (14, 10)))).size == (14, 10)
