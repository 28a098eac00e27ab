"""Where runs execute: in threads of this process, on several devices, or on a Dask cluster. No setting of a run."""

from __future__ import annotations

import os
import re
from functools import partial
from typing import TYPE_CHECKING

from ..errors import ConfigError
from ..extras import extra
from .ranks.layout import layout

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..storage.folder import RunFolder
    from ..training.control import Control
    from .execute import Observer, State

    Executor = Callable[[RunFolder, Control, Observer, bool], State]  # as `execute.execute`

VARIABLE = "CPC_CLUSTER"
THREADS = "threads"


def place_of(cluster: str | None = None) -> str | None:
    """Return the cluster on which runs execute; None: threads of this process.

    Args:
        cluster: "threads", "local" (processes of this machine, one for each core), "local:N", or the address of a Dask
            scheduler; $CPC_CLUSTER or "threads" if not given.

    Raises:
        ConfigError: it is none of these.

    Example:
        >>> place_of("tcp://node1:8786"), place_of("local:4"), place_of("threads")
        ('tcp://node1:8786', 'local:4', None)
        >>> place_of("node1")
        Traceback (most recent call last):
        cpc_engine.errors.ConfigError: 'node1' is no cluster: threads, local, local:N, or tcp://HOST:PORT of a scheduler
    """
    chosen = cluster or os.environ.get(VARIABLE) or THREADS
    if chosen == THREADS:
        return None
    if re.fullmatch(r"local(:[1-9]\d{0,2})?|[a-z]+://\S+", chosen):
        return chosen
    raise ConfigError(f"{chosen!r} is no cluster: threads, local, local:N, or tcp://HOST:PORT of a scheduler")


def executor(cluster: str | None = None, connect: bool = True, devices: int | None = None, nodes: int = 1) -> Executor:
    """Return the function that executes runs there.

    Args:
        cluster: see `place_of`.
        connect: wait for an answer of the cluster; else a run is interrupted where there is none.
        devices, nodes: share the batches of each run among so many devices of so many machines (see `ranks.layout`).

    Raises:
        ConfigError: no such cluster, Dask is not installed, or there cannot be so many devices.
        ClusterError: no scheduler answers.
    """
    address, place = place_of(cluster), layout(devices, nodes)
    if place is not None:
        if address is not None:
            raise ConfigError(f"--devices shares a run among devices of this machine: it cannot go to {address}, too")
        if place.rank > 0:
            raise ConfigError(f"process {place.rank} of torchrun follows: start it with -m cpc_engine train or resume")
        from .ranks.lead import execute_on

        return partial(execute_on, place=place)
    if address is None:
        from .execute import execute  # torch, which a process that has others train does not need

        return execute
    extra("distributed", "cluster")
    from .cluster.client import client_for
    from .cluster.submit import execute_there

    if connect:
        client_for(address)
    return partial(execute_there, address=address)
