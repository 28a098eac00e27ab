"""What the demo lets in, and what is left of uploads."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from tests.support.shared_run import broken_off, recording
from tests.support.tiny import wait_until
from ui.share import guard as share_guard
from ui.share.guard import MAX_FILE_BYTES, Guard, kept_bytes, refusal

pytest_plugins = ["tests.support.explored"]


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


def kept(uploads: Path) -> set[str]:
    """Every file there, while others come and go."""
    return {f"{folder}/{name}" for folder, _, names in os.walk(uploads) for name in names}


def test_nothing_is_left_of_uploads_that_are_broken_off(keys_demo_uploads: tuple[str, Path]) -> None:
    url, uploads = keys_demo_uploads
    before = kept(uploads)
    for _ in range(20):
        broken_off(url, bytes(200_000))
    wait_until(lambda: kept(uploads) <= before, "the uploads are deleted")
    # Complete, but of no use to Gradio: no end of the form, and a field that it does not know.
    head = {"content-type": "multipart/form-data; boundary=x"}
    part = b'--x\r\nContent-Disposition: form-data; name="%s"; filename="a.wav"\r\n\r\n' + bytes(1000)
    for content in (part % b"files", part % b"other" + b"\r\n--x--\r\n"):
        httpx.post(f"{url}/gradio_api/upload", content=content, headers=head, timeout=60)
    # The answer is sent before what was left is deleted.
    wait_until(lambda: kept(uploads) <= before, "the uploads are deleted")
    (path,) = httpx.post(f"{url}/gradio_api/upload", files={"files": ("five.wav", recording("5"))}, timeout=60).json()
    assert Path(path).read_bytes() == recording("5")


def test_uploads_that_are_going_on_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share_guard, "MAX_KEPT_BYTES", 150)
    monkeypatch.setattr(share_guard, "MAX_SECONDS", 0.2)
    guard = Guard(PlainTextResponse("let through"), tmp_path)

    async def upload(chunks: int, released: asyncio.Event) -> int:
        """The status of an upload that goes on until it is `released`, and is broken off then."""
        left, said = [b"x" * 100] * chunks, []

        async def receive() -> dict[str, Any]:
            if left:
                return {"type": "http.request", "body": left.pop(), "more_body": True}
            await released.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            said.append(message)

        headers = [(b"content-length", b"1000")]
        scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "headers": headers}
        await guard(scope, receive, send)
        return int(said[0]["status"])

    async def uploads() -> None:
        never, now = asyncio.Event(), asyncio.Event()
        assert await upload(1, never) == 408
        assert await upload(3, never) == 507
        monkeypatch.setattr(share_guard, "MAX_SECONDS", 60)
        going_on = asyncio.create_task(upload(1, now))
        while guard._receiving < 100:
            await asyncio.sleep(0)
        assert await upload(1, never) == 507
        now.set()
        assert await going_on == 400
        monkeypatch.setattr(share_guard, "MAX_SECONDS", 0.2)
        assert await upload(1, never) == 408, "nothing counts any more once it has ended"

    # In a thread of its own, as the loop of the browser runs in this one when the whole suite does.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, uploads()).result()
