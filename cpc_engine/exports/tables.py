"""Embeddings as files of other tools: Parquet, CSV, NumPy's npz, and a folder for the Embedding Projector.

How to open each of them: docs/export.md.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from ..csv_text import csv_cell
from ..extras import extra
from ..storage.files import storing, write_bytes
from .embeddings import Embeddings

TableFormat = Literal["parquet", "csv", "npz", "projector"]


def write_embeddings(embeddings: Embeddings, format: TableFormat, out: Path) -> list[Path]:
    """Write embeddings as one file, or as a folder for "projector"; what was there is replaced.

    parquet: the columns of `Embeddings.rows`, and `vector`, a list of h float32. csv: the same with columns v0, v1, …;
    text that a spreadsheet would compute begins with an apostrophe (see `csv_text`).
    npz: arrays `vectors`, `keys`, `splits`, `labels`, `classes` (by label), `groups`, `modalities`, `x`, `y`.
    projector: `tensors.tsv`, `metadata.tsv`, and the configurations of the page and of TensorBoard's plugin.

    Raises:
        ConfigError: a library is missing. StorageError: `out` cannot be written.
    """
    files = _WRITERS[format](embeddings, out)
    for path, content in files.items():
        with storing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content)
    return list(files)


def _parquet(embeddings: Embeddings, out: Path) -> dict[Path, bytes]:
    arrow, parquet = extra("pyarrow", "export"), extra("pyarrow.parquet", "export")
    table = arrow.Table.from_pandas(embeddings.rows, preserve_index=False)
    flat = arrow.array(embeddings.vectors.ravel())
    vectors = arrow.FixedSizeListArray.from_arrays(flat, embeddings.vectors.shape[1])
    stream = io.BytesIO()
    parquet.write_table(table.append_column("vector", vectors), stream)
    return {out: stream.getvalue()}


def _csv(embeddings: Embeddings, out: Path) -> dict[Path, bytes]:
    import pandas as pd

    names = [f"v{index}" for index in range(embeddings.vectors.shape[1])]
    vectors = pd.DataFrame(embeddings.vectors, columns=names)
    return {out: pd.concat([embeddings.rows.map(csv_cell), vectors], axis=1).to_csv(index=False).encode()}


def _npz(embeddings: Embeddings, out: Path) -> dict[Path, bytes]:
    rows = embeddings.rows
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        vectors=embeddings.vectors,
        keys=rows["key"].to_numpy(str),
        splits=rows["split"].to_numpy(str),
        labels=rows["label"].to_numpy(np.int64),
        classes=np.array(embeddings.classes, str),
        groups=rows["group"].to_numpy(str),
        modalities=rows["modality"].to_numpy(str),
        x=rows["x"].to_numpy(np.float32),
        y=rows["y"].to_numpy(np.float32),
    )
    return {out: stream.getvalue()}


def _projector(embeddings: Embeddings, out: Path) -> dict[Path, bytes]:
    vectors = "\n".join("\t".join(f"{value:.6g}" for value in row) for row in embeddings.vectors.tolist())
    columns = ["key", "class", "split", "group", "modality"]
    lines = [columns, *embeddings.rows[columns].astype(str).to_numpy().tolist()]
    metadata = "\n".join("\t".join(" ".join(cell.split()) for cell in line) for line in lines)  # no tab within a cell
    page = {
        "embeddings": [
            {
                "tensorName": "mean context",
                "tensorShape": list(embeddings.vectors.shape),
                "tensorPath": "tensors.tsv",
                "metadataPath": "metadata.tsv",
            }
        ]
    }
    plugin = 'embeddings {\n  tensor_name: "mean context"\n  tensor_path: "tensors.tsv"\n'
    plugin += '  metadata_path: "metadata.tsv"\n}\n'
    return {
        out / "tensors.tsv": f"{vectors}\n".encode(),
        out / "metadata.tsv": f"{metadata}\n".encode(),
        out / "projector_config.json": json.dumps(page, indent=2).encode(),
        out / "projector_config.pbtxt": plugin.encode(),
    }


_WRITERS: dict[str, Callable[[Embeddings, Path], dict[Path, bytes]]] = {
    "parquet": _parquet,
    "csv": _csv,
    "npz": _npz,
    "projector": _projector,
}
