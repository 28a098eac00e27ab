"""What is turned away before Gradio sees it: paths that fetch addresses or run other decoders, and too many bytes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_FILE_BYTES = 20 * 2**20
MAX_KEPT_BYTES = 2**30  # of all uploads together; each goes after some minutes
MAX_SECONDS = 300  # that one upload may take
_FORM_BYTES = 64 * 2**10  # what a form adds around one file
# Gradio would fetch `file=https://…` for whoever asks, and hand a "recording" to FFmpeg in this very process.
_CLOSED = re.compile(r"/gradio_api/(file[=/]\s*https?:|proxy=|process_recording|vibe-)", re.IGNORECASE)


class Guard:
    """ASGI middleware around the demo, which keeps what people send in the folder `uploads`.

    Gradio would keep what it was sent of an upload that is broken off, and of a form without a file that it knows, for
    ever. It is therefore handed complete uploads only, one after another, and what it leaves behind is deleted.
    """

    def __init__(self, app: ASGIApp, uploads: Path) -> None:
        self.app, self.uploads = app, uploads
        self._receiving = 0  # bytes of uploads that are not complete yet
        self._one = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = refusal(scope["method"], scope["path"], Headers(scope=scope)) if scope["type"] == "http" else None
        if refused is None and scope["type"] == "http" and scope["path"].rstrip("/").endswith("/upload"):
            refused = await self._upload(scope, receive, send)
        elif refused is None:
            await self.app(scope, receive, send)
        if refused is not None:
            status, line = refused
            await PlainTextResponse(line, status)(scope, receive, send)

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> tuple[int, str] | None:
        """Hand a complete upload on; otherwise (status, one line)."""
        with TemporaryFile() as body:  # has no name, so that nothing is left of it however the demo ends
            refused = await self._receive(receive, body)
            if refused is not None:
                return refused
            async with self._one:
                await self.app(scope, _from_file(body, receive), send)
                for left in self.uploads.iterdir():  # uploads that were kept lie in folders of their own
                    if left.is_file():
                        left.unlink()
        return None

    async def _receive(self, receive: Receive, body: IO[bytes]) -> tuple[int, str] | None:
        """Write a request to `body`; (status, one line) if it is broken off, slow, or too much."""
        kept, received = kept_bytes(self.uploads), 0
        try:
            async with asyncio.timeout(MAX_SECONDS):
                more = True
                while more:
                    if kept + self._receiving > MAX_KEPT_BYTES:
                        return 507, "too much was sent in the last minutes: try again later"
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return 400, "the upload was broken off"
                    received += len(message.get("body", b""))
                    self._receiving += len(message.get("body", b""))
                    body.write(message.get("body", b""))
                    more = message.get("more_body", False)
        except TimeoutError:
            return 408, f"an upload may take {MAX_SECONDS} s"
        finally:
            self._receiving -= received
        body.seek(0)
        return None


def _from_file(body: IO[bytes], receive: Receive) -> Receive:
    """The messages of a request whose body has been received."""
    ended = False

    async def replay() -> Message:
        nonlocal ended
        if ended:
            return await receive()
        chunk = body.read(2**16)
        ended = not chunk
        return {"type": "http.request", "body": chunk, "more_body": not ended}

    return replay


def refusal(method: str, path: str, headers: Mapping[str, str]) -> tuple[int, str] | None:
    """(status, one line) of a request that is turned away; None for all others."""
    if _CLOSED.search(path):
        return 403, "this demo neither fetches addresses nor cuts recordings"
    if method != "POST":
        return None
    if not headers.get("content-length", "").isdecimal():  # Gradio would write on until the disk is full
        return 411, "say how long the request is (Content-Length)"
    if int(headers["content-length"]) > MAX_FILE_BYTES + _FORM_BYTES:
        return 413, f"one file of at most {MAX_FILE_BYTES // 2**20} MiB at a time"
    return None


def kept_bytes(folder: Path) -> int:
    """Size of all files in a folder that may lose some meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total += 0 if path.is_dir() else path.stat().st_size
    return total
