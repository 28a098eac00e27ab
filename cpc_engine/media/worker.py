"""The process that decodes strangers' bytes: `python -m cpc_engine.media.worker`, driven through its pipes.

Each request is one header line of JSON, {"name", "bytes"}, and the bytes. Each answer is one header line, {"error"} or
{"kind", "notes", "rate" or "shape", "bytes"}, and the array.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any, BinaryIO

from ..errors import MediaError
from . import Sound, decode
from .source import MAX_DECODE_SECONDS, MAX_MEMORY


def main() -> None:
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # a library that prints must not spoil an answer
    _limit()
    _send(answers, {"ready": True}, b"")
    while line := requests.readline():
        request = json.loads(line)
        _alarm(MAX_DECODE_SECONDS + 2)  # the caller gives up earlier; this is for when the caller has died
        _send(answers, *_answer(requests.read(request["bytes"]), request["name"]))
        _alarm(0)


def _answer(data: bytes, name: str) -> tuple[dict[str, Any], bytes]:
    try:
        item = decode(data, name)
    except MediaError as error:
        return {"error": str(error)}, b""
    if isinstance(item, Sound):
        return {"kind": "sound", "notes": item.notes, "rate": item.rate}, item.samples.tobytes()
    return {"kind": "picture", "notes": item.notes, "shape": item.pixels.shape}, item.pixels.tobytes()


def _send(answers: BinaryIO, header: dict[str, Any], body: bytes) -> None:
    answers.write(json.dumps({**header, "bytes": len(body)}).encode() + b"\n")
    answers.write(body)
    answers.flush()


def _limit() -> None:
    """No more memory than `MAX_MEMORY`, no file written, no core dump; where the system has such limits."""
    if sys.platform != "win32":
        import resource

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the caller, who then closes the pipe
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        if sys.platform == "linux":  # elsewhere it is not kept, or counts what the system itself maps
            resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))


def _alarm(seconds: int) -> None:
    """End this process in so many seconds, even inside a decoder; 0 calls it off."""
    if sys.platform != "win32":
        signal.alarm(seconds)


if __name__ == "__main__":
    main()
