"""What the server imports before anybody asks for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.paths import REPOSITORY

# A run that begins after these imports, and what it imported of other packages meanwhile.
FIRST_RUN = """
import sys
from importlib import import_module
from pathlib import Path

from ui.shell.session import AHEAD

for name in AHEAD:
    import_module(name)
before = set(sys.modules)

from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.tiny import tiny

found = set()


def look(seen):
    if isinstance(seen, dict):
        found.update(name.partition(".")[0] for name in sys.modules.keys() - before)


folder = RunFolder.create(Path(sys.argv[1]), tiny(optimizer__steps=4, evaluation__every=2))
assert execute(folder, Control(), look).status == "finished"
assert folder.has("snapshots")
print(*sorted(found - sys.stdlib_module_names - {"cpc_engine", "tests", "safetensors"}))
"""


# What is left of the imports and of the step that warms up.
PREPARED = """
import gc
import threading

from ui.shell import session

session.AFTER = 0.0
session.prepare()
[thread] = [thread for thread in threading.enumerate() if thread.name == "cpc-imports"]
thread.join()

import torch

state = torch.random.get_rng_state()
torch.manual_seed(torch.initial_seed())
print(gc.isenabled(), gc.get_freeze_count() > 100_000, torch.equal(state, torch.random.get_rng_state()))
"""


def test_what_is_prepared_leaves_no_trace(tmp_path: Path) -> None:
    command, environment = [sys.executable, "-c", PREPARED], os.environ | {"CPC_RUNS": str(tmp_path / "runs")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=240, env=environment)
    assert (done.stdout.split(), done.stderr) == (["True"] * 3, "")
    assert not list(tmp_path.iterdir())


def test_the_steps_of_a_first_run_wait_for_no_library(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FIRST_RUN, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=240, check=True)
    assert done.stdout.split() == []
