"""What is turned away before Gradio sees it: paths that fetch addresses or run other decoders, and large requests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

MAX_FILE_BYTES = 20 * 2**20
_FORM_BYTES = 64 * 2**10  # what a form adds around one file
# Gradio would fetch `file=https://…` for whoever asks, and hand a "recording" to FFmpeg in this very process.
_CLOSED = re.compile(r"/gradio_api/(file=\s*https?:|proxy=|process_recording|vibe-)", re.IGNORECASE)


class Guard:
    """ASGI middleware around the demo."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = refusal(scope["method"], scope["path"], Headers(scope=scope)) if scope["type"] == "http" else None
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
