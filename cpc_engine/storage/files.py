"""Atomic writes and reads of JSON and safetensors files; errors of the file system become one-line engine errors.

A run may come from someone else: what is read is a regular file within the folder, and not larger than any run needs.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import RunError, StorageError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

MAX_JSON, MAX_LINES, MAX_LINE, MAX_TENSORS = 16 * 2**20, 2**30, 2**20, 4 * 2**30  # bytes
LIMITS = {".json": MAX_JSON, ".jsonl": MAX_LINES, ".txt": MAX_LINES, ".safetensors": MAX_TENSORS}  # by suffix
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)  # Windows has none
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
    check_own_file(path, MAX_JSON)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path.parent.name}: {path.name} cannot be read ({error})") from None


def check_own_file(path: Path, limit: int) -> None:
    """Check that a file may be read: that it is a regular file within its folder, of at most `limit` bytes.

    Raises:
        RunError: it is missing, something else, a link that leaves the folder, or too large.

    Example:
        >>> check_own_file(Path("/dev/zero"), 100)
        Traceback (most recent call last):
        cpc_engine.errors.RunError: dev: zero is not a regular file
    """
    try:
        found = path.stat()
        leaves = path.is_symlink() and path.resolve().parent != path.parent.resolve()
    except FileNotFoundError:
        raise RunError(f"{path.parent.name}: {path.name} is missing") from None
    except OSError as error:  # a link in a circle, a folder that must not be read
        raise RunError(f"{path.parent.name}: {path.name} cannot be read ({error.strerror or error})") from None
    if leaves:
        raise RunError(f"{path.parent.name}: {path.name} is a link that leaves the run's folder")
    if not stat.S_ISREG(found.st_mode):
        raise RunError(f"{path.parent.name}: {path.name} is not a regular file")
    if found.st_size > limit:
        size = f"{found.st_size / 2**20:,.0f} MiB where at most {limit / 2**20:,.0f} MiB can be right"
        raise RunError(f"{path.parent.name}: {path.name} is too large ({size})")


def modified(path: Path) -> int:
    """Return when a file was last written, in ns; 0 if there is none, or none any more.

    Asking `is_file` first is not enough: another process may delete the file before the next call.

    Example:
        >>> modified(Path("no such file"))
        0
    """
    try:
        found = path.stat()
    except OSError:
        return 0
    return found.st_mtime_ns if stat.S_ISREG(found.st_mode) else 0


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

    check_own_file(path, MAX_TENSORS)
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path.parent.name}: {path.name} is damaged ({error})") from None


def read_array(path: Path, name: str) -> np.ndarray:
    """Read one tensor of a safetensors file, without the others, and without torch.

    Raises:
        RunError: the file is missing or damaged, or holds no such tensor.
    """
    from safetensors import SafetensorError, safe_open

    check_own_file(path, MAX_TENSORS)
    try:
        with safe_open(path, "np") as file:
            array: np.ndarray = file.get_tensor(name)
            return array
    except (OSError, SafetensorError, TypeError, AttributeError) as error:  # the last two: a type that NumPy lacks
        raise RunError(f"{path.parent.name}: {path.name} is damaged ({error})") from None


def append_line(path: Path, value: Any) -> None:
    """Append one value as a JSON line and flush it, but not through a link, which may leave the folder.

    Raises:
        StorageError: the file cannot be written.
    """
    with storing(path), open(path, "a", encoding="utf-8", opener=_opened) as file:
        file.write(_line(value))


def _opened(path: str, flags: int) -> int:
    return os.open(path, flags | _NOFOLLOW, 0o666)


def write_lines(path: Path, values: Iterable[Any]) -> None:
    """Replace a JSON lines file atomically.

    Raises:
        StorageError: the file cannot be written.
    """
    write_bytes(path, "".join(map(_line, values)).encode())


def has_lines(path: Path, count: int) -> bool:
    """Return whether a file consists of so many whole lines."""
    if not path.is_file():
        return False
    whole, last = 0, b"\n"
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            whole, last = whole + block.count(b"\n"), block[-1:]
    return whole == count and last == b"\n"


def read_lines(path: Path, fits: Callable[[Any], bool]) -> list[dict[str, Any]]:
    """Read the objects of a JSON lines file that fit a schema.

    Other lines are left out, such as those cut off by a crash or a full disk. A missing file gives an empty list.

    Raises:
        RunError: the file cannot be read.
    """
    rows = []
    if not os.path.lexists(path):
        return []
    try:
        check_own_file(path, MAX_LINES)
        with open(path, encoding="utf-8", errors="replace") as file:
            while line := file.readline(MAX_LINE):
                with contextlib.suppress(ValueError, RecursionError):
                    row = json.loads(line)
                    if fits(row):
                        rows.append(row)
    except FileNotFoundError:  # deleted after it was checked
        return []
    except OSError as error:
        raise RunError(f"{path.parent.name}: {path.name} cannot be read ({error.strerror or error})") from None
    except RunError:
        if not os.path.lexists(path):  # deleted while it was checked
            return []
        raise
    return rows


def _line(value: Any) -> str:
    return json.dumps(value, separators=(",", ":")) + "\n"
