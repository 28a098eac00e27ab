"""Where a run computes, and in which number format."""

from __future__ import annotations

import os
from typing import Any, Literal

from ..errors import ConfigError

Precision = Literal["32-true", "bf16-mixed"]


def pick_device(name: str) -> str:
    """The device that a run's `device` knob names on this machine.

    Raises:
        ConfigError: it is not there.
    """
    import torch

    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return "cuda:0" if available else "cpu"
    if name.startswith("cuda"):
        index = int(name.partition(":")[2] or 0)
        if index >= available:
            raise ConfigError(f"no device {name!r} here ({available} CUDA devices); use --device cpu")
        return f"cuda:{index}"
    return name


def pick_precision(name: Literal["auto"] | Precision, device: str) -> Precision:
    """The number format that a run's `precision` knob names on `device`, as Fabric calls it.

    A processor without bf16 of its own would emulate it, several times slower than fp32.
    """
    import torch

    if name != "auto":
        return name
    if device.startswith("cuda"):
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # not there before torch 2.12
        native = bool(has.get("avx512_bf16") or has.get("amx_bf16"))
    return "bf16-mixed" if native else "32-true"


def usable_cores() -> int:
    """Cores that this process may use: a container or `taskset` can leave it fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
