"""The network of a run before its first step."""

from __future__ import annotations

import threading

import torch
from torch import Tensor

from ..config import RunConfig
from ..data.dataset import Dataset, Split
from ..data.splits import sample_rows
from ..data.windows import all_windows
from ..model import MultiModalCPC
from ..model.dictionary import Dictionary
from ..terms import Modality

CALIBRATION_CLIPS = 512  # that mean and standard deviation of the mel bands are computed on
_seed_lock = threading.Lock()  # initial weights are drawn from PyTorch's global generator, which threads share


def new_model(config: RunConfig, data: Dataset) -> MultiModalCPC:
    """Create an untrained network on the device of the data.

    Its weights depend on `run.seed`, the settings, and, where a first layer is taken from them, the training items. The
    audio front end is calibrated on up to 512 training clips, balanced over classes and groups.
    """
    with _seed_lock, torch.random.fork_rng():
        torch.manual_seed(config.run.seed)
        model = MultiModalCPC(config, data.modalities).to(data.train.labels.device)
    if data.train.audio is not None:
        rows = sample_rows(data.train, CALIBRATION_CLIPS, config.data.seed)
        clips = all_windows(data.train.take(rows), config.audio)[0].audio
        assert clips is not None
        model.audio_features.calibrate(clips)
    for modality in model.modalities:
        _fit_first_layer(model, modality, data.train, config)
    return model


@torch.no_grad()
def _fit_first_layer(model: MultiModalCPC, modality: Modality, split: Split, config: RunConfig) -> None:
    """Take the first layer of a residual encoder from training items; other encoders have none."""
    for layer in model.encoders[modality].modules():
        if isinstance(layer, Dictionary):
            clips = all_windows(split, config.audio)[0] if modality == "audio" else split
            values = clips.values(modality)
            assert values is not None

            def read(rows: Tensor, values: Tensor = values) -> Tensor:
                features: Tensor = model.features[modality](values[rows.to(values.device)])
                return features if modality == "image" else features[:, None]

            layer.fit(read, len(values), config.run.seed)
