"""What the demo keeps out of reach: large files, addresses, files of the machine, other runs."""

from __future__ import annotations

import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client

import share
from tests.support.shared_run import FILE, answer, recording, sent
from ui.share.guard import MAX_FILE_BYTES

pytest_plugins = ["tests.support.explored"]


def test_a_large_file_is_refused_by_client_and_server(keys_client: Client, keys_demo: str, tmp_path: Path) -> None:
    (tmp_path / "large.wav").write_bytes(b"RIFF" + bytes(MAX_FILE_BYTES))
    with pytest.raises(ValueError, match="exceeds the maximum file size"):
        sent(keys_client, tmp_path / "large.wav")
    upload = f"{keys_demo}/gradio_api/upload"
    assert httpx.post(upload, files={"files": bytes(MAX_FILE_BYTES + 1)}, timeout=60).status_code == 413
    half = bytes(MAX_FILE_BYTES * 2 // 3)
    assert httpx.post(upload, files=[("files", half), ("files", half)], timeout=60).status_code == 413
    assert httpx.post(upload, content=iter([b"no length"]), timeout=60).status_code == 411


def test_an_address_is_refused_and_never_fetched(keys_demo: str) -> None:
    fetched: list[str] = []

    class Trap(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fetched.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(recording("5"))

        do_HEAD = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Trap) as trap:
        thread = threading.Thread(target=trap.serve_forever)
        thread.start()
        place = f"http://127.0.0.1:{trap.server_port}/five.wav"
        assert "send the file itself, not its address" in answer(keys_demo, {"path": place, "meta": FILE})
        for payload in (
            {"path": place, "is_stream": True, "meta": FILE},
            {"path": place.upper(), "meta": FILE},
            {"path": "x", "url": place, "meta": FILE},
        ):
            assert '"status": "ok"' not in answer(keys_demo, payload)
        for path in (f"file={place}", f"file/{place}", f"proxy={place}"):
            assert httpx.get(f"{keys_demo}/gradio_api/{path}", timeout=60).status_code == 403
        assert httpx.get(place, timeout=60).status_code == 200, "the trap works"
        trap.shutdown()
        thread.join()
    assert fetched == ["/five.wav"]


def test_the_address_of_what_was_sent_here_stands_for_it(keys_demo: str) -> None:
    """As MCP clients name it."""
    upload = httpx.post(f"{keys_demo}/gradio_api/upload", files={"files": ("five.wav", recording("5"))}, timeout=60)
    (path,) = upload.json()
    here = f"{keys_demo}/gradio_api/file="
    assert '"status": "ok"' in answer(keys_demo, {"path": f"{here}{path}", "meta": FILE})
    for other in ("/etc/passwd", f"{path}/../../../../../../etc/passwd", "%2Fetc%2Fpasswd", "etc/passwd", ""):
        assert "send the file itself" in answer(keys_demo, {"path": f"{here}{other}", "meta": FILE})


def test_files_of_the_machine_stay_out_of_reach(keys_demo: str, keypad: Path) -> None:
    own = keypad / "run.json"
    assert own.exists()
    for path in ("/etc/passwd", "../../../../etc/passwd", str(own), str(Path(share.__file__))):
        for stream in (False, True):
            text = answer(keys_demo, {"path": path, "is_stream": stream, "meta": FILE})
            assert "event: error" in text, text
        for address in (f"file={path}", f"file/{path.lstrip('/')}"):
            assert httpx.get(f"{keys_demo}/gradio_api/{address}", timeout=60).status_code in (403, 404)


def test_another_name_that_leads_here_is_refused(keys_demo: str) -> None:
    assert httpx.get(keys_demo, headers={"Host": "example.org"}, timeout=60).status_code == 400
    assert httpx.get(keys_demo, timeout=60).status_code == 200


def test_there_is_one_endpoint_and_no_word_of_other_runs(keys_demo: str, keypad: Path) -> None:
    info = httpx.get(f"{keys_demo}/gradio_api/info", timeout=60).json()
    assert list(info["named_endpoints"]) == ["/place"]
    assert info["unnamed_endpoints"] == {}
    assert "handle_file('sound.wav')" in info["named_endpoints"]["/place"]["code_snippets"]["python"]
    for path in ("", "config", "gradio_api/info"):
        said = httpx.get(f"{keys_demo}/{path}", timeout=60).text
        for hidden in ("secret", str(keypad.parent), os.environ["HOME"] + "/"):
            assert hidden not in said
