"""Curves of one run: its queue against what it encodes now, and similarities at the steps that it keeps."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from cpc_engine.anatomy.over_time import Distribution, Staleness
from cpc_engine.anatomy.shuffling import Kept, Shuffle
from ui.drawing.curves import table
from ui.drawing.figure_file import Look, figure_file
from ui.negatives.over_time_figures import shuffling_columns, shuffling_figure, shuffling_words, staleness_figure
from ui.negatives.ridges import age_figure, closer_figure, ridge_figure, ridge_height, ridge_words


def test_staleness_is_that_of_the_records() -> None:
    records: list[dict[str, Any]] = [{"step": 1, "geometry": {}}, {"step": 2, "geometry": {"queue_drift": 0.5}}]
    stale = staleness_figure(records, "audio")
    assert stale is not None
    assert (stale["data"][0]["x"], stale["data"][0]["y"]) == ([2], [0.5])
    assert staleness_figure(records[:1], "audio") is None


def test_ridges_are_the_counts_relative_to_their_peak() -> None:
    edges = torch.linspace(-1, 1, 5)
    rows = [
        Distribution(
            2, edges, torch.tensor([0.0, 1, 3, 0]), {"in_batch": torch.tensor([2.0, 4, 0, 0])}, {"in_batch": 3}
        ),
        Distribution(
            8,
            edges,
            torch.tensor([0.0, 0, 0, 4]),
            {"in_batch": torch.ones(4), "queue": torch.ones(4)},
            {"in_batch": 1, "queue": 0},
        ),
    ]
    figure = ridge_figure(rows, "in_batch")
    assert table(figure) == {
        "similarity to the anchor": [-0.75, -0.25, 0.25, 0.75],
        "In-batch, step 2": [0.5, 1, 0, 0],
        "positive, step 2": pytest.approx([0, 1 / 3, 1, 0], abs=1e-5),
        "In-batch, step 8": [1, 1, 1, 1],
        "positive, step 8": [0, 0, 0, 1],
    }
    domains = [figure["layout"][axis]["domain"] for axis in ("yaxis", "yaxis2")]
    assert domains[0][0] > domains[1][1], "the earlier step stands above"
    assert ridge_height(ridge_figure(rows, "queue")) < ridge_height(figure), "no row without candidates"
    words = ridge_words(rows, "in_batch")
    assert "at step 2 negatives -0.42, positives 0.12; at step 8 negatives 0.00, positives 0.75" in words
    closer = closer_figure(rows)
    assert table(closer) == {"step": [2, 8], "In-batch": [50, 25], "Queue": [None, 0]}
    for kind in ("SVG", "PDF"):
        assert len(figure_file(figure, Look(), kind)) > 4000


def test_words_on_ridges_name_the_steps_that_have_the_source() -> None:
    edges, ones = torch.linspace(-1, 1, 5), torch.ones(4)

    def at(step: int, *names: str) -> Distribution:
        return Distribution(step, edges, ones, dict.fromkeys(names, ones), dict.fromkeys(names, 0))

    rows = [at(1), at(2, "queue"), at(4, "in_batch", "queue"), at(8, "in_batch"), at(16, "in_batch", "queue"), at(32)]
    for source, steps in {"queue": (2, 16), "in_batch": (4, 16)}.items():
        words = ridge_words(rows, source)
        assert [int(part.split()[0]) for part in words.split("at step ")[1:]] == list(steps)
    assert ridge_words(rows[:2], "queue").count("at step") == 1
    assert "no candidates" in ridge_words(rows, "perturbed")
    empty = Distribution(64, edges, ones, {"queue": torch.zeros(4)}, {"queue": 0})
    assert ridge_words([*rows, empty], "queue") == ridge_words(rows, "queue")


def test_ages_of_the_queue_have_their_median_and_percentiles() -> None:
    ages = torch.tensor([1, 1, 1, 2])
    figure = age_figure(Staleness(ages, torch.tensor([0.0, 0.5, 1.0, 0.25])), step=9)
    columns = table(figure)
    assert columns["age (steps)"] == [1, 2]
    assert columns["median"] == [0.5, 0.25]
    assert columns["5 %"] == pytest.approx([0.05, 0.25])
    assert columns["95 %"] == pytest.approx([0.95, 0.25])
    assert b"<svg" in figure_file(figure, Look(), "SVG")


def test_shuffled_negatives_have_their_mean_their_quartiles_and_their_part_of_copies() -> None:
    one = Kept(torch.tensor([-0.5, 0.0, 0.5, 1.0, 1.0]).double(), torch.tensor([0.0, 0, 0, 0.5, 1]).double())
    two = Kept(torch.ones(5).double(), torch.ones(5).double())
    found: dict[Shuffle, list[Kept]] = {"time": [one, two], "input": [two, two]}
    figure, columns = shuffling_figure([2, 8], found), shuffling_columns([2, 8], found)
    own = {
        "step": [2, 8],
        "shuffled in time": pytest.approx([0.4, 1]),
        "shuffled in time, 25 %": [0, 1],
        "shuffled in time, 75 %": [1, 1],
        "shuffled in time, % above 0.95": pytest.approx([30, 100]),
    }
    assert columns == own | {
        "input shuffled": [1, 1],
        "input shuffled, 25 %": [1, 1],
        "input shuffled, 75 %": [1, 1],
        "input shuffled, % above 0.95": [100, 100],
    }
    drawn = {name: values for name, values in table(figure).items() if name in columns}
    assert drawn == {name: values for name, values in columns.items() if "above" not in name}
    assert [trace["name"] for trace in figure["data"] if trace.get("showlegend") is not False] == [
        "shuffled in time",
        "input shuffled",
        "practically a copy",
    ]
    dashes = [
        trace["line"]["dash"] for trace in figure["data"] if trace["name"] in ("shuffled in time", "input shuffled")
    ]
    assert len(set(dashes)) == 2, "not told apart by color"
    assert figure["layout"]["yaxis"]["range"] == [0, 1.05], "near 1 looks near 1"
    assert "At step 8, shuffled in time: on average 1.00, and 100% are practically copies" in shuffling_words(
        [2, 8], found
    )
    assert "At step 2, shuffled in time: on average 0.40, and 30% are" in shuffling_words([2], {"time": [one]})
    for kind in ("SVG", "PDF"):
        assert len(figure_file(figure, Look(), kind)) > 4000
    alone = shuffling_figure([2], {"input": [Kept(torch.tensor([-0.5]), torch.zeros(1))]})
    assert alone["layout"]["yaxis"]["range"][0] < -0.5
