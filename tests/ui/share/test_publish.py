"""A published folder runs by itself, says what is true of its run, and takes nothing of this machine along."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile
from gradio_client import Client, handle_file

import share
from cpc_engine.data.signals import synthesize
from cpc_engine.errors import ConfigError, RunError
from cpc_engine.exports.model_card import model_card
from cpc_engine.storage.folder import RunFolder
from tests.support.browser import free_port
from tests.support.paths import REPOSITORY
from tests.support.tiny import tiny
from ui.share.publish import publish

KEYPAD = REPOSITORY / "checkpoints" / "example-keypad"


def test_the_card_has_the_runs_own_figures() -> None:
    folder = RunFolder(KEYPAD)
    card, evaluation = model_card(folder), folder.json("evaluation")
    for modality, feature in evaluation["chosen_feature"].items():
        row = evaluation["probe"][f"{modality}.{feature}"]
        cells = [f"{row['trained']:.1%}", f"{row['untrained']:.1%}", f"{row['raw']:.1%}"]
        [line] = [line for line in card.splitlines() if line.startswith(f"| {modality} | {feature} |")]
        assert all(cell in line for cell in cells)
    for words in ("## Data", "## Limits", "Telephone keypad", "864 train", "this is one run", "seed 0"):
        assert words in card


def test_nothing_of_this_machine_goes_along(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(KEYPAD, copy)
    folder = RunFolder(copy)
    folder.settle({"data.path": "/home/somebody/secret"})
    folder.log("/home/somebody/secret")
    publish(folder, tmp_path / "out")
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            assert b"/home/somebody" not in path.read_bytes(), path
    left = {path.name for path in (tmp_path / "out" / "run").iterdir()}
    assert not left & {"checkpoint.safetensors", "log.jsonl", "events.jsonl"}
    assert len(RunFolder(tmp_path / "out" / "run").records()) == 1, "only the one that tells of a collapse"
    with pytest.raises(ConfigError, match="not empty"):
        publish(folder, tmp_path / "out")


def test_a_run_that_has_not_ended_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunFolder.create(tmp_path, tiny())
    with pytest.raises(RunError, match="has not ended"):
        publish(folder, tmp_path / "out")
    assert share.main([str(folder.path), "--export", str(tmp_path / "out")]) == 2
    assert "has not ended" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_folder_runs_without_the_repository(tmp_path: Path) -> None:
    """Its code alone is used: the repository is on no path, and the process runs elsewhere."""
    out = tmp_path / "space"
    assert share.main([str(KEYPAD), "--export", str(out)]) == 0
    names = ("cpc_engine", "share", "ui.share.page")
    where = f"from importlib.util import find_spec; print(*(find_spec(name).origin for name in {names}))"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH" and not key.startswith("CPC")}
    found = subprocess.run([sys.executable, "-c", where], cwd=out, env=environment, capture_output=True, text=True)
    assert len(found.stdout.split()) == len(names), found.stderr
    assert all(Path(name).is_relative_to(out) for name in found.stdout.split())
    port = str(free_port())
    environment |= {"GRADIO_SERVER_PORT": port, "PYTHONUNBUFFERED": "1"}
    log = tmp_path / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=out, env=environment, stdout=stream, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + 200
        while "Ctrl-C ends it" not in log.read_text(errors="replace"):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()  # noqa: PT018
            time.sleep(0.2)
        sound = tmp_path / "key.wav"
        soundfile.write(sound, synthesize("dtmf", key="5", rate=48_000, seconds=0.7), 48_000)
        client = Client(
            f"http://127.0.0.1:{port}", verbose=False, httpx_kwargs={"timeout": 60}, download_files=str(tmp_path)
        )
        assert client.predict(handle_file(str(sound)), api_name="/place")["predicted"] == "5"
        client.close()
    finally:
        process.terminate()
        process.wait(30)
