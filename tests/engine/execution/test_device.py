"""Tests of the device and the number format that a run's settings select."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from cpc_engine.errors import ConfigError
from cpc_engine.execution.device import lower_priority, pick_device, pick_precision


def test_bf16_only_where_the_processor_supports_it_natively(monkeypatch: pytest.MonkeyPatch) -> None:
    for features, expected in (
        ({"avx512_bf16": True}, "bf16-mixed"),
        ({"amx_bf16": True, "avx512_bf16": False}, "bf16-mixed"),
        ({"avx512_f": True, "avx512_bf16": False}, "32-true"),
        ({}, "32-true"),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda features=features: features, raising=False)
        assert pick_precision("auto", "cpu") == expected
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert pick_precision("auto", "cpu") == "32-true", "an older torch does not report it"


def test_explicit_settings_are_used() -> None:
    assert pick_precision("32-true", "cpu") == "32-true"
    assert pick_precision("bf16-mixed", "cpu") == "bf16-mixed"
    assert pick_device("cpu") == "cpu"


def test_a_missing_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == "cpu"
    with pytest.raises(ConfigError, match="no device 'cuda:3' here"):
        pick_device("cuda:3")


@pytest.mark.skipif(sys.platform != "linux", reason="threads have their own priority on Linux only")
def test_only_a_background_thread_gets_a_lower_priority() -> None:
    def priority() -> int:
        lower_priority()
        return os.getpriority(os.PRIO_PROCESS, 0)

    before = os.getpriority(os.PRIO_PROCESS, 0)
    assert priority() == before
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(priority).result() == max(before, 10)
