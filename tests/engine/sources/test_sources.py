"""Tests of the registry of sources of negatives."""

from __future__ import annotations

from cpc_engine import RunConfig
from cpc_engine.sources import SOURCES


def test_every_source_but_in_batch_can_be_switched_off() -> None:
    assert [name for name, source in SOURCES.items() if not source.off] == ["in_batch"]
    for source in SOURCES.values():
        RunConfig().replace(source.off)
