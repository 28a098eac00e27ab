"""Curves of one run alone: how out of date its queue was, and how safe its noise is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..drawing.charts import Figure, Series, line_figure
from ..drawing.curves import Record, number
from ..drawing.palette import SOURCE_STYLES, VERMILION, Style


def staleness_figure(records: Sequence[Record], modality: str) -> Figure | None:
    """Cosine between queued latents and the same encoded again; None where none was measured."""
    rows = [(row["step"], row["geometry"]) for row in records if row.get("geometry")]
    values = [(step, g.get(f"{modality}.queue_drift", g.get("queue_drift"))) for step, g in rows]
    known = [(step, number(value)) for step, value in values if value is not None]
    if not known:
        return None
    series = [Series("queue", [s for s, _ in known], [v for _, v in known], SOURCE_STYLES["queue"])]
    return line_figure(series, "step", "cosine", "Queue staleness")


def safety_figure(dim: int, sigma: float) -> Figure:
    """Expected cosine between a latent and its noisy version over σ, with the present σ marked.

    Example:
        >>> figure = safety_figure(dim=64, sigma=0.1)
        >>> round(figure["data"][-1]["y"][0], 2)
        0.78
    """
    sigmas = np.geomspace(0.005, 2.0, 60)
    curve = Series("expected cosine", sigmas, 1 / np.sqrt(1 + dim * sigmas**2), SOURCE_STYLES["perturbed"])
    now = Series("σ now", [sigma], [1 / math.sqrt(1 + dim * sigma**2)], Style(VERMILION, "star"))
    figure = line_figure([curve, now], "noise σ", "cosine", "Noise: cosine to the positive")
    figure["data"][-1] |= {"mode": "markers"}
    figure["data"][-1]["marker"]["size"] = 15
    figure["layout"]["xaxis"] |= {"type": "log", "dtick": 1}
    figure["layout"] |= {"hovermode": "closest"}
    return figure
