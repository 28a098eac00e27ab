"""CPC Lab's engine: contrastive predictive coding over sounds and pictures with hybrid negatives.

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
    from .config import RunConfig
    from .errors import CpcError
    from .placing import place
    from .presets import PRESETS, preset
    from .runs.folder import RunFolder, list_runs
    from .runs.manager import RunManager, manager_for

__all__ = ["PRESETS", "CpcError", "RunConfig", "RunFolder", "RunManager", "list_runs", "manager_for", "place", "preset"]
__version__ = "0.1.0"

_HOMES = {
    "CpcError": ".errors",
    "PRESETS": ".presets",
    "RunConfig": ".config",
    "RunFolder": ".runs.folder",
    "RunManager": ".runs.manager",
    "list_runs": ".runs.folder",
    "manager_for": ".runs.manager",
    "place": ".placing",
    "preset": ".presets",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name], __name__), name)
