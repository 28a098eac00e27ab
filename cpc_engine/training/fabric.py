"""Fabric and its number formats, without torchmetrics.

Where torchmetrics is installed, lightning_fabric imports all of it to learn its version, which takes seconds. An empty
module in its place lets the version be read from what is installed, and nothing here uses more of it.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import ModuleType

_UNUSED = "torchmetrics"
_hidden = _UNUSED not in sys.modules and find_spec(_UNUSED) is not None
if _hidden:
    sys.modules[_UNUSED] = ModuleType(_UNUSED)
try:
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.precision import MixedPrecision, Precision
finally:
    if _hidden:
        del sys.modules[_UNUSED]

__all__ = ["Fabric", "MixedPrecision", "Precision"]
