"""The examples of docs/export.md run as they stand, in a process that only has the exported files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cpc_engine.cli import main
from tests.support.paths import REPOSITORY

DOCUMENT = (REPOSITORY / "docs" / "export.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"<!-- example: (\w+) -->\n```python\n(.*?)```", DOCUMENT, re.DOTALL))
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


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_runs(name: str, tmp_path: Path) -> None:
    if name == "onnx":
        pytest.importorskip("onnxruntime")
    runs = str(REPOSITORY / "checkpoints")
    if name in OUT:
        code = main(["export", "example-tones", "--runs", runs, "--format", name, "--out", str(tmp_path / OUT[name])])
        assert code == 0
    environment = {**os.environ, "CPC_RUNS": runs, "PYTHONPATH": str(REPOSITORY) if name == "encoder" else ""}
    command = [sys.executable, "-W", "ignore", "-c", EXAMPLES[name]]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == SAYS[name]
