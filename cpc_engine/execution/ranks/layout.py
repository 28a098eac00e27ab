"""Which rank of a run this process is: the only one, the first of those it starts itself, or one of torchrun's."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ...errors import ConfigError
from ..device import pick_device


@dataclass(frozen=True)
class Layout:
    """The place of this process among the W ranks of a run.

    Attributes:
        rank: 0 … W − 1. count: W. local: its number on its machine. devices: ranks of each machine.
        launched: whether torchrun has started all ranks; else rank 0 starts the others.
    """

    rank: int
    count: int
    local: int
    devices: int
    launched: bool

    def device(self, name: str) -> str:
        """Return the device of this rank for a run's `device` setting, as torch names it.

        Raises:
            ConfigError: the setting names one device of several, or there are not as many.
        """
        kind = pick_device(name).partition(":")[0]
        if ":" in name:
            raise ConfigError(f"run.device is {name}, a single one: with --devices it is cpu, cuda or auto")
        return kind if kind == "cpu" else pick_device(f"{kind}:{self.local}")


def layout(devices: int | None, nodes: int = 1) -> Layout | None:
    """Return the place of this process among the ranks of a run; None where it is the only one.

    Args:
        devices: of each machine; None where nobody asks: as many as torchrun has started, or one.
        nodes: machines.

    Raises:
        ConfigError: a number below 1, another number of ranks than torchrun has started, or several machines without
            it.

    Example:
        >>> layout(1) is None, layout(3).count
        (True, 3)
    """
    launched = "TORCHELASTIC_RUN_ID" in os.environ
    here = int(os.environ["LOCAL_WORLD_SIZE"]) if launched else 1
    wanted = here if devices is None else devices
    if wanted < 1 or nodes < 1:
        raise ConfigError(f"--devices and --nodes: 1 or more, not {wanted} and {nodes}")
    if launched:
        count = int(os.environ["WORLD_SIZE"])
        if (wanted, wanted * nodes) != (here, count):
            raise ConfigError(
                f"torchrun has started {count} processes, {here} here: not --devices {wanted} --nodes {nodes}"
            )
        return Layout(int(os.environ["RANK"]), count, int(os.environ["LOCAL_RANK"]), here, True) if count > 1 else None
    if nodes > 1:
        raise ConfigError(
            f"--nodes {nodes}: start it on each machine with torchrun --nnodes {nodes} --nproc-per-node {wanted} "
            "-m cpc_engine (docs/scale.md)"
        )
    return Layout(0, wanted, 0, wanted, False) if wanted > 1 else None
