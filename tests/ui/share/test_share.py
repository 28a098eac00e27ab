"""The shared demo: what it lets in, what it says, and that it answers as the engine does."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import soundfile
from gradio_client import Client, handle_file
from PIL import Image
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

import share
from cpc_engine.data.signals import synthesize
from cpc_engine.errors import ConfigError, RunError
from cpc_engine.evaluation.ood import Verdict
from cpc_engine.execution.evaluate import evaluate_run
from cpc_engine.execution.execute import execute
from cpc_engine.media import Sound
from cpc_engine.placing import Placed, Placer
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.demo import SHARE, demo
from tests.support.tiny import tiny, wait_until
from ui.share import guard as share_guard
from ui.share.guard import MAX_FILE_BYTES, Guard, kept_bytes, refusal
from ui.share.parts import base_map, heading_html, lit_map, near_html, verdict_html

pytest_plugins = ["tests.support.explored"]

FILE = {"_type": "gradio.FileData"}


def recording(key: str, seconds: float = 0.7, rate: int = 48_000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, synthesize("dtmf", key=key, rate=rate, seconds=seconds), rate, format="WAV")
    return buffer.getvalue()


def photo(seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (50, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def keys(keypad: Path) -> Placer:
    return Placer(RunFolder(keypad))


@pytest.fixture(scope="module")
def keys_demo_uploads(keypad: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A demo of a run on sounds and pictures, beside which lies another run, and where it keeps uploads."""
    RunFolder.create(keypad.parent, tiny(run__name="somebody else's secret"))
    home = tmp_path_factory.mktemp("demo")
    with demo(keypad, home / "log") as (url, _):
        (uploads,) = home.glob("cpc-share-*")
        yield url, uploads


@pytest.fixture(scope="module")
def keys_demo(keys_demo_uploads: tuple[str, Path]) -> str:
    return keys_demo_uploads[0]


@pytest.fixture(scope="module")
def keys_client(keys_demo: str) -> Iterator[Client]:
    client = Client(keys_demo, verbose=False)
    yield client
    client.close()


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = RunFolder.create(tmp_path_factory.mktemp("tones"), tiny(data__test_items=48))
    assert execute(folder, Control()).status == "finished"
    evaluate_run(folder)
    return folder


def sent(client: Client, path: Path) -> Any:
    return client.predict(handle_file(path), api_name="/place")


def answer(url: str, file: Any) -> str:
    """What the API says to anything at all sent as the file, without gradio_client's own care."""
    call = httpx.post(f"{url}/gradio_api/call/place", json={"data": [file]}, timeout=60)
    if call.status_code != 200:
        return call.text
    return httpx.get(f"{url}/gradio_api/call/place/{call.json()['event_id']}", timeout=60).text


def assert_alike(actual: Any, expected: Any) -> None:
    """The same but for rounding: sums over numbers come in another order where other threads work."""
    assert type(actual) is type(expected)
    if isinstance(expected, dict):
        assert list(actual) == list(expected)
        assert_alike(list(actual.values()), list(expected.values()))
    elif isinstance(expected, list):
        assert len(actual) == len(expected)
        for mine, theirs in zip(actual, expected, strict=True):
            assert_alike(mine, theirs)
    else:
        assert actual == (pytest.approx(expected, abs=1e-3) if isinstance(expected, float) else expected)


# --- what is let in --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "length", "status"),
    [
        ("GET", "/", None, None),
        ("GET", "/gradio_api/file=/somewhere/sound.wav", None, None),
        ("GET", "/gradio_api/file=https://example.org/x", None, 403),
        ("HEAD", "/gradio_api/file= HTTP://example.org/x", None, 403),
        ("GET", "/gradio_api/file/https://example.org/x", None, 403),
        ("GET", "/gradio_api/proxy=https://example.org/x", None, 403),
        ("POST", "/gradio_api/process_recording", "10", 403),
        ("POST", "/gradio_api/vibe-edit", "10", 403),
        ("POST", "/gradio_api/upload", "10", None),
        ("POST", "/gradio_api/upload", str(MAX_FILE_BYTES), None),
        ("POST", "/gradio_api/upload", str(2 * MAX_FILE_BYTES), 413),
        ("POST", "/gradio_api/upload", None, 411),
        ("POST", "/gradio_api/upload", "-1", 411),
        ("POST", "/gradio_api/queue/join", str(2 * MAX_FILE_BYTES), 413),
    ],
)
def test_what_is_turned_away(method: str, path: str, length: str | None, status: int | None) -> None:
    headers: Mapping[str, str] = {} if length is None else {"content-length": length}
    refused = refusal(method, path, headers)
    assert (refused and refused[0]) == status


