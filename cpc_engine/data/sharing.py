"""One copy in memory of what several holders load: pages, runs of one data set, and trainings with other seeds."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace
from weakref import WeakValueDictionary

from torch import Tensor

from .dataset import Dataset, Split

_made: WeakValueDictionary[str, Dataset] = WeakValueDictionary()
_making: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()
_alive: WeakValueDictionary[tuple[str, tuple[int, ...], bytes], Tensor] = WeakValueDictionary()
_changing = threading.Lock()


def shared(split: Split) -> Split:
    """Return the split with tensors that are held elsewhere where there are equal ones, which nobody may change.

    They are kept no longer than somebody else holds them. Tensors on a GPU are left as they are.

    Example:
        >>> import torch
        >>> first, second = (Split(None, torch.ones(1, 3, 8, 8), torch.zeros(1), ("a",), ("a",)) for _ in range(2))
        >>> first.image is second.image, shared(first).image is shared(second).image
        (False, True)
    """
    return replace(split, audio=_one_copy(split.audio), image=_one_copy(split.image))


def shared_data(data: Dataset) -> Dataset:
    """Return the data set with `shared` splits."""
    return replace(data, train=shared(data.train), validation=shared(data.validation), test=shared(data.test))


def made_once(settings: str, make: Callable[[], Dataset]) -> Dataset:
    """Return the data set of these settings: the one that somebody here holds, or is just making, or a new one.

    Args:
        settings: that decide all of it. Nothing else may, such as files.
        make: raises what it likes.

    Example:
        >>> import torch
        >>> one = Split(torch.zeros(1, 8, dtype=torch.int16), None, torch.zeros(1), ("a",), ("a",))
        >>> first = made_once("a", lambda: Dataset("a", ("b", "c"), one, one, one))
        >>> made_once("a", lambda: Dataset("a", ("d", "e"), one, one, one)) is first
        True
    """
    with _changing:
        lock = _making.setdefault(settings, threading.Lock())
    with lock:
        data = _made.get(settings)
        if data is None:
            data = _made[settings] = make()
        return data


def _one_copy(tensor: Tensor | None) -> Tensor | None:
    if tensor is None or tensor.device.type != "cpu":
        return tensor
    content = hashlib.blake2b(tensor.contiguous().numpy().data, digest_size=16).digest()
    with _changing:
        return _alive.setdefault((str(tensor.dtype), tuple(tensor.shape), content), tensor)
