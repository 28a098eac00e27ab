"""The examples of CONTRIBUTING: each file, put where it says, adds a data set or a source that works everywhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import REPOSITORY

EXAMPLES = dict(
    re.findall(
        r"<!-- file: (\S+) -->\n```python\n(.*?)```",
        (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8"),
        re.DOTALL,
    )
)
SMALL = (
    "data.train_items=48",
    "audio.sample_rate=8000",
    "audio.clip_seconds=0.5",
    "audio.width=8",
    "audio.mel_bands=32",
    "optimizer.batch_size=16",
    "evaluation.every=0",
    "evaluation.items=16",
)


def extended(tmp_path: Path, name: str) -> Path:
    """A copy of the engine with one more file."""
    shutil.copytree(REPOSITORY / "cpc_engine", tmp_path / "cpc_engine", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / name).write_text(EXAMPLES[name], encoding="utf-8")
    return tmp_path


# Of every program: a command's answer, as a document.
CPC = """
import contextlib, io, json
from cpc_engine.cli import main
def cpc(*words):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main([*words, "--json"]) == 0, out.getvalue()
    return json.loads(out.getvalue())
"""


def output(engine: Path, program: str) -> Any:
    """The document that a program prints which knows this engine alone."""
    environment = os.environ | {"PYTHONPATH": str(engine)}
    command = [sys.executable, "-c", CPC + program]
    done = subprocess.run(command, capture_output=True, text=True, cwd=engine, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def sets(*more: str) -> list[str]:
    return [word for assignment in (*SMALL, *more) for word in ("--set", assignment)]


def test_there_is_an_example_of_each() -> None:
    assert set(EXAMPLES) == {"cpc_engine/datasets/beeps.py", "cpc_engine/sources/opposite.py"}


@pytest.mark.slow
def test_a_data_set_in_one_file(tmp_path: Path) -> None:
    engine = extended(tmp_path, "cpc_engine/datasets/beeps.py")
    program = f"""
run = cpc("train", "tones", *{sets("data.dataset=beeps")}, "--steps", "2")
print(json.dumps([cpc("settings"), run, cpc("evaluate", run["run"])]))
"""
    described, run, evaluation = output(engine, program)
    assert "beeps" in next(row for row in described if row["path"] == "data.dataset")["choices"]
    assert (run["status"], run["data"]["classes"]) == ("finished", ["low", "high"])
    assert evaluation["probe"]


@pytest.mark.slow
def test_a_source_in_one_file(tmp_path: Path) -> None:
    engine = extended(tmp_path, "cpc_engine/sources/opposite.py")
    program = f"""
from cpc_engine.config import RunConfig
from cpc_engine.training.plan import plan
from cpc_engine.comparison.recipes import SAMPLERS
run = cpc("train", "tones", *{sets("sampler.opposite=true")}, "--steps", "2")
counts = plan(RunConfig().replace({{"sampler.opposite": True}}))[0].candidates
print(json.dumps([run, counts, SAMPLERS["opposite"]]))
"""
    run, counts, recipe = output(engine, program)
    [*_, last] = (engine / run["path"] / "metrics.jsonl").read_text().splitlines()
    sources = json.loads(last)["modalities"]["audio"]["sources"]
    assert set(sources) == {"in_batch", "opposite"}
    assert sum(source["share"] for source in sources.values()) == pytest.approx(1, abs=1e-3)
    assert counts["opposite"] == counts["in_batch"]
    assert recipe["sampler.opposite"]
