"""Exported networks give the numbers of PyTorch, from raw samples and pixels, for every encoder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cpc_engine.config import RunConfig
from cpc_engine.errors import RunError
from cpc_engine.exports.graphs import export_network
from cpc_engine.exports.network import ExportedNetwork
from cpc_engine.model import MultiModalCPC
from cpc_engine.model.dictionary import Dictionary
from cpc_engine.storage.artifacts import load_model
from cpc_engine.storage.folder import RunFolder
from cpc_engine.terms import Modality
from tests.support.exported import trained
from tests.support.tiny import CHANGES, tiny

onnxruntime = pytest.importorskip("onnxruntime")
ENCODERS = ("patches", "convnet", "residual")
SMALL = {name: value for name, value in CHANGES.items() if not name.startswith(("optimizer", "data", "evaluation"))}


def items(modality: Modality, shape: tuple[int, ...], count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Random items as the lab holds them (int16, uint8) and as the exported network reads them."""
    generator = torch.Generator().manual_seed(seed)
    if modality == "image":
        pixels = torch.randint(0, 256, (count, *shape), generator=generator, dtype=torch.uint8)
        return pixels, pixels
    clips = torch.randint(-32768, 32768, (count, *shape), generator=generator).short()
    clips[0] //= 4000  # a quiet one, near the floor of the logarithm
    return clips, clips.float() / 32768


def torch_says(model: MultiModalCPC, modality: Modality, values: torch.Tensor) -> tuple[np.ndarray, ...]:
    with torch.no_grad():
        found = model({modality: model.features[modality](values)})[modality]
    return found.latents.numpy(), found.contexts.numpy(), found.contexts.mean(1).numpy()


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("dataset", ["tones", "bars"])
def test_onnx_and_pt2_equal_torch(dataset: str, encoder: str, tmp_path: Path) -> None:
    modality: Modality = "audio" if dataset == "tones" else "image"
    # A GRU is written out step by step, so that few positions are soon exported.
    changes = {f"{modality}__encoder": encoder, "optimizer__steps": 1, "audio__clip_seconds": 0.25, "image__grid": 2}
    changes |= {"context__orders": "four_ways"} if encoder == "patches" else {}
    folder = trained(tmp_path, data__dataset=dataset, **changes)
    model = load_model(folder)
    [onnx] = export_network(folder, "onnx", tmp_path / "out" / "run.onnx")
    [pt2] = export_network(folder, "pt2", tmp_path / "run.pt2")
    assert onnx["shape"] == pt2["shape"]
    session = onnxruntime.InferenceSession(onnx["path"], providers=["CPUExecutionProvider"])
    said = session.get_modelmeta().custom_metadata_map
    assert (said["run"], json.loads(said["shape"]), int(said["sample_rate"])) == (
        folder.id,
        onnx["shape"],
        8000 if modality == "audio" else 0,
    )
    again = torch.export.load(pt2["path"]).module()
    for count in (1, 5):
        values, raw = items(modality, tuple(onnx["shape"][1:]), count)
        expected = torch_says(model, modality, values)
        by_onnx = session.run(onnx["outputs"], {onnx["input"]: raw.numpy()})
        with torch.no_grad():
            by_torch = [output.numpy() for output in again(raw)]
        for right, one, two in zip(expected, by_onnx, by_torch, strict=True):
            np.testing.assert_allclose(one, right, atol=1e-4, rtol=0)
            np.testing.assert_allclose(two, right, atol=1e-4, rtol=0)


@given(
    rate=st.sampled_from([4000, 8000, 11025, 16000]),
    window=st.sampled_from([20, 25, 32]),
    hop=st.sampled_from([5, 10, 16]),
    bands=st.sampled_from([16, 40, 64]),
    center=st.booleans(),
    encoder=st.sampled_from(ENCODERS),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
def test_the_spectral_front_end_is_that_of_the_lab(
    rate: int, window: int, hop: int, bands: int, center: bool, encoder: str, seed: int
) -> None:
    """For windows of odd and even length, and clips that no whole number of hops fills."""
    changes = {"audio.sample_rate": rate, "audio.window_ms": window, "audio.hop_ms": hop, "audio.mel_bands": bands}
    config = RunConfig().replace({**SMALL, **changes, "audio.center": center, "audio.encoder": encoder})
    torch.manual_seed(seed)
    model = MultiModalCPC(config, ("audio",)).eval()
    values, raw = items("audio", (model.audio_features.length,), 3, seed)
    model.audio_features.calibrate(values)
    for layer in (one for one in model.modules() if isinstance(one, Dictionary)):
        # As a run fits them: filters that see the mean of a quiet clip would turn its rounding into a signal.
        layer.filters -= layer.filters.mean((1, 2, 3), keepdim=True)
    network = ExportedNetwork(model, "audio", 0)
    with torch.no_grad():
        torch.testing.assert_close(network.front_end(raw), model.features["audio"](values), atol=1e-4, rtol=0)
        for mine, right in zip(network(raw), torch_says(model, "audio", values), strict=True):
            np.testing.assert_allclose(mine.numpy(), right, atol=1e-4, rtol=0)


@pytest.mark.parametrize("side", [8, 27, 32, 40, 96])
def test_pictures_of_any_side_are_resized_alike(side: int) -> None:
    config = RunConfig().replace({**SMALL, "image.size": 32})
    model = MultiModalCPC(config, ("image",)).eval()
    values, _ = items("image", (3, side, side), 2)
    with torch.no_grad():
        front = ExportedNetwork(model, "image", side).front_end(values)
        torch.testing.assert_close(front, model.features["image"](values), atol=1e-5, rtol=0)


def test_a_run_with_two_modalities_gives_two_files(tmp_path: Path) -> None:
    folder = trained(tmp_path, data__dataset="tones_bars", optimizer__steps=1)
    files = export_network(folder, "pt2", tmp_path / "both.pt2")
    assert [Path(file["path"]).name for file in files] == ["both.audio.pt2", "both.image.pt2"]
    assert [file["input"] for file in files] == ["samples", "pixels"]


def test_a_run_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="never began"):
        export_network(RunFolder.create(tmp_path, tiny()), "pt2", tmp_path / "x.pt2")
    assert not (tmp_path / "x.pt2").exists()
