"""Measurements of the engine and of its peers: `python -m benchmarks.loss`, `.training`, `.tables`."""

import os

# Before torch is loaded: most benchmarks import it before `cpc_engine`, which sets this too late for them.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
