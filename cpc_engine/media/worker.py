"""The sandbox's worker process, `python -m cpc_engine.media.worker`, which decodes untrusted files sent through pipes.

Protocol: a request is one line of JSON, {"name", "bytes"}, followed by that many bytes. A reply is one line of JSON,
{"error", "bytes": 0} or {"kind", "notes", "rate" or "shape", "bytes"}, followed by the bytes of the array.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any, BinaryIO

from ..errors import MediaError
from . import Sound, decode
from .file_bytes import MAX_DECODE_SECONDS, MAX_MEMORY


def main() -> None:
    """Answer requests on standard input until it is closed."""
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # output of a library must not corrupt a reply
    _set_limits()
    _send(replies, {"ready": True}, b"")
    while line := requests.readline():
        request = json.loads(line)
        _set_alarm(MAX_DECODE_SECONDS + 2)  # the parent's limit is shorter; this one works if the parent has died
        _send(replies, *_reply(requests.read(request["bytes"]), request["name"]))
        _set_alarm(0)


def _reply(data: bytes, name: str) -> tuple[dict[str, Any], bytes]:
    """The header and body of the reply to one request."""
    try:
        item = decode(data, name)
    except MediaError as error:
        return {"error": str(error)}, b""
    if isinstance(item, Sound):
        return {"kind": "sound", "notes": item.notes, "rate": item.rate}, item.samples.tobytes()
    return {"kind": "picture", "notes": item.notes, "shape": item.pixels.shape}, item.pixels.tobytes()


def _send(replies: BinaryIO, header: dict[str, Any], body: bytes) -> None:
    """Write one reply; the size of the body is added to the header."""
    replies.write(json.dumps({**header, "bytes": len(body)}).encode() + b"\n")
    replies.write(body)
    replies.flush()


def _set_limits() -> None:
    """Forbid core dumps, writing to files, and more memory than `MAX_MEMORY`, as far as the system supports it."""
    if sys.platform != "win32":
        import resource

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Ctrl-C the parent closes the pipe, which ends this process
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        if sys.platform == "linux":  # other systems ignore this limit, or count memory that they map themselves
            resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))


def _set_alarm(seconds: int) -> None:
    """End this process after `seconds`, even inside a decoder; 0 cancels the alarm."""
    if sys.platform != "win32":
        signal.alarm(seconds)


if __name__ == "__main__":
    main()
