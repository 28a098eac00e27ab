"""Measurements of the engine and of its peers: `python -m benchmarks.loss`, `.training`, `.tables`."""

import cpc_engine as cpc_engine  # first, so that OpenMP threads sleep while they wait: torch reads that as it is loaded
