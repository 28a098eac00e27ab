"""Measurements of the engine and of its peers: `python -m benchmarks.loss`, `.training`, `.tables`."""

import os

# As `cpc_engine` does, which some of these import after torch (or, where sources are changed first, not here).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
