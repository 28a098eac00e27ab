"""What a Dask worker does with a run: it trains it as any process would, and listens to the run's channel."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Iterator

from ...errors import CpcError, RunError, StorageError
from ...storage.folder import RunFolder
from ...storage.info import Status
from ...storage.lock import at_work
from ...storage.remote.refresh import arrive
from ...training.control import Control
from ..channel import BEAT, Channel
from ..evaluate import evaluate_run
from ..execute import Phase, Record, State, execute

LEFT = "its worker has left the cluster; the run can be resumed"
LISTEN = 0.2  # s between two looks into the channel
SYNC = 1.0  # s between two looks into the channel of a run of a URL
PATIENCE = 90.0  # s until a worker that lost its scheduler has ended its step and its lock is free

Outcome = tuple[Status, str, bool]  # a `State` as plain values


def version() -> str:
    """Return the version of the package that is installed here."""
    return str(sys.modules[__name__.partition(".")[0]].__version__)


def work(where: str, ticket: str, wanted: str, resume: bool, evaluate: bool) -> Outcome:
    """Train a run on a worker; called again on another one where a worker has died.

    Args:
        where: of the run (see `address_of`).
        ticket: see `Channel.open`. wanted: version of the package that submitted the run.
        resume: go on from its checkpoint. evaluate: measure probes, too, once it has finished.
    """
    import distributed

    host = platform.node()
    if wanted != version():
        return "failed", f"the worker on {host} has version {version()} of CPC Lab, the app has {wanted}", False
    try:
        folder = RunFolder(arrive(where))
    except CpcError as error:
        return "failed", f"the worker on {host} cannot reach the run: {error}", False
    if not folder.path.is_dir():
        return "failed", f"the worker on {host} has no folder {where}: runs must be on a disk that it shares", False
    channel = Channel(folder.path)
    if not channel.holds(ticket):  # stopped before it began, or submitted anew
        return "stopped", "stopped before it began", False
    worker = distributed.get_worker()
    with contextlib.suppress(StorageError):  # of a URL that does not answer
        channel.tell({"host": host, "text": "", "share": 0.0})
    if folder.info().status != "queued":  # a worker had begun it
        folder.log(f"its worker was lost; {host} goes on from the last checkpoint")
        resume = True
        _wait_for_lock(folder)
    stays = (distributed.Status.running, distributed.Status.paused)
    control = ChannelControl(folder, channel, lambda: worker.status not in stays)
    with _beating(channel):
        state = execute(folder, control, _Teller(channel, host), resume, int(os.environ.get("OMP_NUM_THREADS", 0)))
        if state.status == "interrupted" and control.lost:
            raise distributed.Reschedule  # to another worker, if there still is a cluster
        if evaluate and state.status == "finished":
            with contextlib.suppress(CpcError):  # who needs it measures again, and is told why not
                evaluate_run(folder)
    with contextlib.suppress(StorageError):  # of a URL that does not answer; the next submission opens it anew
        channel.close()  # also where the app that wanted the run has gone
    return state.status, state.message, state.unexpected


class ChannelControl(Control):
    """Control of a run through its channel.

    Args:
        ends: whether the worker is ending; the run then ends after its step.
    """

    def __init__(self, folder: RunFolder, channel: Channel, ends: Callable[[], bool]) -> None:
        super().__init__()
        self._folder, self._channel, self._ends = folder, channel, ends
        self._looked = 0.0
        self._known: set[str] = set()  # all requests that were here
        self._seen: list[str] = []  # requests that wait for the next step
        self._given: list[str] = []  # requests whose effect is written down once the next are asked for
        self._done: list[str] = []  # requests that are to be taken away

    @property
    def stopping(self) -> bool:
        self._look()
        return super().stopping

    @property
    def paused(self) -> bool:
        self._look()
        return super().paused

    def wait(self, seconds: float) -> None:
        super().wait(min(seconds, LISTEN))

    def take_changes(self) -> dict[str, object]:
        # Taken away only from now on: a worker that is killed in between leaves them to the next.
        self._done += self._given
        self._given, self._seen = self._seen, []
        return super().take_changes()

    def _look(self) -> None:
        """Take over what stands in the channel, but not at every step: a network disk answers slowly."""
        if time.monotonic() < self._looked + LISTEN:
            return
        self._looked = time.monotonic()
        if self._ends():
            self.lost = LEFT
        if self.lost or not self._channel.is_open or self._channel.is_set("stop"):
            self.stop()
        elif self._channel.is_set("pause"):
            self.pause()
        else:
            self.resume()
        with contextlib.suppress(StorageError):  # of a URL that does not answer: the next time
            self._read_requests()

    def _read_requests(self) -> None:
        while self._done:
            self._channel.taken(self._done[-1])
            self._done.pop()
        for name, request in self._channel.requests().items():
            if name in self._known:
                continue
            self._known.add(name)
            try:
                if "name" in request:
                    self._done.append(name)
                    self._folder.rename(request["name"], request["note"])
                else:
                    self._seen.append(name)
                    self.change(self._folder.config(), request["setting"], request["value"])
            except CpcError as error:
                self._folder.log(f"refused: {error}")


class _Teller:
    """Says in the channel what the worker does outside of training steps, at most twice a second for one thing."""

    def __init__(self, channel: Channel, host: str) -> None:
        self._channel, self._host = channel, host
        self._text, self._told = "", 0.0

    def __call__(self, observed: Record | Phase | State) -> None:
        text, share = (observed.text, observed.share) if isinstance(observed, Phase) else ("", 0.0)
        if text != self._text or (text and time.monotonic() > self._told + 0.5):
            self._text, self._told = text, time.monotonic()
            with contextlib.suppress(StorageError):  # of a URL that does not answer
                self._channel.tell({"host": self._host, "text": text, "share": share})


@contextlib.contextmanager
def _beating(channel: Channel) -> Iterator[None]:
    """Give signs of life within the block, and bring what is sent."""
    ended = threading.Event()

    def beat() -> None:
        channel.beat()
        while not ended.wait(SYNC if channel.is_shared else BEAT):
            channel.beat()
            with contextlib.suppress(StorageError):  # of a URL that does not answer
                channel.sync()

    thread = threading.Thread(target=beat, name="cpc-beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _wait_for_lock(folder: RunFolder) -> None:
    """Wait while the worker that the scheduler has given up still ends its step."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            with at_work(folder.path):
                return
        except RunError:
            time.sleep(1)
