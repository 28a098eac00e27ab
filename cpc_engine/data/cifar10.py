"""Load CIFAR-10 (Krizhevsky 2009, 32 × 32 px photographs) from an `.npz` file or a torchvision folder."""

from __future__ import annotations

import math
import os
import zipfile
from collections import Counter
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import torch

from ..config import RunConfig
from ..errors import DataError, NotHereError
from ..media.archive import UNREADABLE
from .dataset import Dataset, Split
from .loading import Progress, check_memory
from .relations.duplicates import leave_out
from .splits import capped, chosen_classes, labels_tensor, take_validation

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
DEFAULT = ("airplane", "automobile")
CACHE = Path("~/.cache/cpc_lab")
_KEYS = ("x_train", "y_train", "x_test", "y_test")
_HOW = "fetch it with --set data.download=true, or name a file with --data PATH.npz"
_BATCHES = ("batches.meta", "test_batch", *(f"data_batch_{number}" for number in range(1, 6)))
# NumPy's, besides zipfile's.
_UNREADABLE = (*UNREADABLE, OSError, ValueError, AttributeError, TypeError)

Arrays = dict[str, npt.NDArray[np.uint8]]


def cifar10(config: RunConfig, device: torch.device | str, progress: Progress | None) -> Dataset:
    """Load CIFAR-10 with its official training and test sets.

    Without `data.classes`, only airplane and automobile are used. `data.path` is one of:

    - an `.npz` file with x_train, x_test (N, S, S, 3) uint8, y_train, y_test (N,) integers, and optionally class_names;
    - a folder in torchvision's layout, by default ~/.cache/cpc_lab/cifar10.

    Raises:
        DataError: the data are not on disk (the message says how to get them), or the arrays are malformed or need
            too much memory.
        ConfigError: a class does not exist.
    """
    path = _place(config)
    if path.suffix == ".npz" or path.is_file():
        arrays, names = _from_npz(path)
    else:
        arrays, names = _from_torchvision(path, config.data.download, progress), NAMES
    selection = config
    if config.data.classes is None and set(DEFAULT) <= set(names):
        selection = config.replace({"data.classes": list(DEFAULT)})
    classes = chosen_classes(selection.data, names)
    train = capped(_split(arrays, "train", classes, names), config.data.train_items, config.data.seed)
    test = capped(_split(arrays, "test", classes, names), config.data.test_items, config.data.seed)
    train, remarks = leave_out(train, test, "image")
    train, validation = take_validation(train, config.data)
    side = arrays["x_train"].shape[1]
    return Dataset("cifar10", classes, train, validation, test, image_side=side, remarks=remarks)


def is_within_reach(config: RunConfig) -> bool:
    """Whether the images are on disk, or are to be fetched to where they are looked for; no file is opened.

    Example:
        >>> is_within_reach(RunConfig().replace({"data.dataset": "cifar10", "data.path": "/nowhere/cifar10.npz"}))
        False
    """
    path = _place(config)
    if path.suffix == ".npz" or path.is_file():
        return path.is_file()
    return config.data.download or all((path / "cifar-10-batches-py" / name).is_file() for name in _BATCHES)


def _place(config: RunConfig) -> Path:
    return Path(os.path.expanduser(config.data.path or CACHE / "cifar10"))


def _split(arrays: Arrays, part: str, classes: tuple[str, ...], names: tuple[str, ...]) -> Split:
    """The items of `part` ("train" or "test") whose class is in `classes`, relabeled in the order of `classes`."""
    original = arrays[f"y_{part}"].astype(np.int64)
    relabel = np.full(len(names), -1)
    relabel[[names.index(name) for name in classes]] = np.arange(len(classes))
    rows = np.flatnonzero(relabel[original] >= 0)
    ids = tuple(f"cifar10/{part}/{row}" for row in rows)
    images = torch.from_numpy(arrays[f"x_{part}"][rows]).permute(0, 3, 1, 2).contiguous()
    return Split(audio=None, image=images, labels=labels_tensor(relabel[original[rows]]), names=ids, groups=ids)


def _from_npz(path: Path) -> tuple[Arrays, tuple[str, ...]]:
    """Read and check an `.npz` file: (arrays, class names)."""
    if not path.is_file():
        raise NotHereError(f"no such file: {path}", _HOW)
    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            missing = [key for key in _KEYS if key not in file.files]
            if missing:
                raise DataError(f"{path.name}: lacks {', '.join(missing)}; it needs {', '.join(_KEYS)}")
            check_memory(path.name, _declared_bytes(handle), "keep fewer items in the file")
            arrays = {key: file[key] for key in _KEYS}
            class_names = file["class_names"] if "class_names" in file.files else np.array(NAMES)
    except _UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path.name}: not a usable .npz file ({reason})") from None
    names = tuple(_as_name(name) for name in np.ravel(class_names))
    _check_arrays(path.name, arrays, names)
    return arrays, names


def _as_name(value: object) -> str:
    """A class name, which arrays hold as text or, from older programs, as bytes."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _declared_bytes(handle: IO[bytes]) -> int:
    """What the arrays of an `.npz` file will take in memory, as their headers say; nothing is unpacked.

    Raises:
        ValueError, OSError, zipfile.BadZipFile: a header is damaged.
    """
    total = 0
    with zipfile.ZipFile(handle) as archive:
        for name in {f"{key}.npy" for key in (*_KEYS, "class_names")} & set(archive.namelist()):
            with archive.open(name) as member:
                major, _ = np.lib.format.read_magic(member)
                read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(member)
                total += math.prod(shape) * dtype.itemsize
    return total


def _check_arrays(name: str, arrays: Arrays, names: tuple[str, ...]) -> None:
    """Raise DataError unless all classes have different names and all arrays the expected types, shapes, and labels."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{name}: class_names has {twice[0]!r} more than once")
    side = arrays["x_train"].shape[1:2]
    for part in ("train", "test"):
        x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if x.dtype != np.uint8 or x.ndim != 4 or x.shape[1:] != (*side, *side, 3):
            raise DataError(f"{name}: x_{part} must be uint8 of shape (N, S, S, 3), not {x.dtype} of shape {x.shape}")
        if not np.issubdtype(y.dtype, np.integer) or y.shape != (len(x),):
            raise DataError(f"{name}: y_{part} must be whole numbers of shape ({len(x)},), not {y.dtype} {y.shape}")
        if len(y) and not 0 <= int(y.min()) <= int(y.max()) < len(names):
            raise DataError(
                f"{name}: y_{part} goes from {y.min()} to {y.max()}, but there are {len(names)} class names"
            )


def _from_torchvision(path: Path, download: bool, progress: Progress | None) -> Arrays:
    """Read torchvision's copy in `path`, after downloading it if `download` is set."""
    from torchvision.datasets import CIFAR10  # imported here because the import is slow

    arrays: Arrays = {}
    try:
        if download:
            path.mkdir(parents=True, exist_ok=True)
            if progress is not None:
                progress("fetching CIFAR-10", 0.0)
        for part in ("train", "test"):
            subset = CIFAR10(str(path), train=part == "train", download=download)
            arrays[f"x_{part}"], arrays[f"y_{part}"] = subset.data, np.asarray(subset.targets)
    except (OSError, RuntimeError) as error:
        if download:
            raise DataError(f"CIFAR-10 could not be fetched to {path}: {str(error).splitlines()[0]}") from None
        raise NotHereError(f"no CIFAR-10 in {path}", _HOW) from None
    return arrays
