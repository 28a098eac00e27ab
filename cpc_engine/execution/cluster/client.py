"""The connection of this process to a Dask scheduler, one for each address."""

from __future__ import annotations

import logging
import subprocess
import threading
from typing import Any

from ...errors import ClusterError
from ...extras import extra
from .local import start_local

TIMEOUT = 10  # s until a scheduler has answered
_CLIENTS: dict[str, Any] = {}
_LOCAL: dict[str, tuple[str, subprocess.Popen[str]]] = {}
_LOCK = threading.Lock()


def client_for(address: str) -> Any:
    """Return the Dask client of this process for a cluster; a new one where the scheduler has gone meanwhile.

    Args:
        address: of the scheduler, or "local" or "local:N" for processes of this machine, which are started.

    Raises:
        ConfigError: Dask is not installed. ClusterError: no scheduler answers.
    """
    distributed = extra("distributed", "cluster")
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what it logs is told in one line
    with _LOCK:
        client = _CLIENTS.get(address)
        if client is not None and client.status == "running":
            return client
        try:
            found = distributed.Client(scheduler_of(address), timeout=TIMEOUT, set_as_default=False, name="cpc-lab")
        except (OSError, ValueError) as error:  # a time-out is an OSError
            raise ClusterError(f"no Dask scheduler answers at {address} ({type(error).__name__})") from None
        _CLIENTS[address] = found
    return found


def scheduler_of(address: str) -> str:
    """Return the address of a cluster's scheduler; starts the processes of "local" where there are none.

    Raises:
        ConfigError: Dask is not installed. ClusterError: the processes do not start.
    """
    name, _, workers = address.partition(":")
    if name != "local":
        return address
    known = _LOCAL.get(address)
    if known is None or known[1].poll() is not None:
        extra("distributed", "cluster")
        known = _LOCAL[address] = start_local(int(workers or 0))
    return known[0]
