"""Atomic writes and reads of JSON and safetensors files; errors of the file system become one-line engine errors."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import RunError, StorageError

if TYPE_CHECKING:
    from torch import Tensor

REASONS = {
    errno.ENOSPC: "no space left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "the file system is read-only",
    errno.ENOTDIR: "a file stands where a folder is needed",
    errno.EEXIST: "a file stands where a folder is needed",
}


@contextlib.contextmanager
def storing(path: Path) -> Iterator[None]:
    """Raise an OSError of the enclosed block as a StorageError about writing to `path`.

    Example:
        >>> with storing(Path("run")):
        ...     raise OSError(errno.ENOSPC, "No space left on device")
        Traceback (most recent call last):
        cpc_engine.errors.StorageError: cannot write run: no space left on the disk
    """
    try:
        yield
    except OSError as error:
        reason = REASONS.get(error.errno or 0, error.strerror or str(error))
        raise StorageError(f"cannot write {path}: {reason}") from None


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file atomically: readers see the old or the new content, and a crash leaves the old content.

    Raises:
        StorageError: the file cannot be written.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")  # its own, should two write at once
    with storing(path):
        try:
            with open(part, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except OSError:
            part.unlink(missing_ok=True)
            raise


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file atomically.

    Raises:
        StorageError: the file cannot be written.
    """
    write_bytes(path, json.dumps(value, indent=2).encode())


def read_json(path: Path) -> Any:
    """Read a JSON file of a run.

    Raises:
        RunError: the file is missing or not valid JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path.parent.name}: {path.name} is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path.parent.name}: {path.name} cannot be read ({error})") from None


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Replace a safetensors file atomically. The format holds no code and loads on any device.

    Raises:
        StorageError: the file cannot be written.
    """
    from safetensors.torch import save

    content = save({name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}, metadata)
    write_bytes(path, content)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a safetensors file to the CPU.

    Raises:
        RunError: the file is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except FileNotFoundError:
        raise RunError(f"{path.parent.name}: {path.name} is missing") from None
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path.parent.name}: {path.name} is damaged ({error})") from None


def append_line(path: Path, value: Any) -> None:
    """Append one value as a JSON line and flush it.

    Raises:
        StorageError: the file cannot be written.
    """
    with storing(path), open(path, "a", encoding="utf-8") as file:
        file.write(_line(value))


def write_lines(path: Path, values: Iterable[Any]) -> None:
    """Replace a JSON lines file atomically.

    Raises:
        StorageError: the file cannot be written.
    """
    write_bytes(path, "".join(map(_line, values)).encode())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read the objects of a JSON lines file that have an integer "step".

    Lines cut off by a crash or a full disk are skipped. A missing file gives an empty list.

    Raises:
        RunError: the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunError(f"{path.parent.name}: {path.name} cannot be read ({error.strerror or error})") from None
    rows = []
    for line in text.splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            rows.append(json.loads(line))
    return [row for row in rows if isinstance(row, dict) and isinstance(row.get("step"), int)]


def _line(value: Any) -> str:
    return json.dumps(value, separators=(",", ":")) + "\n"
