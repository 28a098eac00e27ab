"""The process group of a run's ranks, and the line on which rank 0 says what comes next."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from ...errors import ClusterError
from ...training.ranks import peers

PATIENCE = timedelta(minutes=3)  # for an answer of another rank, within a step and between two
LOADING = timedelta(hours=3)  # for the data of the slowest rank
LEFT = 3  # exit code of a rank that another one has left
_PAUSE = timedelta(days=365)  # for the next word of rank 0: pauses, and its metrics


class Word(IntEnum):
    """What rank 0 says."""

    END = 0
    BEGIN = 1  # with what a trainer is made from
    STATE = 2  # with its tensors
    STEP = 3
    RECORDED_STEP = 4
    CHANGE = 5  # with a configuration


def version() -> str:
    """Return the version of the package that is installed here."""
    return str(sys.modules[__name__.partition(".")[0]].__version__)


def leave() -> None:
    """Leave the process group, if this process is in one."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


class Line:
    """Messages from rank 0 to all others, which wait for the next one as long as a pause may be.

    Rank 0 does not wait for them as long: a message goes out when it is taken, not when it is sent.

    Args:
        rank: 0 … W − 1. count: W.
        folder: in which ranks of one machine meet; None where torchrun has started them.

    Raises:
        ClusterError: the others do not come.
    """

    def __init__(self, rank: int, count: int, folder: Path | None) -> None:
        store = None
        if folder is not None:
            store = distributed.FileStore(str(folder / "meeting"), count)  # type: ignore[attr-defined]
            if sys.platform == "linux":
                os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # so that nothing listens on the network
        os.environ.setdefault("TORCH_NCCL_BLOCKING_WAIT", "1")  # an error in place of the end of the process
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        with peers():
            distributed.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=PATIENCE)
            self._words: Any = distributed.new_group(backend="gloo", timeout=_PAUSE if rank else PATIENCE)
            self._loaded: Any = distributed.new_group(backend="gloo", timeout=LOADING)
        self._count = count

    def say(self, word: Word, content: bytes = b"") -> None:
        """Send a word, and what belongs to it, to all other ranks.

        Raises:
            ClusterError: one has gone.
        """
        self._pass_on(torch.tensor([word, len(content)]))
        if content:
            self._pass_on(torch.frombuffer(bytearray(content), dtype=torch.uint8))

    def hear(self) -> tuple[Word, bytes]:
        """Wait for the next word of rank 0.

        Raises:
            ClusterError: it has gone.
        """
        word, size = self._pass_on(torch.zeros(2, dtype=torch.int64)).tolist()
        content = self._pass_on(torch.empty(size, dtype=torch.uint8)).numpy().tobytes() if size else b""
        return Word(word), content

    def _pass_on(self, tensor: torch.Tensor) -> torch.Tensor:
        """Fill the tensor of every rank with that of rank 0."""
        with peers():
            distributed.broadcast(tensor, 0, group=self._words)
        return tensor

    def check_data(self, digest: str) -> None:
        """Wait until every rank has loaded its data.

        Args:
            digest: hexadecimal digits that must be the same on all.

        Raises:
            ClusterError: they are not, or a rank has gone.
        """
        mine = torch.tensor([int(digest[:15], 16)])
        found = [torch.zeros_like(mine) for _ in range(self._count)]
        with peers():
            distributed.all_gather(found, mine, group=self._loaded)
        for rank, value in enumerate(found):
            if not value.equal(found[0]):
                raise ClusterError(f"rank {rank} has other data than rank 0")
