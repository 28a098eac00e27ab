"""Random views of training items: windows of recordings and augmented features, as training reads them."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from ..config import RunConfig
from ..data.dataset import Split
from ..data.windows import random_places, random_windows
from ..model import MultiModalCPC
from ..terms import Modality
from .spectra import Spectra


class Window(NamedTuple):
    """Stretches of B training items.

    Attributes:
        batch: the items, recordings cut to clips, or without them where spectra are computed once.
        rows: (B,) int64, their rows among the training items.
        places: (B,) int64 position of the first latent of each clip in its recording.
        mirrored: (B,) bool, which pictures every view of the window mirrors; None where each view may draw it, since no
            position in one is compared with one in another.
    """

    batch: Split
    rows: Tensor
    places: Tensor
    mirrored: Tensor | None = None


class Views:
    """Draws views of training items.

    Args:
        config: configuration of the run. model: its front ends compute the features.
        train: training items. generator: source of all random draws.
    """

    def __init__(self, config: RunConfig, model: MultiModalCPC, train: Split, generator: torch.Generator) -> None:
        self._audio, self._model, self._train, self._generator = config.audio, model, train, generator
        self._compared = config.context.other_view and "image" in model.modalities
        cached = config.audio.cached and train.audio is not None
        self._spectra = Spectra(train, model.audio_features) if cached else None
        self._silent = replace(train, audio=None)  # what is read where the spectra are there already

    def window(self, rows: Tensor) -> Window:
        """Draw one window of each item at `rows` (B,); pictures and short clips are taken whole."""
        if self._spectra is None:
            batch, places = random_windows(self._train.take(rows), self._audio, self._generator)
            if not self._compared:
                return Window(batch, rows, places)
            draw = torch.rand(len(rows), generator=self._generator, device=self._generator.device)
            return Window(batch, rows, places, draw < 0.5)
        batch = self._silent.take(rows)
        if batch.lengths is None:
            return Window(batch, rows, torch.zeros(len(rows), dtype=torch.int64, device=batch.labels.device))
        return Window(batch, rows, random_places(batch.lengths, self._audio, self._generator))

    def features(self, window: Window) -> dict[Modality, Tensor]:
        """Compute the features of a window by modality, augmented anew at every call."""
        features: dict[Modality, Tensor] = {}
        for modality in self._model.modalities:
            if modality == "audio" and self._spectra is not None:
                power = self._spectra.windows(window.rows.to(window.places.device), window.places)
                features[modality] = self._model.audio_features.augmented(power, self._generator)
            elif modality == "image":
                images = window.batch.values(modality)
                features[modality] = self._model.features[modality](images, self._generator, window.mirrored)
            else:
                features[modality] = self._model.audio_features(window.batch.values(modality), self._generator)
        return features
