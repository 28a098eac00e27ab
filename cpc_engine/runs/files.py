"""Writing that either happens whole or not at all, with one clear line when the disk says no."""

from __future__ import annotations

import contextlib
import errno
import json
import os
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
    """Turns an operating system's refusal to write below `path` into a StorageError."""
    try:
        yield
    except OSError as error:
        reason = REASONS.get(error.errno or 0, error.strerror or str(error))
        raise StorageError(f"cannot write {path}: {reason}") from None


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file atomically: a reader sees the old content or the new, a crash leaves the old."""
    part = path.with_name(f".{path.name}.part")
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
    write_bytes(path, json.dumps(value, indent=2).encode())


def read_json(path: Path) -> Any:
    """Content of a JSON file of a run.

    Raises:
        RunError: it is missing or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path.parent.name}: {path.name} is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path.parent.name}: {path.name} cannot be read ({error})") from None


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """A safetensors file, atomically: no code in it, on any device."""
    from safetensors.torch import save

    content = save({name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}, metadata)
    write_bytes(path, content)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file, on the CPU.

    Raises:
        RunError: it is missing or damaged.
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
    """Add one JSON line and flush it."""
    with storing(path), open(path, "a", encoding="utf-8") as file:
        file.write(_line(value))


def write_lines(path: Path, values: Iterable[Any]) -> None:
    """Replace all JSON lines of a file, atomically."""
    write_bytes(path, "".join(map(_line, values)).encode())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """JSON lines with a step; what a crash or a full disk cut off is left out, a missing file is empty.

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
