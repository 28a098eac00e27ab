"""A run from someone else: its folder or a zip file of it, checked file by file before it stands beside one's own.

A run holds numbers and settings, and no code: JSON and safetensors only. Names, sizes, and contents are checked as if
somebody had made them to do harm.
"""

from __future__ import annotations

import unicodedata
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import IO

from ..errors import MediaError, RunError
from ..execution.weight_snapshots import kept_snapshots, load_state
from ..maps.snapshots import load_snapshots
from ..maps.stored import load_map
from ..media.archive import UNREADABLE, safe_path
from ..storage.artifacts import load_model, load_ood_reference, load_probes
from ..storage.files import LIMITS, check_own_file, storing
from ..storage.folder import FILES, RunFolder
from ..storage.info import ACTIVE, is_id
from ..storage.leftovers import making
from ..storage.lock import publish

MAX_BYTES = 4 * 2**30  # of all files together
MAX_MEMBERS = 10_000
_BLOCK = 1 << 20
_MOST_BYTES = 200  # of a name that a number is appended to; the most is 255
_JOINER = "\N{ZERO WIDTH JOINER}"


def bring_run(path: Path, root: Path, name: str | None = None) -> tuple[RunFolder, list[str]]:
    """Copy a run into a folder of runs; it is one's own from then on and can be renamed, evaluated, and resumed.

    Args:
        path: the run's folder, or a zip file with one run, in a folder or not.
        root: the folder of runs.
        name: of the file, where `path` is a copy of an upload under another name.

    Returns:
        The run, and one line for each file that was left out. Where its id is taken, a number is appended.

    Raises:
        RunError: there is no run, or a file of it is damaged, too large, or made to leave its folder; nothing is kept.
        StorageError: `root` cannot be written.
    """
    with _opened(path) as (found, skipped, given):
        wanted = given or Path(name or path.name).stem
        target = _free(root, wanted if is_id(wanted) else "run")
        with making(target) as folder:
            total = 0
            with _readable(path):
                for file, stream in found:
                    total += _copy(stream, folder / file, LIMITS[Path(file).suffix], MAX_BYTES - total)
            _settle(RunFolder(folder))
    publish(target)
    return RunFolder(target), skipped


