"""Mirrors: the folder on this machine in which runs of a URL are read and worked on.

A mirror is a folder of runs like any other, so that nothing but this package knows of URLs. A file tells it apart.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ...errors import ConfigError, StorageError
from ..files import storing, write_json

VARIABLE = "CPC_MIRRORS"
MARKER = ".remote.json"  # of a mirror: {"url"}
SYNCED = ".synced"  # folder of a mirror: for each run, which versions of its files are here
_URL = re.compile(r"(s3|memory)://[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9=@+,_-][A-Za-z0-9=@+,._ -]*)*")


def local_root(where: Path | str) -> Path:
    """Return the folder of runs on this machine for a folder or a URL; the mirror of a URL is made where it is missing.

    Args:
        where: a folder, file:///folder, or s3://bucket/prefix (memory://name in tests). Mirrors are below $CPC_MIRRORS,
            or ~/.cache/cpc_lab/mirrors.

    Raises:
        ConfigError: no such URL. StorageError: the mirror cannot be made.

    Example:
        >>> local_root("runs"), local_root("file:///srv/runs")
        (PosixPath('runs'), PosixPath('/srv/runs'))
        >>> local_root("ftp://host/runs")
        Traceback (most recent call last):
        cpc_engine.errors.ConfigError: runs cannot be at 'ftp://host/runs': a folder, file:///folder, or s3://bucket/prefix
    """
    text = str(where)
    if "://" not in text:
        return Path(where)
    parts = urlsplit(text)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path:
        return Path(url2pathname(parts.path))
    url = text.rstrip("/")
    if not _URL.fullmatch(url):
        raise ConfigError(f"runs cannot be at {text!r}: a folder, file:///folder, or s3://bucket/prefix")
    name = f"{re.sub(r'[^A-Za-z0-9]+', '-', url)[:80]}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"
    mirror = Path(os.environ.get(VARIABLE) or "~/.cache/cpc_lab/mirrors").expanduser().resolve() / name
    if url_of(mirror) != url:
        with storing(mirror):
            mirror.mkdir(parents=True, exist_ok=True)
        write_json(mirror / MARKER, {"url": url})
    return mirror


def url_of(root: Path) -> str | None:
    """Return the URL whose mirror a folder of runs is; None for any other folder.

    Raises:
        StorageError: the file that names it is damaged.
    """
    try:
        url = json.loads((root / MARKER).read_text(encoding="utf-8"))["url"]
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{root / MARKER} is damaged ({error}); delete it") from None
    if not (isinstance(url, str) and _URL.fullmatch(url)):
        raise StorageError(f"{root / MARKER} is damaged (no URL); delete it")
    return url
