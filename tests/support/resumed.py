"""`python -m tests.support.resumed RUN` resumes a run, whoever is at work on it, and prints what is told at its end."""

import sys
from pathlib import Path

from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control

print(execute(RunFolder(Path(sys.argv[1])), Control(), resume=True).message, flush=True)
