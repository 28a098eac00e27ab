"""A run's network as files that other programs run: ONNX, and torch.export's own format.

ONNX: https://onnx.ai; torch.export: https://docs.pytorch.org/docs/stable/export.html. How to use them: docs/export.md.
"""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch

from ..extras import extra
from ..model import MultiModalCPC
from ..storage.artifacts import load_model
from ..storage.files import storing, write_bytes
from ..storage.folder import RunFolder
from ..terms import Modality
from .network import OUTPUTS, ExportedNetwork


def export_network(folder: RunFolder, format: Literal["onnx", "pt2"], out: Path) -> list[dict[str, Any]]:
    """Write a run's network, front end included; of a run with two modalities one file each, "NAME.audio.onnx".

    Args:
        folder: of the run. format: "onnx" or "pt2". out: the file; it is replaced.

    Returns:
        For each file its "path", and what a user has to know of its input: "modality", "input" (its name), "shape",
        "dtype", "sample_rate" (0 of pictures), "outputs" (their names), and "meaning".

    Raises:
        RunError: the run has no weights. ConfigError: a library is missing. StorageError: `out` cannot be written.
    """
    if format == "onnx":
        for module in ("onnx", "onnxscript"):
            extra(module, "export")
    facts, model = folder.facts(), load_model(folder)
    files = []
    for modality in model.modalities:
        path = out if len(model.modalities) == 1 else out.with_name(f"{out.stem}.{modality}{out.suffix}")
        network = ExportedNetwork(model, modality, facts["image_side"]).eval()
        described = _described(folder, model, modality, network)
        content = _traced(network, format, described)
        with storing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content)
        files.append({"path": str(path), **described})
    return files


def _described(folder: RunFolder, model: MultiModalCPC, modality: Modality, network: ExportedNetwork) -> dict[str, Any]:
    """What stands in the file beside the network."""
    audio = modality == "audio"
    rate = model.audio_features.config.sample_rate if audio else 0
    meaning = f"mono samples within ±1 at {rate} Hz" if audio else "RGB pixels, 0 to 255"
    return {
        "run": folder.id,
        "modality": modality,
        "input": network.input_name,
        "shape": ["batch", *network.input_shape],
        "dtype": "float32" if audio else "uint8",
        "sample_rate": rate,
        "outputs": list(OUTPUTS),
        "meaning": meaning,
    }


def _traced(network: ExportedNetwork, format: str, described: dict[str, Any]) -> bytes:
    with torch.no_grad(), _quiet():
        batch = torch.export.Dim("batch", min=1, max=65536)
        program = torch.export.export(network, network.example(), dynamic_shapes=({0: batch},))
        if format == "pt2":
            stream = io.BytesIO()
            torch.export.save(program, stream, extra_files={"cpc.json": json.dumps(described)})
            return stream.getvalue()
        exported: Any = torch.onnx.export(
            program,
            dynamo=True,
            input_names=[network.input_name],
            output_names=list(OUTPUTS),
            verbose=False,
        )
    model = exported.model_proto
    for name, value in described.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = name, value if isinstance(value, str) else json.dumps(value)
    content: bytes = model.SerializeToString()
    return content


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' remarks on their own insides from a person who asked for a file."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
