"""What is sent to the demo of a run, and how answers are compared."""

from __future__ import annotations

import io
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import soundfile
from gradio_client import Client, handle_file
from PIL import Image

from cpc_engine.data.signals import synthesize

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


def broken_off(url: str, content: bytes) -> None:
    """An upload that ends a byte early."""
    address = urlsplit(url)
    form = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n' + content
    head = f"POST /gradio_api/upload HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: {len(form) + 9}\r\n"
    head += "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(head.encode() + form)
