"""Every knob of a run: one immutable object that JSON can carry.

`RunConfig` has nine sections. Each field is described where it stands (see `knobs.knob`), and nowhere else.
Defaults are those of our own recipe; what the seed does differently is written in `presets.py`.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from .errors import ConfigError
from .knobs import Section, as_knob, knob, read_text, unknown

DatasetName = Literal[
    "tones",
    "chirps",
    "bars",
    "tones_bars",
    "keypad",
    "cifar10",
    "fsdd",
    "image_folder",
    "audio_folder",
    "paired_folders",
]


class DataConfig(Section):
    """Which items a run learns from, and how they are split."""

    dataset: DatasetName = knob("tones", "The data set: built-in, known by name, or your own folders.")
    path: str | None = knob(None, "A folder or file that holds the data; built-in sets need none.")
    image_path: str | None = knob(None, "The folder of pictures of `paired_folders` (`path` is the sounds').")
    classes: tuple[str, ...] | None = knob(None, "Classes to use, by name; all of them (cifar10: two) when not set.")
    train_items: int = knob(
        1024,
        "Training items to make (built-in sets) or to use at most (0: all).",
        unit="items",
        ge=0,
        le=1_000_000,
        low="the queue soon holds copies of every item",
        high="more memory; an epoch takes longer",
    )
    test_items: int = knob(512, "Held-out items to make, or to use at most (0: all).", unit="items", ge=0, le=1_000_000)
    validation_share: float = knob(
        0.15, "Share of the training items kept aside to choose the probe's strength.", ge=0.05, le=0.5
    )
    split: Literal["official", "speaker"] = knob(
        "official", "How fsdd is split: its official takes, or by leaving one speaker out."
    )
    held_out: str = knob("george", "The speaker left out when the split is by speaker.")
    download: bool = knob(False, "Fetch the data set where it is not on disk yet (cifar10, fsdd).")
    seed: int = knob(0, "Seed of generated items and of random splits.", ge=0, le=2**31 - 1)


class AudioConfig(Section):
    """From a waveform to log-mel frames to latents."""

    sample_rate: int = knob(
        16000, "Every clip is resampled to this rate.", unit="Hz", ge=2000, le=48000, low="high pitches vanish"
    )
    clip_seconds: float = knob(1.0, "Clips are cut or padded to this length.", unit="s", ge=0.1, le=10)
    mel_bands: int = knob(64, "Bands of the mel spectrogram.", unit="bands", ge=8, le=128)
    window_ms: float = knob(25.0, "Length of one spectrum's window.", unit="ms", ge=4, le=128)
    hop_ms: float = knob(10.0, "Time between two spectra.", unit="ms", ge=2, le=64)
    centre: bool = knob(
        False,
        "Subtract each clip's own mean spectrum, so that a voice's colour or a room says less.",
        low="who speaks and through which microphone stays in the latents",
        high="steady sounds vanish: all they have is their mean",
    )
    encoder: Literal["patches", "convnet"] = knob(
        "patches", "Encode stretches of frames apart, or run one ConvNet over the whole clip (its fields overlap)."
    )
    frames_per_latent: int = knob(
        6, "Spectrogram frames that one latent covers.", unit="frames", ge=1, le=64, low="a long, redundant sequence"
    )
    width: int = knob(48, "Channels of the encoder.", unit="channels", ge=8, le=512)
    shift: float = knob(0.1, "Largest random shift in time, as a share of the clip.", ge=0, le=0.5)
    gain_db: float = knob(6.0, "Largest random change of level.", unit="dB", ge=0, le=40)
    filter_db: float = knob(
        0.0,
        "Largest random change of level by frequency, smooth from band to band: another microphone, another room.",
        unit="dB",
        ge=0,
        le=40,
        low="recordings are told apart by their colour, and latents learn that instead of what sounds",
        high="sounds that differ in their colour alone are mistaken for each other",
    )
    noise: float = knob(0.005, "Largest level of added noise (full scale is 1).", ge=0, le=1)
    noise_share: float = knob(
        1.0,
        "Share of the clips that noise is added to.",
        ge=0.05,
        le=1,
        low="noise is hardly met",
        high="what is clean lies apart from all that was trained on",
    )
    warp: float = knob(
        0.0,
        "Largest random stretch of the spectrogram's band axis and of its time, as a share.",
        ge=0,
        le=0.4,
        low="voices of other people stay far apart",
        high="pitches and vowels are mistaken for each other",
    )
    band_drop: float = knob(0.1, "Chance that a stretch of mel bands is blanked.", ge=0, le=1)


class ImageConfig(Section):
    """From a picture to latents on a grid."""

    size: int = knob(128, "Pictures are resized to size × size.", unit="px", ge=32, le=256)
    encoder: Literal["patches", "convnet"] = knob(
        "patches", "Encode patches apart, or run one ConvNet over the whole picture (its fields overlap)."
    )
    grid: int = knob(4, "Latents per side; the sequence is grid × grid in raster order.", ge=2, le=16)
    width: int = knob(48, "Channels of the encoder.", unit="channels", ge=8, le=512)
    depth: int = knob(4, "Convolutions of the encoder.", ge=1, le=8)
    flip: bool = knob(True, "Mirror half of the pictures left to right.")
    crop: float = knob(0.15, "Largest share of the side that a random crop removes.", ge=0, le=0.5)
    jitter: float = knob(0.3, "Largest random change of brightness and contrast, per patch.", ge=0, le=1)
    color_drop: float = knob(0.25, "Chance that a patch loses its colour.", ge=0, le=1)

    @model_validator(mode="after")
    def _grid_fits(self) -> ImageConfig:
        patch, rest = divmod(self.size, self.grid)
        if rest:
            raise ValueError(f"size {self.size} must be a multiple of grid {self.grid}")
        if self.encoder == "patches" and (patch < 8 or patch % 4):
            raise ValueError(f"a patch of {patch} px is too small or no multiple of 4; change size or grid")
        if self.encoder == "convnet" and (patch < 2 or patch & (patch - 1)):
            raise ValueError(f"for the convnet, size / grid must be a power of two, not {patch}")
        return self


class ContextConfig(Section):
    """Latents, the shared GRU and its predictions."""

    latent_dim: int = knob(64, "Size d of a latent.", ge=4, le=512)
    hidden_dim: int = knob(256, "Size h of the GRU's context, shared by both modalities.", ge=8, le=1024)
    layers: int = knob(1, "Layers of the GRU, one upon the other.", ge=1, le=4)
    horizons: tuple[Annotated[int, Field(ge=1, le=1024)], ...] = knob(
        (1, 2, 4),
        "How many positions ahead to predict, each with a linear map of its own.",
        unit="positions",
        min_length=1,
        max_length=16,
    )
    predictors_per_modality: bool = knob(True, "Give each modality its own linear maps instead of sharing them.")
    latent_norm: bool = knob(True, "Layer-normalise the latents.")
    other_view: bool = knob(
        False,
        "Predict latents of a second random view of the item (another crop, colour, shift, gain) instead of its own.",
        low="details that both sides share, such as colour or a hum, can be copied",
        high="each step encodes every item twice",
    )

    @model_validator(mode="after")
    def _different_horizons(self) -> ContextConfig:
        if len(set(self.horizons)) != len(self.horizons):
            raise ValueError("horizons must differ from each other")
        return self


class SamplerConfig(Section):
    """Where the negatives come from (design: in_batch, queue, perturbed, shuffled, cross_modal)."""

    mode: Literal["exclude_positives", "seed"] = knob(
        "exclude_positives", "Mask every copy of an anchor's own positive, or (seed) mask nothing."
    )
    same_item: bool = knob(
        True,
        "Let other positions of the anchor's own item be negatives.",
        low="only other items count: nothing tells positions of one item apart",
        high="steady sounds: identical frames are false negatives",
    )
    one_group: bool = knob(
        False,
        "Fill each batch from one group of items (fsdd: one speaker), so that telling groups apart does not help.",
        low="voices or places tell items apart, and latents learn those",
        high="groups smaller than a batch are mixed all the same",
    )
    queue_size: int = knob(
        0,
        "Past positives kept as negatives, per modality (0: no queue).",
        unit="latents",
        ge=0,
        le=262_144,
        low="few negatives beyond the batch",
        high="old keys; without momentum keys the latents can collapse",
    )
    queue_per_item: int = knob(0, "Latents of each item that enter the queue per step (0: all).", ge=0, le=1024)
    queue_delay: int = knob(0, "Steps before the queue's latents count as negatives.", unit="steps", ge=0, le=100_000)
    queue_max_age: int = knob(
        0, "Oldest age of a queued latent that still counts (0: any).", unit="steps", ge=0, le=1_000_000
    )
    key_momentum: float = knob(
        0.0,
        "EMA rate of a second, slower encoder that makes positives and queue (0: off).",
        ge=0,
        le=0.99999,
        low="keys change as fast as the encoder",
        high="keys lag far behind; learning is slow",
    )
    perturbed: bool = knob(False, "Add a noisy copy of every positive as a negative.", live=True)
    sigma: float = knob(
        0.3,
        "Noise of perturbed negatives; unit latents in d dimensions keep cos ≈ 1/√(1+dσ²).",
        ge=0,
        le=10,
        live=True,
        low="perturbed negatives are the positive itself (false negatives)",
        high="perturbed negatives are random directions, trivially easy",
    )
    shuffled: Literal["off", "batch", "time", "input"] = knob(
        "off",
        "Shuffled negatives: permute latents over the batch or within an item, or shuffle the input and encode again.",
        live=True,
    )
    cross_modal: bool = knob(False, "Add the other modality's latents of the batch as negatives.", live=True)
    detach_synthetic: bool = knob(False, "Stop gradients through perturbed and shuffled negatives.", live=True)
    detach_cross_modal: bool = knob(False, "Stop gradients through cross-modal negatives.", live=True)


class LossConfig(Section):
    """InfoNCE and the pair term."""

    similarity: Literal["cosine", "dot"] = knob("cosine", "Score by cosine of the angle, or by plain dot product.")
    temperature: float = knob(
        0.2,
        "Scores are divided by τ.",
        ge=0.005,
        le=100,
        live=True,
        low="only the hardest negatives count; unstable",
        high="all negatives count alike; little is learned",
    )
    learnable_temperature: bool = knob(False, "Learn τ together with the network, within its bounds.")
    temperature_min: float = knob(0.03, "Smallest learned τ.", ge=0.005, le=1)
    temperature_max: float = knob(1.0, "Largest learned τ.", ge=0.005, le=100)
    pair_weight: float = knob(
        0.0,
        "Weight λ of the term that draws paired sound and picture together (0: the seed).",
        ge=0,
        le=100,
        live=True,
        low="two modalities in two places (modality gap)",
        high="the pair term alone shapes the space",
    )
    pair_temperature: float = knob(0.2, "Temperature of the pair term.", ge=0.005, le=10, live=True)

    @model_validator(mode="after")
    def _bounds_in_order(self) -> LossConfig:
        if not self.temperature_min < self.temperature_max:
            raise ValueError("temperature_min must be below temperature_max")
        if self.learnable_temperature and not self.temperature_min <= self.temperature <= self.temperature_max:
            raise ValueError("a learned temperature must start between temperature_min and temperature_max")
        return self


class OptimiserConfig(Section):
    """AdamW with warm-up and cosine decay."""

    steps: int = knob(400, "How many steps the optimiser takes.", unit="steps", ge=1, le=1_000_000)
    batch_size: int = knob(64, "Items per step.", unit="items", ge=2, le=4096, low="few in-batch negatives")
    learning_rate: float = knob(
        1e-3, "Highest learning rate.", ge=1e-8, le=1, live=True, low="slow", high="diverges or collapses"
    )
    weight_decay: float = knob(1e-4, "AdamW's decoupled weight decay.", ge=0, le=1)
    warmup_steps: int = knob(20, "Steps of linear warm-up.", unit="steps", ge=0, le=100_000)
    final_rate: float = knob(0.05, "Learning rate at the end, as a share of the highest.", ge=0, le=1)
    clip_norm: float = knob(1.0, "Largest norm of the gradient (0: not clipped).", ge=0, le=1000, live=True)


class EvaluationConfig(Section):
    """What is measured while a run goes on and after it."""

    every: int = knob(
        50, "Steps between two measures of the geometry (0: only at the end).", unit="steps", ge=0, le=1_000_000
    )
    items: int = knob(256, "Held-out items used for those measures.", unit="items", ge=16, le=100_000)
    map_items: int = knob(600, "Items drawn on the map.", unit="items", ge=32, le=50_000)
    perplexity: float = knob(30.0, "t-SNE's perplexity: about how many neighbours a point cares for.", ge=2, le=200)
    neighbours: int = knob(15, "UMAP's neighbourhood size.", ge=2, le=200)
    probe_items: int = knob(
        4000, "Training items that the linear probe sees at most.", unit="items", ge=32, le=1_000_000
    )
    strengths: tuple[Annotated[float, Field(ge=1e-6, le=1e6)], ...] = knob(
        (0.001, 0.01, 0.1, 1.0),
        "Inverse regularisation strengths C to choose from on validation.",
        min_length=1,
        max_length=32,
    )


class RunSettings(Section):
    """Where and how a run runs."""

    name: str = knob("", "A name to recognise the run by.", max_length=120)
    note: str = knob("", "Anything worth remembering about this run.", max_length=4000)
    seed: int = knob(0, "Seed of weights, data order, augmentation and noise.", ge=0, le=2**31 - 1)
    device: str = knob("auto", "auto, cpu, cuda or cuda:N.", pattern=r"^(auto|cpu|cuda(:\d{1,2})?)$")
    precision: Literal["auto", "32-true", "bf16-mixed"] = knob(
        "auto",
        "Number format of the networks (logits stay fp32); auto: bf16 where the device computes in it, else fp32.",
    )
    record_every: int = knob(1, "Steps between two recorded steps.", unit="steps", ge=1, le=10_000)
    checkpoint_every: int = knob(100, "Steps between two checkpoints.", unit="steps", ge=1, le=1_000_000)
    threads: int = knob(0, "CPU threads for tensor work (0: all).", ge=0, le=256)


class RunConfig(Section):
    """Everything that decides a run. `from_json(to_json())` gives an equal object."""

    data: DataConfig = DataConfig()
    audio: AudioConfig = AudioConfig()
    image: ImageConfig = ImageConfig()
    context: ContextConfig = ContextConfig()
    sampler: SamplerConfig = SamplerConfig()
    loss: LossConfig = LossConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    run: RunSettings = RunSettings()

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return self.model_dump(mode="json")

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """A validated configuration.

        Raises:
            ConfigError: one line for the first unknown key, wrong type or value out of range.
        """
        if not isinstance(values, Mapping):
            raise ConfigError("a configuration is a JSON object with the sections " + ", ".join(cls.model_fields))
        _check_keys(cls, values, "")
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise ConfigError(_one_line(error)) from None

    @classmethod
    def from_json(cls, text: str) -> RunConfig:
        """As `from_dict`, from JSON text."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"not a JSON configuration: {error}") from None
        return cls.from_dict(values)

    def replace(self, changes: Mapping[str, Any]) -> RunConfig:
        """A copy with `{"section.knob": value}` changed; strings are read as `read_text` says."""
        values = self.to_dict()
        for path, value in changes.items():
            section, _, name = path.partition(".")
            if section not in values:
                raise unknown("section", section, values)
            if name not in values[section]:
                raise unknown("knob", path, [f"{section}.{known}" for known in values[section]])
            field = type(getattr(self, section)).model_fields[name]
            values[section][name] = read_text(as_knob(path, field), value) if isinstance(value, str) else value
        return self.from_dict(values)

    def differences(self, other: RunConfig) -> dict[str, tuple[Any, Any]]:
        """{"section.knob": (mine, other's)} for every knob that differs."""
        mine, theirs = self.to_dict(), other.to_dict()
        return {
            f"{section}.{name}": (value, theirs[section][name])
            for section, knobs in mine.items()
            for name, value in knobs.items()
            if value != theirs[section][name]
        }


def _check_keys(model: type[BaseModel], values: Mapping[str, Any], prefix: str) -> None:
    for key, value in values.items():
        field = model.model_fields.get(str(key))
        if field is None:
            raise unknown("knob" if prefix else "section", f"{prefix}{key}", [prefix + n for n in model.model_fields])
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel) and isinstance(value, Mapping):
            _check_keys(inner, value, f"{prefix}{key}.")


def _one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    given = f", not {reprlib.repr(first['input'])}" if first["type"] != "value_error" else ""
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message[0].lower()}{message[1:]}{given}"[:400]
