"""Measurements of the engine and of its peers: `python -m benchmarks.loss`, `.training`, `.tables`."""
