"""Runs as they are compared, without a folder."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from cpc_engine.comparison.arms import ComparedRun
from cpc_engine.config import RunConfig


def compared(
    id: str,
    seed: int = 0,
    status: str = "finished",
    metrics: dict[str, Any] | None = None,
    changes: Iterable[Any] = (),
    items: dict[str, np.ndarray] | None = None,
    **settings: Any,
) -> ComparedRun:
    """A run with these metrics; settings are passed as section__setting=value."""
    config = RunConfig().replace(
        {"run.seed": seed, "run.name": id, **{k.replace("__", "."): v for k, v in settings.items()}}
    )
    return ComparedRun(id, config, status, status == "finished", metrics or {}, tuple(changes), items or {})
