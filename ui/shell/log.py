"""The app's log: one JSON object a line in the folder of runs, found again by the id that the page shows."""

from __future__ import annotations

import json
import logging
import secrets
import traceback
from datetime import UTC, datetime
from functools import cache
from logging.handlers import RotatingFileHandler
from pathlib import Path

import streamlit as st

from .session import root

NAME = ".app.log.jsonl"  # hidden: nothing in the folder of runs takes it for a run
_LARGEST = 1_000_000  # bytes, before a new file begins; one older file is kept


def report(error: Exception) -> str:
    """Write an unexpected error with its traceback to the log and give the id under which it stands there.

    A line has `time` (UTC), `level`, `id`, `page` (path of the address), `error` (type), `message` and `traceback`. The
    server's own output has the same line where the folder of runs cannot be written.
    """
    id = secrets.token_hex(4)
    line = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "level": "error",
        "id": id,
        "page": st.context.url or "",
        "error": type(error).__name__,
        "message": str(error),
        "traceback": "".join(traceback.format_exception(error)),
    }
    _logger(str(root() / NAME)).error(json.dumps(line))
    return id


@cache
def _logger(path: str) -> logging.Logger:
    logger = logging.getLogger(f"{__name__}:{path}")
    logger.propagate = False
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handler: logging.Handler = RotatingFileHandler(path, maxBytes=_LARGEST, backupCount=1, encoding="utf-8")
    except OSError:
        handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    return logger
