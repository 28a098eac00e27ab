"""The command `export`: a run's network or its embeddings as files of other programs."""

from __future__ import annotations

import argparse
import json

from .. import api
from .text import printable


def run_export(options: argparse.Namespace) -> int:
    """Export a run; JSON: {"run", "format", "files": [{"path", …}]}, of embeddings also "items" and "dimensions"."""
    folder = api.open_run(options.run, options.runs).folder
    document = {"run": folder.id, "format": options.format}
    if options.format in ("onnx", "pt2"):
        from ..exports.graphs import export_network

        document["files"] = export_network(folder, options.format, options.out)
        lines = [f"{file['path']}: {file['input']} {file['shape']}, {file['meaning']}" for file in document["files"]]
    else:
        from ..exports.embeddings import collect_embeddings
        from ..exports.tables import write_embeddings

        embeddings = collect_embeddings(folder, options.data)
        document["files"] = [{"path": str(p)} for p in write_embeddings(embeddings, options.format, options.out)]
        document["items"], document["dimensions"] = embeddings.vectors.shape
        lines = [file["path"] for file in document["files"]]
        lines.append(f"{document['items']} rows of {document['dimensions']} dimensions")
    print(json.dumps(document, indent=2) if options.json else "\n".join(map(printable, lines)))
    return 0
