"""CIFAR-10 photos (32×32): from one `.npz` file, or from the folder that torchvision keeps."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ..config import RunConfig
from ..errors import DataError
from .files import Progress
from .items import Dataset, Split
from .splits import capped, chosen_classes, labels_tensor, take_validation

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
DEFAULT = ("airplane", "automobile")
CACHE = Path("~/.cache/cpc_lab")
_KEYS = ("x_train", "y_train", "x_test", "y_test")
_HOW = "fetch it with `--set data.download=true`, or name a file with `--data PATH.npz`"

Arrays = dict[str, npt.NDArray[np.uint8]]


def cifar10(config: RunConfig, device: torch.device | str, progress: Progress | None) -> Dataset:
    """Two classes (airplane, automobile) unless `data.classes` says otherwise; the original train and test sets.

    `data.path` is an `.npz` with x_train, x_test (N, S, S, 3) uint8, y_train, y_test (N,) and, optionally, class_names;
    or torchvision's folder, ~/.cache/cpc_lab/cifar10 where it is not set.

    Raises:
        DataError: not on disk (says how to get it), or arrays that do not fit.
    """
    path = Path(config.data.path or CACHE / "cifar10").expanduser()
    if path.suffix == ".npz" or path.is_file():
        arrays, names = _from_npz(path)
    else:
        arrays, names = _from_torchvision(path, config.data.download, progress), NAMES
    wanted = config
    if config.data.classes is None and set(DEFAULT) <= set(names):
        wanted = config.replace({"data.classes": list(DEFAULT)})
    classes = chosen_classes(wanted.data, names)
    train = capped(_split(arrays, "train", classes, names), config.data.train_items, config.data.seed)
    test = capped(_split(arrays, "test", classes, names), config.data.test_items, config.data.seed)
    train, validation = take_validation(train, config.data)
    return Dataset("cifar10", classes, train, validation, test, image_side=arrays["x_train"].shape[1])


def _split(arrays: Arrays, part: str, classes: tuple[str, ...], names: tuple[str, ...]) -> Split:
    kinds = arrays[f"y_{part}"].astype(np.int64)
    new = np.full(len(names), -1)
    new[[names.index(name) for name in classes]] = np.arange(len(classes))
    rows = np.flatnonzero(new[kinds] >= 0)
    ids = tuple(f"cifar10/{part}/{row}" for row in rows)
    pictures = torch.from_numpy(arrays[f"x_{part}"][rows]).permute(0, 3, 1, 2).contiguous()
    return Split(audio=None, image=pictures, labels=labels_tensor(new[kinds[rows]]), sources=ids, groups=ids)


def _from_npz(path: Path) -> tuple[Arrays, tuple[str, ...]]:
    if not path.is_file():
        raise DataError(f"no such file: {path}; {_HOW}")
    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            missing = [key for key in _KEYS if key not in file.files]
            if missing:
                raise DataError(f"{path.name}: lacks {', '.join(missing)}; it needs {', '.join(_KEYS)}")
            arrays = {key: file[key] for key in _KEYS}
            listed = file["class_names"] if "class_names" in file.files else np.array(NAMES)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path.name}: not a usable .npz file ({reason})") from None
    names = tuple(str(name) for name in np.ravel(listed))
    _check_arrays(path.name, arrays, names)
    return arrays, names


def _check_arrays(name: str, arrays: Arrays, names: tuple[str, ...]) -> None:
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
    from torchvision.datasets import CIFAR10  # slow to import and needed here only

    arrays: Arrays = {}
    try:
        if download:
            path.mkdir(parents=True, exist_ok=True)
            if progress is not None:
                progress("fetching CIFAR-10", 0.0)
        for part in ("train", "test"):
            found = CIFAR10(str(path), train=part == "train", download=download)
            arrays[f"x_{part}"], arrays[f"y_{part}"] = found.data, np.asarray(found.targets)
    except (OSError, RuntimeError) as error:
        if download:
            raise DataError(f"CIFAR-10 could not be fetched to {path}: {str(error).splitlines()[0]}") from None
        raise DataError(f"no CIFAR-10 in {path}; {_HOW}") from None
    return arrays
