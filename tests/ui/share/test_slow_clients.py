"""Many requests at once, while other clients send theirs a byte at a time."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from gradio_client import Client

from cpc_engine.placing import Placer
from tests.support.demo import demo
from tests.support.shared_run import assert_alike, photo, recording, sent
from tests.support.tiny import wait_until
from ui.share.guard import kept_bytes

pytest_plugins = ["tests.support.explored"]
HONEST, SLOW = 40, 12
MEMORY = 2**30  # bytes that the demo may grow by: 8 threads place files, each of which takes some tens of MB


def send_slowly(url: str, stop: threading.Event) -> None:
    """Begin an upload, send it a byte at a time until told to stop, and leave it unfinished."""
    address = urlsplit(url)
    head = f"POST /gradio_api/upload HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 1000000\r\n"
    head += "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    form = b'--x\r\nContent-Disposition: form-data; name="files"; filename="slow.wav"\r\n\r\n' + bytes(10**6)
    with socket.create_connection((address.hostname, address.port)) as connection, suppress(OSError):
        connection.sendall(head.encode())
        for byte in form:
            connection.sendall(bytes([byte]))
            if stop.wait(0.01):  # between two bytes
                return


def unnamed_files(pid: int) -> int:
    """Open files of a process that have no name (any more): the bodies of uploads that are going on."""
    found = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found += os.readlink(link).endswith("(deleted)")
    return found


def peak_memory(pid: int) -> int:
    """Most bytes that a process had in memory at once."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return 1024 * int(fields["VmHWM"].split()[0])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at the process by /proc")
def test_forty_at_once_are_answered_while_others_send_slowly(keypad: Path, keys: Placer, tmp_path: Path) -> None:
    contents = {f"{i}.wav": recording(str(i % 10), 0.5 + i / 100) for i in range(HONEST // 2)}
    contents |= {f"{i}.png": photo(i) for i in range(HONEST // 2)}
    files, home = tmp_path / "files", tmp_path / "home"
    files.mkdir()
    home.mkdir()
    for name, content in contents.items():
        (files / name).write_bytes(content)
    with demo(keypad, home / "log") as (url, process), ThreadPoolExecutor(SLOW + HONEST) as pool:
        (uploads,) = home.glob("cpc-share-*")
        client = Client(url, verbose=False, httpx_kwargs={"timeout": 300})
        idle, stop = unnamed_files(process.pid), threading.Event()
        sent(client, files / "0.png")  # what is read once is in memory
        wait_until(lambda: unnamed_files(process.pid) == idle, "the end of an upload, which follows its answer")
        memory = peak_memory(process.pid)
        try:
            slow = [pool.submit(send_slowly, url, stop) for _ in range(SLOW)]
            wait_until(lambda: unnamed_files(process.pid) - idle == SLOW, "every slow upload has begun")
            replies = list(pool.map(lambda name: sent(client, files / name), contents))
            assert not any(upload.done() for upload in slow), "the slow ones still send"
            wait_until(lambda: unnamed_files(process.pid) - idle == SLOW, "the ends of the others")
        finally:
            stop.set()
        assert [upload.result() for upload in slow] == [None] * SLOW
        expected = [placed.to_dict() for placed in keys.place_all(list(contents.items()))]
        assert_alike(replies, json.loads(json.dumps(expected)))
        assert peak_memory(process.pid) - memory < MEMORY
        wait_until(lambda: unnamed_files(process.pid) == idle, "nothing is open of the slow uploads")
        # The files of those who sent them whole are kept for some minutes, and nothing else is.
        assert kept_bytes(uploads) <= 2 * sum(map(len, contents.values()))
        left = {path.read_bytes() for path in uploads.rglob("*") if path.is_file()}
        assert left <= set(contents.values())
        assert sent(client, files / "1.wav")["status"] == "ok"
        client.close()
    assert not uploads.exists()
