"""A process that ends while one of its runs trains: the run is stopped, and gets its maps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cpc_engine.storage.folder import RunFolder
from tests.support.paths import REPOSITORY

# As the app: the signal ends what the main thread waits for, and the interpreter shuts down. The end of a run of low
# priority takes longer than the app waits only on a machine as busy as one with tests.
PROGRAM = """
import functools, signal, sys, threading
from pathlib import Path
from cpc_engine.execution import execute
from cpc_engine.execution.manager import RunManager
from tests.support.tiny import tiny
from tests.support.watched import step

execute.lower_priority = lambda: None
RunManager.close = functools.partialmethod(RunManager.close, 240.0)
end = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: end.set())
manager = RunManager(Path(sys.argv[1]))
step(manager, manager.start(tiny(optimizer__steps=100_000)), 2)
print("training", flush=True)
end.wait()
"""


@pytest.mark.skipif(os.name != "posix", reason="no such signal")
def test_a_run_is_stopped_and_mapped_when_its_process_is_asked_to_end(tmp_path: Path) -> None:
    """Libraries that make the map cannot be loaded any more once the interpreter shuts down."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "training\n"
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 0
    folder = RunFolder(next(tmp_path.glob("*/run.json")).parent)
    info = folder.info()
    assert (info.status, info.message) == ("stopped", "")
    assert info.steps_done >= 2
    assert folder.has("map", "ood", "checkpoint")
