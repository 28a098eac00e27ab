"""What the server imports before anybody asks for it."""

from __future__ import annotations

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


def test_the_steps_of_a_first_run_wait_for_no_library(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FIRST_RUN, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=240, check=True)
    assert done.stdout.split() == []
