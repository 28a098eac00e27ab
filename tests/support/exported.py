"""Tiny runs of every encoder, trained once, for tests of what leaves the lab."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cpc_engine.execution.execute import execute
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.tiny import tiny


def trained(root: Path, **changes: Any) -> RunFolder:
    """A run of a few steps."""
    folder = RunFolder.create(root, tiny(**changes))
    state = execute(folder, Control())
    assert state.status == "finished", state.message
    return folder
