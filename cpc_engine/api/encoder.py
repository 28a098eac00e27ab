"""A run as a scikit-learn transformer: sounds or pictures in, frozen features out, nothing to fit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_array, validate_data

from ..errors import ConfigError
from ..settings import unknown
from .run import Run
from .verbs import open_run

if TYPE_CHECKING:
    from ..terms import Modality


class Encoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Frozen features of a run, for scikit-learn's pipelines; `fit` learns nothing and is not needed.

    Sounds are rows (N, L) of mono samples within ±1 at the run's sample rate, of any length: shorter ones are centered
    in silence, of longer ones the loudest stretch is taken, as for a file that is placed. Pictures are (N, H, W, 3),
    RGB from 0 to 255; their center square is resized.

    Args:
        run: a run, its folder, or its id in the folder of runs.
        feature: a field of `evaluation.embed.Features`.
        modality: "audio" or "image"; needed only of a run that has both.

    Example:
        >>> import cpc_engine as cpc, numpy as np
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.pipeline import make_pipeline
        >>> hertz, time = np.repeat([220, 440], 4), np.arange(16000) / 16000
        >>> sounds = np.sin(2 * np.pi * hertz[:, None] * time)
        >>> classifier = make_pipeline(cpc.Encoder("example-tones"), LogisticRegression()).fit(sounds, hertz)
        >>> classifier.predict(sounds[:1] * 0.5).tolist()
        [220]
    """

    def __init__(self, run: Run | Path | str, feature: str = "mean_context", modality: Modality | None = None) -> None:
        self.run = run
        self.feature = feature
        self.modality = modality

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Check the input; there is nothing to learn.

        Raises:
            ConfigError: the run has not this modality or has two, or has no such feature.
            RunError: no such run, or it has no weights. ValueError: the input does not fit.
        """
        _, modality = self._opened()
        _check_shape(validate_data(self, X, **_wanted(modality)), modality)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Features (N, F) of sounds (N, L) or pictures (N, H, W, 3).

        Raises:
            As `fit`.
        """
        import torch

        from ..data.dataset import Split
        from ..evaluation.embed import embed
        from ..media import fit_picture
        from ..media.resample import fit_recordings

        run, modality = self._opened()
        wanted = _wanted(modality)
        fitted = hasattr(self, "n_features_in_")
        values = validate_data(self, X, reset=False, **wanted) if fitted else check_array(X, estimator=self, **wanted)
        _check_shape(values, modality)
        facts, audio, lengths, image = run.folder.facts(), None, None, None
        if modality == "audio":
            rate, length = facts["sample_rate"], run.model.audio_features.length
            longest = run.config.audio.kept_length(int(facts.get("recording_length", 0)))
            sounds = [(row, rate) for row in np.clip(values, -1, 1).astype(np.float32)]
            audio, lengths = fit_recordings(sounds, rate, length, longest)
        else:
            pixels = np.clip(values, 0, 255).astype(np.uint8)
            image = torch.stack([fit_picture(picture, facts["image_side"]) for picture in pixels])
        names = tuple(map(str, range(len(values))))
        items = Split(audio, image, torch.zeros(len(values), dtype=torch.int64), names, names, lengths)
        features = embed(run.model, items)[modality]
        if self.feature not in features.names():
            raise unknown("feature", self.feature, features.names())
        chosen: NDArray[np.float32] = getattr(features, self.feature).numpy()
        return chosen

    def _opened(self) -> tuple[Run, Modality]:
        """The run, and which of its modalities is read."""
        run = open_run(self.run)
        there: list[Modality] = run.folder.facts()["modalities"]
        if self.modality is None and len(there) == 1:
            return run, there[0]
        if self.modality is None or self.modality not in there:
            raise ConfigError(f"{run.id} reads {' and '.join(there)}: give modality, one of them")
        return run, self.modality

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = ["float32"]  # what the networks compute in
        return tags


def _wanted(modality: Modality) -> dict[str, Any]:
    """How scikit-learn checks the input."""
    return {"dtype": "numeric", "allow_nd": True} if modality == "image" else {"dtype": [np.float32, np.float64]}


def _check_shape(values: np.ndarray, modality: Modality) -> None:
    if modality == "image" and (values.ndim != 4 or values.shape[3] != 3):
        raise ValueError(f"pictures are (N, H, W, 3), RGB from 0 to 255; got an array {values.shape}")
