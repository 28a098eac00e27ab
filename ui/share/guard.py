"""What is turned away before Gradio sees it: paths that fetch addresses or run other decoders, and too many bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

MAX_FILE_BYTES = 20 * 2**20
MAX_KEPT_BYTES = 2**30  # of all uploads together; each goes after some minutes
_FORM_BYTES = 64 * 2**10  # what a form adds around one file
# Gradio would fetch `file=https://…` for whoever asks, and hand a "recording" to FFmpeg in this very process.
_CLOSED = re.compile(r"/gradio_api/(file[=/]\s*https?:|proxy=|process_recording|vibe-)", re.IGNORECASE)


class Guard:
    """ASGI middleware around the demo, which keeps what people send in the folder `uploads`."""

    def __init__(self, app: ASGIApp, uploads: Path) -> None:
        self.app, self.uploads = app, uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = None
        if scope["type"] == "http":
            refused = refusal(scope["method"], scope["path"], Headers(scope=scope))
            if refused is None and scope["path"].endswith("/upload") and kept_bytes(self.uploads) > MAX_KEPT_BYTES:
                refused = 507, "too much was sent in the last minutes: try again later"
        if refused is None:
            await self.app(scope, receive, send)
        else:
            status, line = refused
            await PlainTextResponse(line, status)(scope, receive, send)


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
