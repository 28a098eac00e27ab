"""What nobody asked for is not imported: optional libraries, and our own code for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.paths import REPOSITORY

# Trains a run in the foreground and one in a thread, lists and opens them, asks the command line for what it has.
CODE = """
import json, sys, time
from pathlib import Path
import cpc_engine as cpc
import cpc_engine.sweeps.results, cpc_engine.sweeps.worker
from cpc_engine.cli import main
from cpc_engine.execution.manager import manager_for
from tests.support.tiny import tiny
root = Path(sys.argv[1])
main(["presets"])
main(["sweep"])
run = cpc.train(tiny(), root=root, progress=False)
assert [one.id for one in cpc.runs(root)] == [cpc.open(run.id, root).id]
manager = manager_for(root)
started = manager.start(tiny())
while manager.progress_of(started).status in ("queued", "running"):
    time.sleep(0.2)
assert manager.progress_of(started).where == ""
print(json.dumps([run.id, started, list(sys.modules)]))
"""
LIBRARIES = {
    "tensorboard": {"tensorboard"},
    "exports": {"onnx", "onnxscript", "onnxruntime"},
    "sweeps": {"optuna", "sqlalchemy", "psycopg"},
    "clusters": {"dask", "distributed", "tornado"},
    "stores behind URLs": {"s3fs", "aiobotocore", "botocore"},
}


def test_who_does_not_ask_gets_nothing_of_it(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    environment.pop("CPC_CLUSTER", None)
    command = [sys.executable, "-c", CODE, str(tmp_path)]
    done = subprocess.run(command, check=True, env=environment, capture_output=True, text=True, cwd=tmp_path)
    *runs, modules = json.loads(done.stdout.splitlines()[-1])
    loaded = {name.partition(".")[0] for name in modules}
    assert {"torch", "cpc_engine"} <= loaded, "it would pass on an empty list"
    for kind, libraries in LIBRARIES.items():
        assert not loaded & libraries, kind
    assert "cpc_engine.execution.cluster" not in modules
    remote = {name.rpartition(".")[2] for name in modules if name.startswith("cpc_engine.storage.remote.")}
    assert not remote & {"work", "refresh", "lease", "copies"}
    assert not [run for run in runs if (tmp_path / run / "tensorboard").exists()]
    assert not list(tmp_path.glob(".*")), "nothing beside the runs"
