"""CPC Lab's engine: contrastive predictive coding of sounds and pictures with hybrid negatives.

    import cpc_engine as cpc

    run = cpc.train("tones", steps=120)     # or cpc.open("example-tones")
    run.metrics                             # a DataFrame, one row per recorded step
    run.evaluate().probes                   # probe accuracy beside its baselines
    run.map("tsne"); run.embed("test"); run.place(["hello.wav"])
    cpc.compare(cpc.runs()[:2])             # means, intervals and verdicts side by side

Nothing heavy is imported until it is used, and nothing here knows of a user interface.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

# Read once, when torch's thread pool starts. By default waiting threads spin, and where a page or another program wants
# a core they spin against it: on 2 busy cores a training step then takes several times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from .api import Run, compare, place, runs, train
    from .api import open_run as open
    from .api.encoder import Encoder
    from .config import RunConfig
    from .errors import CpcError
    from .execution.evaluations import evaluations_for
    from .execution.manager import RunManager, manager_for
    from .presets import PRESETS, preset

__all__ = [
    "PRESETS",
    "CpcError",
    "Encoder",
    "Run",
    "RunConfig",
    "RunManager",
    "compare",
    "evaluations_for",
    "manager_for",
    "open",
    "place",
    "preset",
    "runs",
    "train",
]
__version__ = "0.2.0"

_HOMES = {
    "CpcError": (".errors", "CpcError"),
    "Encoder": (".api.encoder", "Encoder"),
    "PRESETS": (".presets", "PRESETS"),
    "Run": (".api", "Run"),
    "RunConfig": (".config", "RunConfig"),
    "RunManager": (".execution.manager", "RunManager"),
    "compare": (".api", "compare"),
    "evaluations_for": (".execution.evaluations", "evaluations_for"),
    "manager_for": (".execution.manager", "manager_for"),
    "open": (".api", "open_run"),
    "place": (".api", "place"),
    "preset": (".presets", "preset"),
    "runs": (".api", "runs"),
    "train": (".api", "train"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module, __name__), attribute)


def __dir__() -> list[str]:
    """Also the names that are imported only when they are used."""
    return sorted({*globals(), *__all__})
