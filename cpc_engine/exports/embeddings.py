"""The embeddings of all items of a run, with what is known of each: the table that other tools are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..evaluation.embed import embed
from ..maps.stored import load_map
from ..storage.artifacts import load_data, load_model
from ..storage.folder import RunFolder

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Mean contexts of N items; an item with two modalities has a row for each.

    Attributes:
        vectors: (N, h) float32, without augmentation.
        rows: a row for each: key (unique within a modality), split ("train", "validation", "test"), class, label
            (index of the class), group, modality, and x, y: where it lies on the run's PCA map.
        classes: names of the classes by label.
    """

    vectors: np.ndarray
    rows: pd.DataFrame
    classes: tuple[str, ...]


def collect_embeddings(folder: RunFolder, data: str | None = None) -> Embeddings:
    """Embed every item of a run's data.

    Args:
        folder: of the run. data: where the data set is now, when it is not where it was.

    Raises:
        RunError: the run has no weights or no map. DataError: the data set is missing, or not the one it learned from.
    """
    import pandas as pd

    config = folder.config() if data is None else folder.config().replace({"data.path": data})
    model, pca = load_model(folder), load_map(folder, "pca").maps["pca"]
    dataset = load_data(folder, config)
    vectors, rows = [], []
    for split, items in dataset.splits():
        labels = items.labels.tolist()
        for modality, features in embed(model, items).items():
            vectors.append(features.mean_context.numpy())
            place = pca.place(vectors[-1])
            columns = {
                "key": items.names,
                "split": split,
                "class": [dataset.classes[label] for label in labels],
                "label": labels,
                "group": items.groups,
                "modality": modality,
                "x": place[:, 0],
                "y": place[:, 1],
            }
            rows.append(pd.DataFrame(columns))
    return Embeddings(np.concatenate(vectors), pd.concat(rows, ignore_index=True), dataset.classes)
