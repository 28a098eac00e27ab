"""Which device and which number format a run's knobs name."""

from __future__ import annotations

import pytest
import torch

from cpc_engine.errors import ConfigError
from cpc_engine.runs.device import pick_device, pick_precision


def test_bf16_only_where_the_processor_computes_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for has, picked in (
        ({"avx512_bf16": True}, "bf16-mixed"),
        ({"amx_bf16": True, "avx512_bf16": False}, "bf16-mixed"),
        ({"avx512_f": True, "avx512_bf16": False}, "32-true"),
        ({}, "32-true"),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda has=has: has, raising=False)
        assert pick_precision("auto", "cpu") == picked
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert pick_precision("auto", "cpu") == "32-true", "an older torch cannot tell"


def test_what_is_asked_for_is_taken() -> None:
    assert pick_precision("32-true", "cpu") == "32-true"
    assert pick_precision("bf16-mixed", "cpu") == "bf16-mixed"
    assert pick_device("cpu") == "cpu"


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == "cpu"
    with pytest.raises(ConfigError, match="no device 'cuda:3' here"):
        pick_device("cuda:3")
