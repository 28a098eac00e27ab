"""A run on a cluster, seen from the process that wants it: submitted, followed through its folder, steered, ended."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

from ...errors import ClusterError, CpcError, StorageError
from ...storage.folder import RunFolder
from ...storage.info import ACTIVE, Status
from ...storage.lock import at_work, publish
from ...storage.remote.refresh import address_of, refresh
from ...training.control import Control
from ..channel import Channel, Flag
from ..execute import Observer, Phase, State
from .client import client_for
from .local import GPU
from .task import version, work

LOOK, ASK = 0.2, 2.0  # s between two looks at a run, and between two questions to the scheduler
BRING = 1.0  # s between two looks at a run of a URL
NO_GPU = "waiting for a worker with a GPU"
GONE = "the cluster's scheduler has gone; the run can be resumed"
TAKEN_UP = "its worker has gone; another one goes on from the last checkpoint as soon as one is free"


def execute_there(
    folder: RunFolder, control: Control, observe: Observer, resume: bool, address: str, evaluate: bool = False
) -> State:
    """Train a run on a cluster; as `execute`, from where the calling thread follows it.

    Args:
        address: of the cluster (see `client_for`).
        evaluate: measure probes there, too, once it has finished.

    Returns:
        The state in which the run ended. "interrupted", and resumable, where the cluster has gone.
    """
    channel = Channel(folder.path)
    observe(Phase("waiting for the cluster", 0.0))
    try:
        client = client_for(address)
        with at_work(folder.path):  # refuses a run that another process trains
            ticket = channel.open()
    except ClusterError as error:
        state = State("interrupted", f"{error}; the run can be resumed")
        folder.update(status=state.status, message=state.message)
    except CpcError as error:
        state = State("failed", str(error))
    else:
        future = client.submit(
            work,
            address_of(folder.path),
            ticket,
            version(),
            resume,
            evaluate,
            key=f"{folder.id}-{ticket}",
            resources={GPU: 1} if folder.config().run.device.startswith("cuda") else None,
            pure=False,
        )
        return follow(folder, control, observe, client, future)
    observe(state)
    return state


def follow(folder: RunFolder, control: Control, observe: Observer, client: Any = None, future: Any = None) -> State:
    """Follow a run on a cluster to its end.

    Args:
        client, future: of the run's task; None where another process has submitted it, which then also ends it.
    """
    follower = _Follower(folder, control, observe, client, future)
    try:
        state = follower.to_the_end()
    except BaseException:
        if future is not None:
            Channel(folder.path).set("stop", True)  # nobody wants it any more
        raise
    info = folder.info()
    if future is not None:
        with contextlib.suppress(StorageError):  # of a URL that does not answer
            Channel(folder.path).close()
    if future is not None and (info.status, info.message) != (state.status, state.message):
        folder.update(status=state.status, message=state.message)
        with contextlib.suppress(CpcError):  # a worker is still at work on it, or the URL does not answer
            publish(folder.path)
    observe(state)
    return state


class _Follower:
    def __init__(self, folder: RunFolder, control: Control, observe: Observer, client: Any, future: Any) -> None:
        self.folder, self.control, self.observe = folder, control, observe
        self.client, self.future = client, future
        self.channel = Channel(folder.path)
        self.gone = False  # the cluster
        self.sent = (False, False)  # stop and pause
        self.state, self.phase = State("queued"), Phase("waiting for the cluster", 0.0)
        self.file, self.offset = 0, 0  # of metrics.jsonl: what it is, and how much of it was read
        self.step = next((record["step"] for record in folder.records()[-1:]), 0)
        self.asked = time.monotonic()  # for the workers
        self.brought = 0.0
        self.changes: dict[str, Any] = {}  # of settings, that are still to be sent

    def to_the_end(self) -> State:
        while True:
            end = self._end()
            self._bring(end is not None)
            status = self.folder.info().status  # before the records, so that a pause is shown with all steps before it
            self._records()
            if end is not None:
                return end
            try:
                self._send()
            except StorageError:
                if not self.channel.is_shared:
                    raise  # else the URL does not answer: the next time
            self._show(status)
            time.sleep(LOOK)

    def _end(self) -> State | None:
        """How the run has ended; None while it goes on or waits."""
        info = self.folder.info()
        begun = info.status in ("running", "paused")
        if self.future is not None:
            if self.future.status == "finished":
                return State(*self.future.result())
            if self.future.status == "error":
                return _failure(self.future.exception())
            if self.future.status != "pending":
                self.future, self.gone = None, True
            elif self.control.stopping and not begun:
                return self._withdraw()
        if self.future is None and not begun:
            lost = self.gone and info.status in ("queued", "interrupted")
            if lost or info.status not in ACTIVE:
                return State("interrupted", GONE) if lost else State(info.status, info.message)
        return None

    def _withdraw(self) -> State | None:
        """Stop a run that no worker trains."""
        try:
            with at_work(self.folder.path):
                self.channel.close()  # a worker that is about to begin then does not
        except CpcError:
            return None  # one has begun
        self.future.cancel()
        return State(
            "stopped", "stopped while it waited for another worker" if self.step else "stopped before it began"
        )

    def _bring(self, now: bool) -> None:
        """Bring what the worker has written of a run of a URL."""
        if self.channel.is_shared and (now or time.monotonic() > self.brought + BRING):
            with contextlib.suppress(StorageError):  # it does not answer: the next time
                refresh(self.folder.path.parent, self.folder.id)
            self.brought = time.monotonic()

    def _records(self) -> None:
        """Pass new records on; steps that are repeated after the death of a worker were passed on before."""
        path = self.folder.path / "metrics.jsonl"
        try:
            found = path.stat()
            if (found.st_ino, found.st_size) == (self.file, self.offset):
                return
            with path.open("rb") as file:
                if found.st_ino != self.file:  # rewritten, without what came after the checkpoint
                    self.file, self.offset = found.st_ino, 0
                file.seek(self.offset)
                lines = file.read()
        except FileNotFoundError:
            return
        whole = lines[: lines.rfind(b"\n") + 1]
        self.offset += len(whole)
        for line in whole.splitlines():
            record = json.loads(line)
            if record["step"] > self.step:
                self.step = record["step"]
                self.observe(record)

    def _send(self) -> None:
        """Pass on what is asked of the run; changes first, so that they are there when a pause ends."""
        self.changes |= self.control.take_changes()
        for path in list(self.changes):
            self.channel.send({"setting": path, "value": self.changes[path]})
            del self.changes[path]
        wanted = (self.control.stopping, self.control.paused)
        flags: tuple[Flag, Flag] = ("stop", "pause")
        for flag, now, before in zip(flags, wanted, self.sent, strict=True):
            if now != before:
                self.channel.set(flag, now)
        self.sent = wanted

    def _show(self, status: Status) -> None:
        """Pass on the run's state, and what its worker does."""
        state = State(status) if status in ACTIVE else State("queued", TAKEN_UP)
        doing = self.channel.doing()
        phase = Phase(doing["text"], doing["share"]) if doing else Phase(self._missing(), 0.0)
        if state != self.state or (phase != self.phase and not phase.text):
            self.observe(state)
        if phase != self.phase and phase.text:
            self.observe(phase)
        self.state, self.phase = state, phase

    def _missing(self) -> str:
        """What a waiting run waits for, if it is not for others to end."""
        if self.client is None or time.monotonic() < self.asked + ASK:
            return self.phase.text
        self.asked = time.monotonic()
        workers = self.client.scheduler_info()["workers"].values()
        needs = GPU if self.folder.config().run.device.startswith("cuda") else None
        if not workers:
            return "waiting for a worker"
        return "" if needs is None or any(needs in worker["resources"] for worker in workers) else NO_GPU


def _failure(error: BaseException) -> State:
    """The state of a run whose task failed before or beside the training."""
    if type(error).__name__ == "KilledWorker":
        return State("interrupted", "its workers died again and again; the run can be resumed")
    reason = str(error).partition("\n")[0]
    return State("failed", f"the cluster cannot train it: {type(error).__name__}: {reason}")
