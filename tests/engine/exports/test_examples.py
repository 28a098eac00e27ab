"""The examples of docs/export.md run as they stand, in a process that only has the exported files."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cpc_engine.cli import main
from cpc_engine.exports import embeddings
from cpc_engine.storage.folder import RunFolder
from tests.support.paths import REPOSITORY

DOCUMENT = (REPOSITORY / "docs" / "export.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"<!-- example: (\w+) -->\n```python\n(.*?)```", DOCUMENT, re.DOTALL))
RUNS = str(REPOSITORY / "checkpoints")
OUT = {"projector": "projector", **{format: f"tones.{format}" for format in ("onnx", "pt2", "parquet", "csv", "npz")}}
SAYS = {
    "onnx": "(1, 256)",
    "pt2": "(1, 256)",
    "parquet": "(1536, 256) ['1760 Hz', '220 Hz', '440 Hz', '880 Hz']",
    "csv": "(868, 256) 4",
    "npz": "1.0",
    "projector": "(1536, 256) 4",
    "encoder": "1.0",
}


def test_every_format_has_an_example_of_at_most_ten_lines() -> None:
    assert set(EXAMPLES) == {*OUT, "encoder"}
    for name, text in EXAMPLES.items():
        assert len([line for line in text.splitlines() if line.strip()]) <= 10, name


# Runs each example as a file of its own would run, but imports its libraries once; tells what it printed by its name.
ALL = """
import contextlib, io, json, sys
said = {}
for name, text in json.load(sys.stdin).items():
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(text, name, "exec"), {"__name__": "__main__"})
    said[name] = out.getvalue().strip()
print(json.dumps(said))
"""


def say(examples: dict[str, str], place: Path, path: str) -> dict[str, str]:
    """What the examples print, run one after the other in a process of their own."""
    environment = {**os.environ, "CPC_RUNS": RUNS, "PYTHONPATH": path}
    command = [sys.executable, "-W", "ignore", "-c", ALL]
    done = subprocess.run(
        command, cwd=place, env=environment, input=json.dumps(examples), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_the_examples_of_files_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    found = embeddings.collect_embeddings(RunFolder.open(Path(RUNS) / "example-tones"))
    monkeypatch.setattr(embeddings, "collect_embeddings", lambda *_: found)  # once for all formats
    for name, out in OUT.items():
        assert main(["export", "example-tones", "--runs", RUNS, "--format", name, "--out", str(tmp_path / out)]) == 0
    assert say({name: EXAMPLES[name] for name in OUT}, tmp_path, path="") == {name: SAYS[name] for name in OUT}


@pytest.mark.slow
def test_the_example_of_the_encoder_runs(tmp_path: Path) -> None:
    assert say({"encoder": EXAMPLES["encoder"]}, tmp_path, path=str(REPOSITORY)) == {"encoder": SAYS["encoder"]}