def test_all_uploads_together_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share_guard, "MAX_KEPT_BYTES", 150)
    client = TestClient(Guard(PlainTextResponse("let through"), tmp_path))
    for number, status in enumerate((200, 200, 507)):
        assert client.post("/gradio_api/upload", content=b"x").status_code == status
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "file").write_bytes(bytes(100))
    assert kept_bytes(tmp_path) == 300
    assert client.get("/").status_code == 200


def broken_off(url: str, content: bytes) -> None:
    """An upload that ends a byte early."""
    address = urlsplit(url)
    form = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n' + content
    head = f"POST /gradio_api/upload HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: {len(form) + 9}\r\n"
    head += "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(head.encode() + form)


def test_nothing_is_left_of_uploads_that_are_broken_off(keys_demo_uploads: tuple[str, Path]) -> None:
    url, uploads = keys_demo_uploads
    before = kept_bytes(uploads)
    for _ in range(20):
        broken_off(url, bytes(200_000))
    wait_until(lambda: kept_bytes(uploads) == before, "the uploads are deleted", 10)
    # Complete, but of no use to Gradio: no end of the form, and a field that it does not know.
    head = {"content-type": "multipart/form-data; boundary=x"}
    part = b'--x\r\nContent-Disposition: form-data; name="%s"; filename="a.wav"\r\n\r\n' + bytes(1000)
    for content in (part % b"files", part % b"other" + b"\r\n--x--\r\n"):
        httpx.post(f"{url}/gradio_api/upload", content=content, headers=head)
    # The answer is sent before what was left is deleted.
    wait_until(lambda: kept_bytes(uploads) == before, "the uploads are deleted", 10)
    (path,) = httpx.post(f"{url}/gradio_api/upload", files={"files": ("five.wav", recording("5"))}).json()
    assert Path(path).read_bytes() == recording("5")


def test_uploads_that_are_going_on_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share_guard, "MAX_KEPT_BYTES", 150)
    monkeypatch.setattr(share_guard, "MAX_SECONDS", 0.2)
    guard = Guard(PlainTextResponse("let through"), tmp_path)

    async def upload(chunks: int) -> int:
        """The status of an upload that never ends."""
        left, said = [b"x" * 100] * chunks, []

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(0 if left else 60)
            return {"type": "http.request", "body": left.pop(), "more_body": True}

        async def send(message: Any) -> None:
            said.append(message)

        headers = [(b"content-length", b"1000")]
        scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "headers": headers}
        await guard(scope, receive, send)
        return int(said[0]["status"])

    async def uploads() -> None:
        assert await upload(1) == 408
        assert await upload(3) == 507
        assert sorted(await asyncio.gather(upload(1), upload(1))) == [408, 507]
        assert await upload(1) == 408, "nothing counts any more once it has ended"

    # In a thread of its own, as the loop of the browser runs in this one when the whole suite does.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, uploads()).result()


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


# --- the command line ------------------------------------------------------------------------------------------------


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
        client = Client(url, verbose=False)
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
        process.terminate()
        assert process.wait(30) == 0
    assert "stopped" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert not list(tmp_path.glob("cpc-share-*"))


# --- what it says ----------------------------------------------------------------------------------------------------


def test_the_star_lies_where_the_engine_put_it(keys: Placer) -> None:
    placement = keys.place_bytes(recording("5", seconds=1.5), "five.wav")
    base = base_map(keys.map)
    lit = lit_map(base, keys.map, placement)
    traces = {trace["name"]: trace for trace in lit["data"]}
    assert (traces["lit"]["x"][0], traces["lit"]["y"][0]) == pytest.approx(placement.positions["tsne"])
    assert len(traces["nearest in the original space"]["x"]) == len(placement.neighbors)
    assert len(traces["path"]["x"]) == len(placement.windows) > 1
    assert len(base["data"]) == len(lit["data"]) - 3, "the map itself stays as it was"
    ids = [point for trace in base["data"] for point in base64.b64decode(trace["customdata"]["bdata"])[::4]]
    assert sorted(ids) == list(range(len(keys.map.labels)))
    assert {name for trace in base["data"] for name in trace["text"]} == set(keys.map.names), "shown on hover"


def test_verdicts_are_told_in_words(keys: Placer) -> None:
    silence = keys.place(Sound(np.zeros(24_000, np.float32), 48_000))
    unlike = replace(silence, typicality=0.5, validation_items=199, verdict=get_args(Verdict)[2])
    said = verdict_html(Placed("x", unlike))
    assert "cpc-odd" in said
    assert "Unlike anything trained on: position not meaningful." in said
    few = replace(silence, typicality=10.0, validation_items=9, verdict=get_args(Verdict)[3])
    assert "cpc-unknown" in verdict_html(Placed("x", few))
    assert "To call it borderline would take at least 19 of them" in verdict_html(Placed("x", few))
    assert "This is silence" in said
    near = near_html(silence)
    assert "Nearest pictures" in near
    assert f"<td>{silence.neighbors[0].source}</td>" in near
    assert "sounds and pictures alone, without labels" in heading_html(keys), "it has no pair term"
    paired = copy(keys)
    paired.config = keys.config.replace({"loss.pair_weight": 1.0})
    assert "sounds and pictures alone, in pairs of one class, so the pairing was a label" in heading_html(paired)


