"""Rank 0 of a run on several devices: it trains and records as if alone, and tells the others what to do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from safetensors.torch import save

from ...config import RunConfig
from ...errors import ClusterError, ConfigError
from ...storage.folder import RunFolder
from ...training.control import Control
from ...training.ranks import ManyRanks
from ...training.trainer import Trainer
from ..device import usable_cores
from ..execute import Observer, State, execute
from .layout import Layout
from .line import LEFT, PATIENCE, Line, Word, leave, version
from .team import Team

LEAVE, FIND, LOOK = 10.0, 3.0, 0.05  # s for the others to end, to find which has gone, and between two looks at them
_ONE = threading.Lock()  # a process has one process group


def execute_on(folder: RunFolder, control: Control, observe: Observer, resume: bool, place: Layout) -> State:
    """Train a run on several devices, of which this process has the first; as `execute`.

    Returns:
        The state in which the run ended. "interrupted", and resumable, where another rank has gone.
    """
    threads = max(1, usable_cores() // place.devices)
    return execute(folder, control, observe, resume, threads, Lead(place, threads))


class Lead(Team):
    """The other ranks of a run, as rank 0 sees them; it starts them unless torchrun has.

    Args:
        place: of this process. threads: CPU threads of each rank.

    Raises:
        ClusterError: another rank does not come (on entering), or has gone (on leaving).
        ConfigError: this process leads another run already (on entering).
    """

    def __init__(self, place: Layout, threads: int) -> None:
        self._place, self._threads = place, threads
        self.ranks = ManyRanks(0, place.count)
        self._others: dict[int, subprocess.Popen[bytes]] = {}
        self._folder: Path | None = None  # in which ranks that were started here meet
        self._line: Line | None = None
        self._dismissed = False
        self._open = ExitStack()

    def __enter__(self) -> Self:
        if not _ONE.acquire(blocking=False):
            raise ConfigError("this process trains another run on several devices: wait until it has ended")
        self._open.callback(_ONE.release)
        with ExitStack() as failed:
            failed.push(self.__exit__)
            if not self._place.launched:
                self._folder = Path(self._open.enter_context(tempfile.TemporaryDirectory(prefix="cpc-ranks-")))
                self._start(self._folder)
            self._open.callback(leave)
            self._line = Line(0, self._place.count, self._folder)
            failed.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        lost = self._lost() if isinstance(error, ClusterError) else ""
        with self._open:
            if kind is None:
                self.dismiss()
            deadline = time.monotonic() + LEAVE
            for other in self._others.values():
                while kind is None and other.poll() is None and time.monotonic() < deadline:
                    time.sleep(LOOK)
                other.kill()  # without effect on one that has ended
                other.wait()
                assert other.stdin is not None
                other.stdin.close()
        if lost:
            raise ClusterError(lost) from None

    def device(self, name: str) -> str:
        return self._place.device(name)

    def describe(self, device: str) -> str:
        return f"{device.partition(':')[0]} × {self._place.count}"

    def begin(self, trainer: Trainer, config: RunConfig) -> None:
        if trainer.order.batch_size < self._place.count:
            items = trainer.order.batch_size
            raise ConfigError(f"a batch of {items} items cannot be shared by {self._place.count} devices")
        start = {"version": version(), "threads": self._threads, "config": config.to_dict()}
        self._say(Word.BEGIN, json.dumps(start).encode())
        assert self._line is not None
        self._line.check_data(trainer.data.fingerprint())
        self.change(trainer.config)
        state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in trainer.state().items()}
        self._say(Word.STATE, save(state))

    def change(self, config: RunConfig) -> None:
        self._say(Word.CHANGE, json.dumps(config.to_dict()).encode())

    def step(self, record: bool) -> None:
        self._say(Word.RECORDED_STEP if record else Word.STEP)

    def dismiss(self) -> None:
        if not self._dismissed:
            self._dismissed = True
            with suppress(ClusterError):  # nothing is asked any more of one that has gone
                self._say(Word.END)

    def _say(self, word: Word, content: bytes = b"") -> None:
        assert self._line is not None
        self._line.say(word, content)

    def _start(self, folder: Path) -> None:
        """Start the other ranks, and wait until they are there."""
        path = os.pathsep.join(filter(None, [str(Path(__file__).resolve().parents[3]), os.environ.get("PYTHONPATH")]))
        for rank in range(1, self._place.count):
            with (folder / f"said-{rank}").open("wb") as said:
                self._others[rank] = subprocess.Popen(
                    [sys.executable, "-m", f"{__package__}.follow", str(rank), str(self._place.count), str(folder)],
                    stdin=subprocess.PIPE,  # closed when this process ends, however it ends
                    stdout=subprocess.DEVNULL,
                    stderr=said,
                    env={**os.environ, "PYTHONPATH": path},
                    start_new_session=True,  # Ctrl-C is for this process, which then ends the others
                )
        deadline = time.monotonic() + PATIENCE.total_seconds()
        while missing := [rank for rank in self._others if not (folder / f"here-{rank}").exists()]:
            if time.monotonic() > deadline or any(self._others[rank].poll() is not None for rank in missing):
                raise ClusterError(f"rank {missing[0]} of {self._place.count} does not start")
            time.sleep(LOOK)

    def _lost(self) -> str:
        """Which rank of those that were started here has ended, and why; empty where none has."""
        deadline = time.monotonic() + (FIND if self._others else 0.0)
        while time.monotonic() < deadline:
            for rank, other in self._others.items():
                code = other.poll()
                if code is not None and code != LEFT:
                    return f"rank {rank} of {self._place.count} has gone ({self._why(rank, code)})"
            time.sleep(LOOK)
        return ""

    def _why(self, rank: int, code: int) -> str:
        if code < 0:
            return f"ended by {signal.Signals(-code).name}"
        assert self._folder is not None
        said = (self._folder / f"said-{rank}").read_text(errors="replace").strip()
        return said.rpartition("\n")[2][:500] or f"exit code {code}"
