"""How the command line is called: in a process of its own, wrongly, and as the README does."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cpc_engine.cli.commands import _configured
from cpc_engine.cli.parser import parse
from tests.support.command_line import SUMMARY, Cli, sets
from tests.support.paths import REPOSITORY


def test_in_a_separate_process(tmp_path: Path) -> None:
    def python(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cpc_engine", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)

    done = python("train", "--preset", "tones", *sets(), "--json")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) >= SUMMARY
    assert "Warning" not in done.stderr
    done = python("train", "--preset", "tonse", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (
        2,
        {"error": "unknown preset 'tonse' (did you mean 'tones'?)"},
    )
    assert done.stderr == "error: unknown preset 'tonse' (did you mean 'tones'?)\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "command (see cpc --help)"),
        ("trian", "'trian'"),
        ("train", "give --preset"),
        ("train --preset tonse", "did you mean 'tones'"),
        ("train --preset tones --config x.json", "not both"),
        ("train tones --preset keypad", "give one preset, not two (tones and keypad)"),
        ("train --preset tones --stpes 3", "--stpes"),
        ("train --preset tones --step 3", "--step"),
        ("train --preset tones --steps many", "--steps"),
        ("train --preset tones --steps", "--steps"),
        ("train --preset tones --steps 0", "optimizer.steps: "),
        ("train --preset tones --seed -1", "run.seed: "),
        ("train --preset tones --device gpu", "run.device: "),
        ("train --preset tones --set optimizer.stps=3", "did you mean 'optimizer.steps'"),
        ("train --preset tones --set optimizer.steps", "section.setting=value"),
        ("train --preset tones --set loss.temperature=0", "loss.temperature: "),
        ("train --preset tones --set context.horizons=0", "context.horizons.0: "),
        ("train --config missing.json", "cannot read missing.json: No such file"),
        ("train --config .", "cannot read .: Is a directory"),
        ("resume", "run"),
        ("resume nothing", "no run 'nothing' in checkpoints (checkpoints holds no runs)"),
        ("resume a/../b", "neither a run folder nor a run's id"),
        ("evaluate nothing", "no run 'nothing'"),
        ("embed nothing x.wav", "no run 'nothing'"),
        ("embed nothing", "FILE"),
        ("compare one", "RUN"),
        ("list extra", "extra"),
    ],
)
def test_bad_usage_gives_a_one_line_error(line: str, message: str, cli: Cli, tmp_path: Path) -> None:
    answer = cli(*line.split())
    assert message in answer.error
    assert answer.out == ""
    if line:
        assert cli(*line.split(), "--json").document == {"error": answer.error}
    assert not list(tmp_path.iterdir())  # nothing was started


@pytest.mark.parametrize("content", ["", "{", "[]", '{"data": {"volume": 11}}', '{"lss": {}}', "\x80"])
def test_a_configuration_file_that_does_not_fit(content: str, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_bytes(content.encode("latin-1"))
    assert cli("train", "--config", "mine.json", "--json").error
    assert not (tmp_path / "checkpoints").exists()


def test_no_such_device(cli: Cli) -> None:
    error = cli("train", "--preset", "tones", *sets(), "--device", "cuda:99", "--json").error
    assert error.startswith("no device 'cuda:99' here")
    assert "use device auto or cpu" in error


def test_cuda_without_a_gpu(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "no device 'cuda' here" in cli("train", "--preset", "tones", *sets(), "--device", "cuda").error
    assert cli("train", "--preset", "tones", *sets(), "--device", "auto", "--json").document["device"] == "cpu"


def test_an_unknown_run_suggests_the_nearest_id(cli: Cli, root: Path, tones: str) -> None:
    assert f"did you mean '{tones}'" in cli("resume", tones[:-1], "--runs", root, "--json").error


def test_a_closed_stdout_is_not_an_error(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "cpc_engine", "settings", "--json"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()


def test_the_commands_of_the_readme_are_understood() -> None:
    """Every `cpc …` line of README and CONTRIBUTING parses, and every preset and setting in them exists."""
    lines = [
        line.partition("#")[0].strip()
        for name in ("README.md", "CONTRIBUTING.md")
        for block in re.findall(r"```sh\n(.*?)```", (REPOSITORY / name).read_text(encoding="utf-8"), re.DOTALL)
        for line in block.splitlines()
    ]
    commands = [line.removeprefix("cpc ") for line in lines if line.startswith("cpc ")]
    commands += [
        line.removeprefix("python -m cpc_engine ") for line in lines if line.startswith("python -m cpc_engine ")
    ]
    assert len(commands) > 12
    for command in commands:
        options = parse(shlex.split(command))
        if options.command == "train":
            assert _configured(options).optimizer.steps > 0
