"""How the demo is started and ended."""

from __future__ import annotations

import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
from gradio_client import Client
from starlette.middleware.trustedhost import TrustedHostMiddleware

import share
from cpc_engine.errors import ConfigError, RunError
from cpc_engine.storage.folder import RunFolder
from tests.support.demo import SHARE, demo
from tests.support.shared_run import recording, sent
from tests.support.tiny import tiny
from ui.share.guard import Guard

pytest_plugins = ["tests.support.explored"]


def test_it_listens_on_this_machine_unless_asked_otherwise(tmp_path: Path) -> None:
    options = share.settings(share.parse(["run"]), tmp_path)
    assert options["server_name"] == "127.0.0.1"
    assert TrustedHostMiddleware in [layer.cls for layer in options["app_kwargs"]["middleware"]]
    for name in ("share", "show_error", "enable_monitoring", "run_history", "mcp_server"):
        assert options[name] is False
    assert "allowed_paths" not in options
    wide = share.settings(share.parse(["run", "--host", "0.0.0.0", "--mcp"]), tmp_path)
    assert (wide["server_name"], wide["mcp_server"]) == ("0.0.0.0", True)
    assert [layer.cls for layer in wide["app_kwargs"]["middleware"]] == [Guard]


def test_a_run_that_cannot_be_shared_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run 'nothing'"):
        share.serve(share.parse(["nothing", "--runs", str(tmp_path)]))
    begun = RunFolder.create(tmp_path, tiny())
    with pytest.raises(RunError, match="never began"):
        share.serve(share.parse([begun.id, "--runs", str(tmp_path)]))


def test_runs_are_looked_for_where_the_app_looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CPC_RUNS", str(tmp_path))
    assert share.folder_of_runs() == tmp_path
    monkeypatch.delenv("CPC_RUNS")
    monkeypatch.chdir(tmp_path)
    assert share.folder_of_runs() == Path(share.__file__).with_name("checkpoints")


@pytest.mark.skipif(find_spec("mcp") is not None, reason="MCP is installed")
def test_what_mcp_needs_is_told(tones: RunFolder) -> None:
    with pytest.raises(ConfigError, match=r'pip install "gradio\[mcp\]"'):
        share.serve(share.parse([str(tones.path), "--mcp"]))


def test_it_ends_clean_and_a_taken_port_is_one_line(tones: RunFolder, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with demo(tones.path, log) as (url, process):
        client = Client(url, verbose=False, httpx_kwargs={"timeout": 60})
        (tmp_path / "five.wav").write_bytes(recording("5"))
        assert sent(client, tmp_path / "five.wav")["status"] == "ok"
        client.close()
        assert list(tmp_path.glob("cpc-share-*/*/five.wav"))
        port = url.rpartition(":")[2]
        command = [*SHARE, tones.id, "--runs", str(tones.path.parent), "--port", port]
        second = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert (second.returncode, second.stdout) == (2, "")
        assert second.stderr.startswith(f"error: cannot listen on 127.0.0.1:{port}: ")
        assert second.stderr.count("\n") == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert "stopped" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert not list(tmp_path.glob("cpc-share-*"))
