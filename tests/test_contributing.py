"""The examples of CONTRIBUTING: each file, put where it says, adds a data set or a source that works everywhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

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


def cpc(engine: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "cpc_engine", *arguments]
    environment = os.environ | {"PYTHONPATH": str(engine)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=engine, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def sets(*more: str) -> list[str]:
    return [word for assignment in (*SMALL, *more) for word in ("--set", assignment)]


def test_there_is_an_example_of_each() -> None:
    assert set(EXAMPLES) == {"cpc_engine/datasets/beeps.py", "cpc_engine/sources/opposite.py"}


@pytest.mark.slow
def test_a_data_set_in_one_file(tmp_path: Path) -> None:
    engine = extended(tmp_path, "cpc_engine/datasets/beeps.py")
    described = json.loads(cpc(engine, "settings", "--json"))
    assert "beeps" in next(row for row in described if row["path"] == "data.dataset")["choices"]
    run = json.loads(cpc(engine, "train", "tones", *sets("data.dataset=beeps"), "--steps", "2", "--json"))
    assert (run["status"], run["data"]["classes"]) == ("finished", ["low", "high"])
    assert json.loads(cpc(engine, "evaluate", run["run"], "--json"))["probe"]


@pytest.mark.slow
def test_a_source_in_one_file(tmp_path: Path) -> None:
    engine = extended(tmp_path, "cpc_engine/sources/opposite.py")
    run = json.loads(cpc(engine, "train", "tones", *sets("sampler.opposite=true"), "--steps", "2", "--json"))
    [*_, last] = (engine / run["path"] / "metrics.jsonl").read_text().splitlines()
    sources = json.loads(last)["modalities"]["audio"]["sources"]
    assert set(sources) == {"in_batch", "opposite"}
    assert sum(source["share"] for source in sources.values()) == pytest.approx(1, abs=1e-3)
    program = (
        "from cpc_engine.config import RunConfig; from cpc_engine.training.plan import plan\n"
        "from cpc_engine.comparison.recipes import SAMPLERS\n"
        "counts = plan(RunConfig().replace({'sampler.opposite': True}))[0].candidates\n"
        "assert counts['opposite'] == counts['in_batch'] and SAMPLERS['opposite']['sampler.opposite']"
    )
    subprocess.run(
        [sys.executable, "-c", program], check=True, cwd=engine, env=os.environ | {"PYTHONPATH": str(engine)}
    )
