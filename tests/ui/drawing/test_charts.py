"""Figure builders and the palette: plain data in, plain dicts out."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.paths import REPOSITORY
from ui.drawing.charts import Series, downsample, line_figure, smooth, stacked_figure
from ui.drawing.palette import COLORS, DASHES, MODALITY_STYLES, SOURCE_STYLES, SYMBOLS, class_style, series_style

ROOT = REPOSITORY


@given(st.integers(1, 5000), st.integers(4, 700), st.integers(0, 2**32 - 1))
def test_downsample_keeps_ends_extremes_and_order(count: int, limit: int, seed: int) -> None:
    y = np.random.default_rng(seed).normal(size=count)
    x = np.arange(count) * 0.5
    xs, ys = downsample(x, y, limit)
    assert len(xs) <= limit
    assert (xs[0], xs[-1], ys[0], ys[-1]) == (x[0], x[-1], y[0], y[-1])
    assert (ys.min(), ys.max()) == (y.min(), y.max())
    assert (np.diff(xs) > 0).all()
    np.testing.assert_array_equal(ys, y[(xs * 2).astype(int)])


def test_downsample_keeps_the_low_and_the_high_of_each_bucket() -> None:
    y = np.zeros(1002)
    y[[100, 503]] = 9.0
    y[[150, 555]] = -9.0
    xs, ys = downsample(np.arange(1002), y, 22)  # ten buckets of a hundred
    assert {100: 9.0, 503: 9.0, 150: -9.0, 555: -9.0}.items() <= dict(zip(xs, ys, strict=True)).items()


def test_downsample_leaves_short_curves_and_long_gaps() -> None:
    xs, ys = downsample([1, 2, 3], [4, np.nan, 6])
    np.testing.assert_array_equal(xs, [1, 2, 3])
    np.testing.assert_array_equal(ys, [4, np.nan, 6])
    y = np.ones(1000)
    y[300:600] = np.nan
    _, ys = downsample(np.arange(1000), y, 50)
    assert np.isnan(ys).any()
    assert np.isfinite(ys).sum() > 15


def test_downsample_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match="limit"):
        downsample([1], [1], 3)
    with pytest.raises(ValueError, match="as many x as y"):
        downsample([1, 2], [1])


@given(st.lists(st.one_of(st.just(float("nan")), st.floats(-1e3, 1e3)), max_size=80), st.integers(1, 30))
def test_smooth_is_the_mean_of_the_latest_finite_points(values: list[float], window: int) -> None:
    for at, mean in enumerate(smooth(values, window)):
        around = np.array(values[max(0, at - window + 1) : at + 1])
        around = around[np.isfinite(around)]
        assert mean == pytest.approx(around.mean(), abs=1e-6) if len(around) else np.isnan(mean)


def test_no_smoothed_curve_moves_before_its_values_do() -> None:
    step = np.where(np.arange(400) < 200, 9.0, 1.0)
    np.testing.assert_array_equal(smooth(step)[:200], step[:200])
    assert smooth(step)[200] < 9


def test_line_figure_draws_raw_values_beneath_smoothed_ones() -> None:
    y = np.sin(np.arange(3000.0))
    y[10] = np.nan
    series = [
        Series("in batch", np.arange(3000), y, SOURCE_STYLES["in_batch"]),
        Series("queue", [1], [2], SOURCE_STYLES["queue"]),
    ]
    figure = line_figure(series, "step", "loss", "Loss", smoothed=True)
    raw, bold, *_ = figure["data"]
    assert raw["opacity"] < 1
    assert raw["line"]["width"] < bold["line"]["width"]
    assert not raw["showlegend"]
    assert raw["legendgroup"] == bold["legendgroup"]
    assert max(abs(v) for v in raw["y"] if v is not None) > 0.999
    assert len(bold["x"]) <= 600
    assert figure["data"][3]["mode"] == "lines+markers", "one point alone must be seen"
    assert figure["layout"]["uirevision"]
    assert "NaN" not in json.dumps(figure, allow_nan=False)
    assert len(line_figure(series, "step", "loss")["data"]) == 2


def test_figures_are_valid_plotly() -> None:
    import plotly.graph_objects as go

    series = [series_style(i) for i in range(12)]
    go.Figure(
        line_figure([Series(str(i), [0, 1], [1, 0], style) for i, style in enumerate(series)], "x", "y", "t", True)
    )


def test_styles_differ_without_color() -> None:
    assert list(SOURCE_STYLES) == ["in_batch", "queue", "perturbed", "shuffled", "cross_modal", "mixed"]
    for styles in (SOURCE_STYLES, MODALITY_STYLES):
        for look in ("color", "symbol", "dash"):
            assert len({getattr(style, look) for style in styles.values()}) == len(styles)
    assert len({class_style(i).symbol for i in range(8)}) == 8
    assert len({(class_style(i).color, class_style(i).symbol) for i in range(64)}) == 64
    assert len(set(COLORS)) == len(set(SYMBOLS)) == 8
    assert {style.dash for style in SOURCE_STYLES.values()} <= set(DASHES)


def test_the_theme_uses_the_same_colors() -> None:
    theme = (ROOT / ".streamlit" / "config.toml").read_text()
    listed = re.search(r"^chartCategoricalColors = \[(.*)\]$", theme, re.MULTILINE)
    assert listed is not None
    assert tuple(re.findall(r"#\w{6}", listed.group(1))) == COLORS


def test_charts_import_neither_plotly_nor_streamlit() -> None:
    code = "import sys, ui.drawing.charts; print(sorted({'plotly', 'streamlit', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@given(st.integers(1, 1000))
def test_long_areas_are_means_of_stretches_at_steps_that_were_recorded(count: int) -> None:
    x = np.arange(1, count + 1)
    y = np.random.default_rng(count).uniform(0, 100, count)
    (trace,) = stacked_figure([Series("a", x, y, series_style(0))], "step", "share (%)")["data"]
    assert len(trace["x"]) <= 150
    assert trace["x"][-1] == count
    before = 0
    for step, share in zip(trace["x"], trace["y"], strict=True):
        assert isinstance(step, int), "no step between two"
        assert share == pytest.approx(y[before:step].mean(), rel=1e-5)
        before = step


def test_negative_shares_are_not_cut_off() -> None:
    ys = {"easy": [20.0, -12.5], "hard": [80.0, 112.5]}
    for order, expected in ((("hard", "easy"), [0, 112]), (("easy", "hard"), [-13, 100])):
        series = [Series(name, [1, 2], ys[name], series_style(i)) for i, name in enumerate(order)]
        assert stacked_figure(series, "step", "share (%)")["layout"]["yaxis"]["range"] == expected
    plain = stacked_figure([Series("whole", [1, 2], [40.0, 60.0], series_style(0))], "step", "share (%)")
    assert plain["layout"]["yaxis"]["range"] == [0, 100]


@pytest.mark.parametrize(
    ("name", "shown"),
    [("A · loss", "A · loss"), ("A" * 24, "A" * 24), ("A" * 25, "A" * 23 + "…"), ("%{y} of it", "% {y} of it")],
)
def test_a_value_under_the_mouse_has_the_beginning_of_its_name(name: str, shown: str) -> None:
    (trace,) = line_figure([Series(name, [0, 1], [1, 2])], "step", "")["data"]
    assert trace["name"] == name
    assert trace["hovertemplate"] == shown + " %{y:.4~g}<extra></extra>"
