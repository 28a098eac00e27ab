"""Figures of maps, spectrograms and waveforms: what a browser will be told, without one."""

from __future__ import annotations

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from ui.explore_data import spectrogram_png
from ui.explore_evolution import frame_of
from ui.explore_view import trust_words
from ui.place_card import typicality_words
from ui.place_senses import HEIGHT, decibels, wave_svg
from ui.scatter_figure import amounts_figure, evolution_figure, groups_figure, lit_traces


def unpacked(packed: dict[str, str]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(packed["bdata"]), {"f4": "<f4", "i4": "<i4"}[packed["dtype"]])


def cloud(n: int, dimensions: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, dimensions)).astype(np.float32)


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
    assert seen[0] == "unknown · sound"
    assert seen[3] == "c · picture"
    assert {trace["type"] for trace in figure["data"]} == {"scatter3d" if dimensions == 3 else "scattergl"}
    json.dumps(figure)


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


def test_snapshots_share_one_frame() -> None:
    places = np.stack([cloud(9), 3 * cloud(9)])
    frame = frame_of(places)
    assert (places.min((0, 1)) >= frame[:, 0]).all()
    assert (places.max((0, 1)) <= frame[:, 1]).all()
    figures = [evolution_figure(xy, frame, np.zeros(9), ["a"], None, "") for xy in places]
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
    assert max(heights) == pytest.approx(HEIGHT + 0.5)
    assert decibels(1.0) == 0.0
    assert decibels(0.5) == pytest.approx(-6.02, abs=0.01)
    assert decibels(0.0) == -np.inf


def test_quality_in_words() -> None:
    assert "can be relied on" in trust_words(0.97, 0.5)
    assert "Most neighbours" in trust_words(0.9, 0.5)
    assert "misplaces much" in trust_words(0.6, 0.1)
    assert "10%" in trust_words(0.6, 0.1)
    assert "More usual" in typicality_words(60)
    assert "About 3 %" in typicality_words(3)
