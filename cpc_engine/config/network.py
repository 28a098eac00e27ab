"""From waveforms and pictures to latents, contexts and predictions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ..settings import Section, setting

SMALLEST = 32  # px, of a picture that follows from the data


def map_side(side: int) -> int:
    """Return the cells along a side of the residual encoder's maps, for an input with `side` pixels, bands or frames.

    Example:
        >>> map_side(32), map_side(64), map_side(201)
        (7, 15, 49)
    """
    return ((side - 6) // 2 + 1) // 2


def _directions() -> Any:
    return setting(
        256,
        "Outputs of the residual encoder's first layer: directions of whitened patches of the data.",
        unit="directions",
        ge=8,
        le=2048,
        low="few kinds of edges and textures are told apart",
        high="the first layer takes most of a step",
        label="First-layer directions",
    )


class AudioConfig(Section):
    """From a waveform to log-mel frames to latents."""

    sample_rate: int = setting(
        16000,
        "Every clip is resampled to this rate (0: as the data suggest).",
        unit="Hz",
        ge=0,
        le=48000,
        low="high pitches vanish",
    )
    clip_seconds: float = setting(
        1.0,
        "Length of the clips that the network reads; shorter sounds are padded (0: as the data suggest).",
        unit="s",
        ge=0,
        le=10,
        low="too short to tell what sounds",
        high="short sounds are mostly padding; a step takes longer",
    )
    recording_seconds: float = setting(
        10.0,
        "Length kept of every recording, where it is loudest. Training hears random clips of it, evaluation several.",
        unit="s",
        ge=0.1,
        le=60,
        low="only the loudest moments are heard, which a click may be",
        high="more memory; most clips may be of silence",
        label="Kept of a recording",
    )
    mel_bands: int = setting(64, "Bands of the mel spectrogram.", unit="bands", ge=8, le=128, label="Mel bands")
    window_ms: float = setting(25.0, "Length of one spectrum's window.", unit="ms", ge=4, le=128, label="Window")
    hop_ms: float = setting(10.0, "Time between two spectra.", unit="ms", ge=2, le=64, label="Hop")
    center: bool = setting(
        False,
        "Subtract each clip's own mean spectrum, so that a voice's color or a room says less.",
        low="who speaks and through which microphone stays in the latents",
        high="steady sounds vanish: all they have is their mean",
        label="Subtract the mean spectrum",
    )
    encoder: Literal["patches", "convnet", "residual"] = setting(
        "patches",
        "Encode stretches of frames apart; or run one ConvNet over the whole clip (its fields overlap), all learned or "
        "with a first layer from the data and residual blocks.",
        words={"patches": "stretches apart", "convnet": "ConvNet", "residual": "residual blocks"},
    )
    frames_per_latent: int = setting(
        6,
        "Spectrogram frames that one latent covers.",
        unit="frames",
        ge=1,
        le=64,
        low="a long, redundant sequence",
        label="Frames per latent",
    )
    width: int = setting(48, "Channels of the encoder.", unit="channels", ge=8, le=512)
    directions: int = _directions()
    shift: float = setting(
        0.1, "Largest random shift in time, as a share of the clip.", ge=0, le=0.5, label="Time shift"
    )
    gain_db: float = setting(6.0, "Largest random change of level.", unit="dB", ge=0, le=40, label="Gain jitter")
    filter_db: float = setting(
        0.0,
        "Largest random change of level by frequency, smooth from band to band: another microphone, another room.",
        unit="dB",
        ge=0,
        le=40,
        low="recordings are told apart by their color, and latents learn that instead of what sounds",
        high="sounds that differ in their color alone are mistaken for each other",
        label="Filter jitter",
    )
    noise: float = setting(
        0.005, "Largest level of added noise (full scale is 1).", ge=0, le=1, label="Noise augmentation"
    )
    noise_share: float = setting(
        1.0,
        "Share of the clips that noise is added to.",
        ge=0.05,
        le=1,
        low="noise is hardly met",
        high="what is clean lies apart from all that was trained on",
        label="Share of noisy clips",
    )
    warp: float = setting(
        0.0,
        "Largest random stretch of the spectrogram's band axis and of its time, as a share.",
        ge=0,
        le=0.4,
        low="voices of other people stay far apart",
        high="pitches and vowels are mistaken for each other",
        label="Spectrogram warp",
    )
    cached: bool = setting(
        False,
        "Compute the spectrogram of each recording once, and augment it instead of the sound.",
        low="each step computes all spectra anew",
        high="shifts are by whole frames, and added noise has the same power in every frame",
        label="Spectrograms computed once",
    )
    band_drop: float = setting(0.1, "Chance that a stretch of mel bands is blanked.", ge=0, le=1, label="Band dropout")

    def latents(self, frames: int) -> int:
        """Return the number T of latents of a clip with so many spectrogram frames.

        Example:
            >>> AudioConfig().latents(101), AudioConfig(encoder="residual").latents(201)
            (16, 24)
        """
        if self.encoder == "patches":
            return frames // self.frames_per_latent
        return -(-frames // 4) if self.encoder == "convnet" else map_side(frames) // 2

    @property
    def frames_between_latents(self) -> int:
        """Spectrogram frames from one latent to the next."""
        return {"patches": self.frames_per_latent, "convnet": 4, "residual": 8}[self.encoder]

    @property
    def sequence_length(self) -> int:
        """Latents per clip; 0 or less where the clip is too short for the encoder.

        Example:
            >>> AudioConfig().sequence_length, AudioConfig(encoder="residual", clip_seconds=0.1).sequence_length
            (16, 0)
        """
        return self.latents(1 + self.clip_length // round(self.hop_ms * self.sample_rate / 1000))

    @property
    def clip_length(self) -> int:
        """Samples per clip.

        Example:
            >>> AudioConfig(sample_rate=8000, clip_seconds=0.5).clip_length
            4000
        """
        return round(self.clip_seconds * self.sample_rate)

    def kept_length(self, recording_length: int) -> int:
        """Return how many samples are kept of a recording at most.

        Args:
            recording_length: samples of the longest one that a run has learned from; 0 in runs of versions that kept
                one clip of each.

        Example:
            >>> audio = AudioConfig(sample_rate=8000, clip_seconds=0.5, recording_seconds=2)
            >>> [audio.kept_length(length) for length in (0, 9000, 90_000)]
            [4000, 9000, 16000]
        """
        return max(self.clip_length, min(recording_length, round(self.recording_seconds * self.sample_rate)))

    @model_validator(mode="after")
    def _large_enough(self) -> AudioConfig:
        if 0 < self.sample_rate < 2000:
            raise ValueError(f"sample_rate must be 0 or from 2000 to 48000, not {self.sample_rate}")
        if 0 < self.clip_seconds < 0.1:
            raise ValueError(f"clip_seconds must be 0 or from 0.1 to 10, not {self.clip_seconds:g}")
        half = 1 << (2 * round(self.window_ms * self.sample_rate / 1000) - 1).bit_length() >> 1  # of a transform
        if self.sample_rate > 0 and 0 < self.clip_length <= half:
            raise ValueError(f"window_ms {self.window_ms:g} is too long for clips of {self.clip_seconds:g} s")
        return self


class ImageConfig(Section):
    """From a picture to latents on a grid."""

    size: int = setting(
        128,
        "Pictures are resized to size × size (0: as the data suggest).",
        unit="px",
        ge=0,
        le=256,
        label="Picture size",
        low="small things vanish",
        high="a step takes longer",
    )
    encoder: Literal["patches", "convnet", "residual"] = setting(
        "patches",
        "Encode patches apart; or run one ConvNet over the whole picture (its fields overlap), all learned or with a "
        "first layer from the data and residual blocks.",
        words={"patches": "patches apart", "convnet": "ConvNet", "residual": "residual blocks"},
    )
    view_share: float = setting(
        1.0,
        "Side of the pieces that training reads, cut out at random places, as a share of the picture's. Below 1 it "
        "needs the residual encoder, which reads pictures of any size.",
        ge=0.4,
        le=1,
        low="a piece shows too little of the item",
        high="two pieces show the same pixels, and a step takes longer",
        label="Size of training views",
    )
    grid: int = setting(
        4, "Latents per side; the sequence is grid × grid in raster order.", ge=2, le=16, label="Latents per side"
    )
    wrap: bool = setting(
        False,
        "Also predict across the end of a row, a cell on the other side of the picture, as a plain sequence would.",
        low="some horizons have fewer anchors",
        high="such a cell is no neighbor: one anchor in four at horizon 1 on a 4 × 4 grid",
        label="Wrap at row ends",
    )
    width: int = setting(48, "Channels of the encoder.", unit="channels", ge=8, le=512)
    directions: int = _directions()
    depth: int = setting(4, "Convolutions of the encoder.", ge=1, le=8, label="Convolutions")
    flip: bool = setting(True, "Mirror half of the pictures left to right.", label="Mirror")
    crop: float = setting(
        0.15, "Largest share of the side that a random crop removes.", ge=0, le=0.5, label="Random crop"
    )
    jitter: float = setting(
        0.3,
        "Largest random change of brightness and contrast, per patch.",
        ge=0,
        le=1,
        label="Brightness and contrast jitter",
    )
    color_drop: float = setting(0.25, "Chance that a patch loses its color.", ge=0, le=1, label="Grayscale patches")

    def anchors(self, horizon: int) -> list[int]:
        """Return the positions t in raster order from which cell t + horizon is predicted, for horizon < grid².

        Without `wrap` that cell lies horizon mod grid columns further to the right, in the same row or a later one; a
        multiple of the grid is straight below.

        Example:
            >>> ImageConfig(grid=4).anchors(1), ImageConfig(grid=4).anchors(14)
            ([0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14], [0, 1])
            >>> ImageConfig(grid=4).anchors(4) == list(range(12))
            True
        """
        side = self.grid
        return [t for t in range(side**2 - horizon) if self.wrap or t % side + horizon % side < side]

    @property
    def view_side(self) -> int:
        """Side of the pieces that training reads, in px.

        Example:
            >>> ImageConfig(size=32, encoder="residual", view_share=0.75).view_side
            24
        """
        return round(self.view_share * self.size)

    @model_validator(mode="after")
    def _grid_fits(self) -> ImageConfig:
        if 0 < self.size < 32:
            raise ValueError(f"size must be 0 or from 32 to 256, not {self.size}")
        if self.encoder == "residual":
            if self.grid > map_side(self.view_side or SMALLEST):
                raise ValueError(f"grid {self.grid} is finer than the encoder's maps")
            return self
        if self.view_share < 1:
            raise ValueError("view_share below 1 needs the residual encoder; the others read whole pictures")
        patch, rest = divmod(self.size or SMALLEST, self.grid)
        if rest:
            raise ValueError(f"size {self.size} must be a multiple of grid {self.grid}")
        if self.encoder == "patches" and (patch < 8 or patch % 4):
            raise ValueError(f"a patch of {patch} px is too small or no multiple of 4; change size or grid")
        if self.encoder == "convnet" and (patch < 2 or patch & (patch - 1)):
            raise ValueError(f"for the convnet, size / grid must be a power of two, not {patch}")
        return self


class ContextConfig(Section):
    """Latents, the shared GRU and its predictions."""

    latent_dim: int = setting(64, "Size d of a latent.", ge=4, le=512, label="Latent dimension d")
    hidden_dim: int = setting(
        256, "Size h of the GRU's context, shared by both modalities.", ge=8, le=1024, label="Context dimension h"
    )
    layers: int = setting(1, "Layers of the GRU, one upon the other.", ge=1, le=4, label="GRU layers")
    horizons: tuple[Annotated[int, Field(ge=1, le=1024)], ...] = setting(
        (1, 2, 4),
        "How many positions ahead to predict, each with a linear map of its own.",
        unit="positions",
        min_length=1,
        max_length=16,
        label="Horizons k",
    )
    orders: Literal["forward", "both_ways", "four_ways"] = setting(
        "forward",
        "In which orders positions are read and predicted: forward in time or from top left to bottom right; backward "
        "too; or, for pictures, also column by column both ways.",
        low="the first positions are contexts of little and never predicted",
        high="a step has two or four times the anchors",
        label="Reading orders",
        words={"forward": "forward", "both_ways": "forward and backward", "four_ways": "by rows and by columns"},
    )
    item_dim: int = setting(
        128,
        "Size of the item embeddings that item-level terms of the loss compare.",
        ge=4,
        le=1024,
        label="Item embedding dimension",
    )
    horizon_seconds: tuple[Annotated[float, Field(ge=0.01, le=10)], ...] | None = setting(
        None,
        "How far ahead to predict in sounds, in seconds, each rounded to whole positions; `horizons` when not set.",
        label="Horizons of sounds",
    )
    predictors_per_modality: bool = setting(
        True, "Give each modality its own linear maps instead of sharing them.", label="Predictors per modality"
    )
    latent_norm: bool = setting(True, "Layer-normalize the latents.", label="Layer-normalize latents")
    batch_norm: bool = setting(
        False,
        "Normalize inside the patch encoders and ConvNets over the whole batch, instead of each item by itself.",
        low="an item's latents are the same whatever else is in the batch",
        high="each latent tells of the other items and positions of its batch, which the loss can exploit",
        label="BatchNorm in encoders",
    )
    other_view: bool = setting(
        False,
        "Predict latents of a second random view of the item (another crop, color, shift, gain) instead of its own.",
        low="details that both sides share, such as color or a hum, can be copied",
        high="each step encodes every item twice",
        label="Predict a second augmented view",
    )

    @model_validator(mode="after")
    def _different_horizons(self) -> ContextConfig:
        if len(set(self.horizons)) != len(self.horizons):
            raise ValueError("horizons must differ from each other")
        return self