def check_run(folder: RunFolder) -> None:
    """Read every file of a run.

    Raises:
        RunError: one is damaged; the message says which.
    """
    info = folder.info()
    folder.records()
    folder.events()
    folder.json("evaluation")
    if not folder.has("weights"):
        if info.steps_done:
            raise RunError(f"{folder.id}: weights.safetensors is missing")
        return
    model = load_model(folder)
    load_probes(folder, model)
    load_ood_reference(folder, model)
    load_snapshots(folder)
    if folder.has("map"):
        load_map(folder, "pca")
    if folder.has("checkpoint"):
        load_state(folder)
    for name in kept_snapshots(folder).values():
        load_state(folder, name)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Iterator[tuple[str, IO[bytes]]], list[str], str]]:
    """The files of the run at `path`, what is left out, and the name of the folder that holds them ("" without one)."""
    if path.is_dir():
        files = [name for name in FILES if (path / name).exists()]
        if not {"config.json", "run.json"} <= set(files):
            raise RunError(f"{path.name} is not a run folder: it has no config.json and run.json")
        for file in files:
            check_own_file(path / file, LIMITS[Path(file).suffix])
        skipped = [f"{one.name}: no part of a run" for one in sorted(path.iterdir()) if one.name not in FILES]
        yield ((file, (path / file).open("rb")) for file in files), skipped, path.resolve().name
        return
    with ExitStack() as stack:
        with _readable(path):
            archive = stack.enter_context(zipfile.ZipFile(path))
            members, skipped, top = _members(archive)
        yield ((file, archive.open(info)) for file, info in members.items()), skipped, top


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what goes wrong in reading a folder or a zip file into a RunError."""
    try:
        yield
    except UNREADABLE as error:
        raise RunError(f"{path.name} is neither a run's folder nor a zip file of one ({error})") from None
    except FileNotFoundError:
        raise RunError(f"there is no {path}") from None
    except OSError as error:
        raise RunError(f"{path.name} cannot be read: {error.strerror or error}") from None
    except MediaError as error:
        raise RunError(str(error)) from None


def _members(archive: zipfile.ZipFile) -> tuple[dict[str, zipfile.ZipInfo], list[str], str]:
    """The files of the one run in a zip file, what is left out, and the folder that holds them."""
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if len(infos) > MAX_MEMBERS:
        raise RunError(f"the zip file holds {len(infos):,} files; a run has at most {len(FILES)}")
    paths = {info: safe_path(info) for info in infos}
    tops = {path.parent for path in paths.values() if path.name == "config.json" and _plain(path)}
    if len(tops) != 1:
        raise RunError(f"the zip file holds {len(tops) or 'no'} runs; one is needed")
    [top] = tops
    members: dict[str, zipfile.ZipInfo] = {}
    skipped = []
    for info, path in paths.items():
        if path.parent != top or path.name not in FILES:
            skipped.append(f"{info.filename}: no part of a run")
        elif path.name in members:
            raise RunError(f"the zip file has {info.filename!r} twice")
        elif info.file_size > LIMITS[path.suffix]:
            raise RunError(f"{info.filename} unpacks to {info.file_size / 2**20:,.0f} MiB, more than any run needs")
        else:
            members[path.name] = info
    if "run.json" not in members:
        raise RunError("the zip file holds no run: it has no run.json")
    return members, skipped, top.name


def _plain(path: PurePosixPath) -> bool:
    """Whether no folder of the path is hidden, as macOS adds them."""
    return not any(part.startswith((".", "__MACOSX")) for part in path.parts)


def _copy(stream: IO[bytes], target: Path, limit: int, left: int) -> int:
    """Copy at most `limit` bytes, whatever a header says, and return how many they are."""
    size = 0
    with stream:
        with storing(target):
            out = target.open("wb")
        try:
            while block := stream.read(_BLOCK):
                size += len(block)
                if size > min(limit, left):
                    raise RunError(f"{target.name} is larger than any run needs")
                with storing(target):
                    out.write(block)
        finally:
            with storing(target):
                out.close()
    return size


def _settle(folder: RunFolder) -> None:
    """Check a copied run, and make it one's own: no example, and trained by no process of this machine."""
    try:
        check_run(folder)
        info = folder.info()
        data = {key: value for key, value in info.data.items() if key != "example"}
        status, message = info.status, info.message
        if status in ACTIVE or status == "interrupted":
            status, message = "interrupted", f"it was brought in before it had ended; {folder.way_on(info)}"
        folder.replace_info(replace(info, status=status, message=message, data=data, pid=0, pid_started=0, machine=""))
    except RunError as error:
        raise RunError(str(error).replace(f"{folder.id}: ", "")) from None  # the hidden name says nothing


def _free(root: Path, name: str) -> Path:
    """A folder of this name, with a number where there is one."""
    path, number = root / name, 2
    while path.exists():
        path, number = root / f"{_shortened(name)}-{number}", number + 1
    return path


def _shortened(name: str) -> str:
    """A name with room for a number: its first `_MOST_BYTES` bytes, less what a letter has there in part.

    A letter keeps the accents and vowel signs that are written behind it, and an emoji its parts.

    Example:
        >>> len(_shortened("名" * 85)), len(_shortened("e\\u0301" * 70)) % 2
        (66, 0)
    """
    short = name.encode()[:_MOST_BYTES].decode(errors="ignore")
    while short and len(short) < len(name) and (_joins(name[len(short)]) or short[-1] == _JOINER):
        short = short[:-1]
    return short or name.encode()[:_MOST_BYTES].decode(errors="ignore")


def _joins(character: str) -> bool:
    """Whether a character is part of the letter before it."""
    return character == _JOINER or unicodedata.category(character).startswith("M")