def test_words_of_untrusted_visitors_are_escaped() -> None:
    said = verdict_html(Placed("x", None, "<script>alert(1)</script>: empty file"))
    assert "role='alert'" in said
    assert "<script>" not in said
    assert "&lt;script&gt;" in said


# --- over HTTP -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "content"), [("five.wav", recording("5", seconds=1.2)), ("dots.png", photo())])
def test_it_answers_as_the_engine_does(
    keys: Placer, keys_client: Client, tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    reply = sent(keys_client, tmp_path / name)
    assert reply["status"] == "ok"
    (expected,) = keys.place_all([(name, content)])
    assert_alike(reply, json.loads(json.dumps(expected.to_dict())))


def test_twenty_at_once_each_get_their_own_answer(keys: Placer, keys_client: Client, tmp_path: Path) -> None:
    contents = {f"{key}.wav": recording(str(key)) for key in range(10)} | {f"{i}.png": photo(i) for i in range(9)}
    contents["broken.wav"] = b"RIFF\0\0\0\0WAVEjunk"
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    assert len(contents) == 20
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda name: sent(keys_client, tmp_path / name), contents))
    expected = [placed.to_dict() for placed in keys.place_all(list(contents.items()))]
    assert_alike(replies, json.loads(json.dumps(expected)))
    assert [reply["status"] for reply in replies] == ["ok"] * 19 + ["error"]


def test_what_cannot_be_placed_is_an_entry_of_one_line(tones: RunFolder, keys_demo: str, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(photo())
    (tmp_path / "broken.wav").write_bytes(recording("5")[:60])
    (tmp_path / "notes.txt").write_text("not a sound")
    with demo(tones.path, tmp_path / "log") as (url, _):
        client = Client(url, verbose=False)
        picture, broken, text = (sent(client, tmp_path / name) for name in ("photo.png", "broken.wav", "notes.txt"))
        client.close()
    error = "this run learned from sounds, it cannot place pictures"
    assert picture == {"file": "photo.png", "status": "error", "error": error}
    for reply, name in ((broken, "broken.wav"), (text, "notes.txt")):
        assert (reply["file"], reply["status"]) == (name, "error")
        assert reply["error"].startswith(f"{name}: ")
        assert "\n" not in reply["error"]
    assert "no file was sent" in answer(keys_demo, None)


def test_a_large_file_is_refused_by_client_and_server(keys_client: Client, keys_demo: str, tmp_path: Path) -> None:
    (tmp_path / "large.wav").write_bytes(b"RIFF" + bytes(MAX_FILE_BYTES))
    with pytest.raises(ValueError, match="exceeds the maximum file size"):
        sent(keys_client, tmp_path / "large.wav")
    upload = f"{keys_demo}/gradio_api/upload"
    assert httpx.post(upload, files={"files": bytes(MAX_FILE_BYTES + 1)}, timeout=60).status_code == 413
    half = bytes(MAX_FILE_BYTES * 2 // 3)
    assert httpx.post(upload, files=[("files", half), ("files", half)], timeout=60).status_code == 413
    assert httpx.post(upload, content=iter([b"no length"])).status_code == 411


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
            assert httpx.get(f"{keys_demo}/gradio_api/{path}").status_code == 403
        assert httpx.get(place).status_code == 200, "the trap works"
        trap.shutdown()
        thread.join()
    assert fetched == ["/five.wav"]


def test_the_address_of_what_was_sent_here_stands_for_it(keys_demo: str) -> None:
    """As MCP clients name it."""
    upload = httpx.post(f"{keys_demo}/gradio_api/upload", files={"files": ("five.wav", recording("5"))})
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
            assert httpx.get(f"{keys_demo}/gradio_api/{address}").status_code in (403, 404)


def test_another_name_that_leads_here_is_refused(keys_demo: str) -> None:
    assert httpx.get(keys_demo, headers={"Host": "example.org"}).status_code == 400
    assert httpx.get(keys_demo).status_code == 200


def test_there_is_one_endpoint_and_no_word_of_other_runs(keys_demo: str, keypad: Path) -> None:
    info = httpx.get(f"{keys_demo}/gradio_api/info").json()
    assert list(info["named_endpoints"]) == ["/place"]
    assert info["unnamed_endpoints"] == {}
    assert "handle_file('sound.wav')" in info["named_endpoints"]["/place"]["code_snippets"]["python"]
    for path in ("", "config", "gradio_api/info"):
        said = httpx.get(f"{keys_demo}/{path}").text
        for hidden in ("secret", str(keypad.parent), os.environ["HOME"] + "/"):
            assert hidden not in said
