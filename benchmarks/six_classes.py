"""Write one file of photographs from several, with as many of each class, for the ablation of negatives.

    python -m benchmarks.six_classes --out FILE.npz [--data DIR]

All classes of `cifar10_two_class.npz` and `cifar10_four_class.npz`, which are looked for in DIR, in $CPC_SHARED/data,
or in `shared/data` beside the repository. Of each class the first N training and test pictures are taken, N being what
the smallest class has; the pictures of a class are in no order.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

if not __package__:  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.timing import shared_data

NAMES = ("cifar10_two_class.npz", "cifar10_four_class.npz")
Arrays = Mapping[str, np.ndarray]


def joined(files: Sequence[Arrays]) -> dict[str, Any]:
    """Return the arrays of all files as those of one, with as many pictures of each class.

    Args:
        files: each with x_train, x_test (N, S, S, 3), y_train, y_test (N,) and class_names.

    Example:
        >>> pictures, labels = np.zeros((3, 2, 2, 3)), np.array([0, 1, 1])
        >>> one = {"x_train": pictures, "y_train": labels, "x_test": pictures, "y_test": labels}
        >>> found = joined([one | {"class_names": np.array(names)} for names in (["a", "b"], ["c", "d"])])
        >>> found["y_train"].tolist(), found["class_names"].tolist()
        ([0, 1, 2, 3], ['a', 'b', 'c', 'd'])
    """
    found = {"class_names": np.concatenate([file["class_names"] for file in files])}
    for part in ("train", "test"):
        pictures = [
            file[f"x_{part}"][file[f"y_{part}"] == label] for file in files for label in range(len(file["class_names"]))
        ]
        count = min(map(len, pictures))
        found[f"x_{part}"] = np.concatenate([of_class[:count] for of_class in pictures])
        found[f"y_{part}"] = np.repeat(np.arange(len(pictures)), count)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=shared_data(), metavar="DIR", help="where the two files are")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the file to write")
    given = parser.parse_args()
    np.savez_compressed(given.out, **joined([np.load(given.data / name) for name in NAMES]))


if __name__ == "__main__":
    main()
