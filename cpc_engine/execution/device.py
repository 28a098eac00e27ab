"""Device, number format, torch settings, priority, and memory of a run."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from ..config import RunConfig, RunSettings
from ..config.unread import unread
from ..errors import ConfigError, OutOfMemoryError

if TYPE_CHECKING:
    from ..training.fabric import Fabric
    from ..training.fabric import Precision as FabricPrecision

Precision = Literal["32-true", "bf16-mixed"]

# How torch tells of memory that ran out where it has no class of its own for it: in a library, the driver, or the CPU.
_SHORT = re.compile(r"out of memory|can't allocate memory|_STATUS_ALLOC_FAILED")
_OF_A_GPU = re.compile("CUDA|CU[A-Z]+_STATUS")

# Fabric notes once per process that a backward pass is its own, without which the pass of another thread is refused.
_BACKWARD = threading.Lock()


def pick_device(name: str) -> str:
    """Return the device for a run's `device` setting on this machine, as torch names it.

    Args:
        name: "auto", "cpu", "cuda", or "cuda:N".

    Raises:
        ConfigError: the machine has no such device.

    Example:
        >>> pick_device("cpu")
        'cpu'
    """
    import torch

    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return "cuda:0" if available else "cpu"
    if name.startswith("cuda"):
        index = int(name.partition(":")[2] or 0)
        if index >= available:
            raise ConfigError(f"no device {name!r} here ({available} CUDA devices); use device auto or cpu")
        return f"cuda:{index}"
    return name


def pick_precision(name: Literal["auto"] | Precision, device: str) -> Precision:
    """Return the number format for a run's `precision` setting on a device, as Fabric names it.

    "auto" is bf16 where the device supports it natively; emulated bf16 is several times slower than fp32.

    Args:
        device: as `pick_device` returns it.

    Example:
        >>> pick_precision("32-true", "cpu")
        '32-true'
    """
    import torch

    if name != "auto":
        return name
    if device.startswith("cuda"):
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        features: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # missing before torch 2.12
        native = bool(features.get("avx512_bf16") or features.get("amx_bf16"))
    return "bf16-mixed" if native else "32-true"


def usable_cores() -> int:
    """Return the number of cores that this process may use; a container or `taskset` can limit it."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def lower_priority() -> None:
    """Give a background thread a lower priority than the page that shows its work, where the system supports it."""
    if sys.platform == "linux" and threading.current_thread() is not threading.main_thread():
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


def precision_plugin(precision: Precision, kind: str) -> FabricPrecision:
    """Return the Fabric plugin for a number format; `kind` is "cpu" or "cuda"."""
    from ..training.fabric import MixedPrecision
    from ..training.fabric import Precision as FullPrecision

    return MixedPrecision("bf16-mixed", kind) if precision == "bf16-mixed" else FullPrecision()


def fabric_on(device: str, precision: Precision) -> Fabric:
    """Return a Fabric for one device, as `pick_device` names it; several threads may train at the same time."""
    from ..training.fabric import Fabric

    class OneAtATime(Fabric):
        def backward(self, *arguments: Any, **options: Any) -> None:
            with _BACKWARD:
                super().backward(*arguments, **options)

    kind, _, index = device.partition(":")
    # A plugin object instead of its name, because Fabric prints a line for a name.
    plugin = precision_plugin(precision, kind)
    return OneAtATime(accelerator=kind, devices=[int(index)] if index else 1, plugins=plugin)


@contextmanager
def torch_settings(settings: RunSettings, default: int = 0) -> Iterator[None]:
    """Apply the process-wide torch settings of a run and restore the previous ones on exit.

    Threads: `settings.threads`, or `default`, or all usable cores. Matrix products in float32: full precision, or on a
    GPU TF32 where the networks run in bf16 anyway.

    Raises:
        ConfigError: the machine has no such device.
    """
    import torch

    device = pick_device(settings.device)
    threads, matmul_precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_num_threads(settings.threads or default or usable_cores())
    if device.startswith("cuda"):
        mixed = pick_precision(settings.precision, device) == "bf16-mixed"
        torch.set_float32_matmul_precision("high" if mixed else "highest")
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(matmul_precision)


@contextmanager
def enough_memory(config: RunConfig, trains: bool = True) -> Iterator[None]:
    """Run the block of a run's work; where it needs too much memory, say which settings make it need less.

    Args:
        trains: whether the block trains; else only what a new run would do otherwise can be named.

    Raises:
        OutOfMemoryError: there is not enough memory, of whatever kind.
    """
    import torch

    try:
        yield
    except (MemoryError, RuntimeError) as error:
        short = isinstance(error, MemoryError | torch.OutOfMemoryError) or _SHORT.search(str(error))
        if not short:
            raise
        where = "the GPU" if _OF_A_GPU.search(str(error)) else "this machine"
        raise OutOfMemoryError(f"{where} has run out of memory: {_way_out(config, trains)}") from error


def _way_out(config: RunConfig, trains: bool) -> str:
    """The settings of a run that decide how much memory it takes, but for those that are off or of no use to it."""
    lower = ["audio.clip_seconds", "image.size"]
    if trains:
        lower = ["optimizer.batch_size", *(["sampler.queue_size"] if config.sampler.queue_size else []), *lower]
    *most, last = [path for path in lower if path not in unread(config)]
    together = f"{', '.join(most)} or {last}" if most else last
    items = "use fewer items (data.train_items, data.test_items)"
    return f"{'' if trains else 'in a new run, '}lower {together}, or {items}"
