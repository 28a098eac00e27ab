"""How well a step uses the processor: its matrix products and convolutions against the fastest ones it can do."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks.timing import synchronise

SIDE = 2048  # of the square matrices; larger ones are no faster
TRIES = 5


class FlopsByType(TorchDispatchMode):
    """Counts the floating-point operations of matrix products and convolutions, backward passes too, by data type.

    Everything else (activations, norms, random numbers, copies) counts as nothing, so it lowers the utilization.

    Example:
        >>> with FlopsByType() as counted:
        ...     _ = torch.ones(2, 3) @ torch.ones(3, 5)
        >>> counted.flops[torch.float32]
        60
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops: Counter[torch.dtype] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            dtype = next(value.dtype for value in args if isinstance(value, torch.Tensor))
            self.flops[dtype] += formula(*args, **(kwargs or {}), out_val=out)
        return out


def peak(dtype: torch.dtype, device: torch.device) -> float:
    """Most FLOP/s of a few large matrix products."""
    a, b = (torch.randn(SIDE, SIDE, device=device).to(dtype) for _ in range(2))
    a @ b
    seconds = []
    for _ in range(TRIES):
        synchronise(device)
        began = time.perf_counter()
        a @ b
        synchronise(device)
        seconds.append(time.perf_counter() - began)
    return 2 * SIDE**3 / min(seconds)


def utilization(step: Callable[[], object], seconds: float, device: torch.device) -> dict[str, Any]:
    """Share of a step's time that its products would take at their peak rates, measured now, and what that is made of.

    Args:
        step: what is counted, once. seconds: how long such a step takes when nothing counts.
    """
    with FlopsByType() as counted:
        step()
    peaks = {dtype: peak(dtype, device) for dtype in counted.flops}
    at_peak = sum(flops / peaks[dtype] for dtype, flops in counted.flops.items())
    return {
        "utilization": round(at_peak / seconds, 4),
        "gflop": {str(dtype).removeprefix("torch."): round(n / 1e9, 3) for dtype, n in counted.flops.items()},
        "peak_gflop_per_s": {str(dtype).removeprefix("torch."): round(p / 1e9, 1) for dtype, p in peaks.items()},
    }
