"""Settings that follow from the data: sample rate, clip length, and picture size where they are 0.

A few files are decoded to see how long and how fine they are. The rule is the same for every folder: a clip is two
fifths of a typical recording but at least 2 s, or all of it where it is shorter, and nothing is enlarged. The shortest
clip is one that the encoder makes enough latents of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any, TypeVar

import numpy as np

from ..config import RunConfig
from ..datasets import DATASETS
from ..errors import ConfigError, DataError, MediaError
from ..media import decode_audio, decode_image, read_file
from ..terms import Modality
from .listing.class_folders import class_folders, split_parts, typed_path
from .listing.class_level import class_level

SAMPLED = 32  # files that are decoded
RATES = (8000, 16000, 22050)  # Hz; higher ones cost time, and what is above 11 kHz seldom tells classes apart
SIDES = (32, 48)  # px; a step takes longer with the square
SHARE, SHORTEST, LONGEST = 0.4, 2.0, 4.0  # of a recording, and s
Found = TypeVar("Found")


def require_paths(config: RunConfig) -> None:
    """Check that the settings are given without which the data set has no place.

    Raises:
        ConfigError: one is not.
    """
    spec = DATASETS[config.data.dataset]
    for path, what in spec.needs:
        if not config.flat()[path]:
            raise ConfigError(f"{spec.name} needs {path}: {what}")


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn what the system says of the files of a data set into one line.

    Raises:
        DataError: for example one may not look into a folder, or a drive is gone.
    """
    try:
        yield
    except OSError as error:
        raise DataError(f"{name}: cannot read {error.filename or 'the data'}: {error.strerror or error}") from None


def follow_data(config: RunConfig) -> RunConfig:
    """Return the configuration with numbers for the settings that follow from the data.

    Raises:
        ConfigError: the place of the data is not given. DataError: a folder does not exist, cannot be read, or has no
            files.

    Example:
        >>> config = RunConfig().replace({"data.dataset": "fsdd", "audio.clip_seconds": 0})
        >>> follow_data(config).audio.clip_seconds
        0.8
    """
    spec, values = DATASETS[config.data.dataset], config.flat()
    missing = [path for path in spec.native if not values[path]]
    if not missing:
        return config
    require_paths(config)
    found = dict(spec.native)
    if spec.origin == "folder":
        with reading(spec.name):
            found |= _followed(config, spec.modalities)
    settled = config.replace({path: found[path] for path in missing})
    return _long_enough(settled) if "audio.clip_seconds" in missing else settled


def _followed(config: RunConfig, modalities: Sequence[Modality]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "audio" in modalities:
        sounds = _sampled(config.data.path, decode_audio)
        found |= sound_settings([sound.rate for sound in sounds], [sound.seconds for sound in sounds])
    if "image" in modalities:
        path = config.data.image_path if len(modalities) > 1 else config.data.path
        pictures = _sampled(path, decode_image)
        found |= picture_settings([min(picture.pixels.shape[:2]) for picture in pictures])
    return found


def _long_enough(config: RunConfig) -> RunConfig:
    """Return the configuration with clips so long that a latent can be predicted from an earlier one.

    Shorter recordings (clicks, phonemes) are heard with silence around them.
    """
    while config.audio.sequence_length <= min(config.horizons("audio")) and config.audio.clip_seconds < LONGEST:
        config = config.replace({"audio.clip_seconds": round(config.audio.clip_seconds + 0.1, 1)})
    return config


def sound_settings(rates: Sequence[int], seconds: Sequence[float]) -> dict[str, Any]:
    """Return sample rate and clip length for sounds of these rates (Hz) and lengths (s).

    Example:
        >>> sound_settings([44100, 44100], [5.0, 5.0])
        {'audio.sample_rate': 22050, 'audio.clip_seconds': 2.0}
        >>> sound_settings([8000], [0.42])
        {'audio.sample_rate': 8000, 'audio.clip_seconds': 0.6}
    """
    rate = max([fit for fit in RATES if fit <= median(rates or [16000])], default=RATES[0])
    typical = median(seconds or [1.0])
    if typical < SHORTEST:  # read whole: longer than most
        longest = float(np.quantile(seconds or [1.0], 0.9))
        clip = min(SHORTEST, max(0.2, 1.5 * typical, longest))
    else:
        clip = min(LONGEST, max(SHORTEST, SHARE * typical))
    return {"audio.sample_rate": rate, "audio.clip_seconds": round(clip, 1)}


def picture_settings(sides: Sequence[int]) -> dict[str, Any]:
    """Return the picture size for pictures with these shorter sides (px).

    Example:
        >>> picture_settings([32, 32]), picture_settings([480, 640])
        ({'image.size': 32}, {'image.size': 48})
    """
    typical = median(sides or [SIDES[-1]])
    return {"image.size": max([side for side in SIDES if side <= typical], default=SIDES[0])}


def _sampled(path: str | None, decode: Callable[[bytes, str], Found]) -> list[Found]:
    """Decode files that are evenly spread over all files of a folder, leaving out those that cannot be read."""
    parts = split_parts(class_level(typed_path(path)))
    files = [file for part in parts for files in class_folders(part).values() for file in files]
    chosen = np.linspace(0, len(files) - 1, min(SAMPLED, len(files))).astype(int)
    found = []
    for index in chosen:
        try:
            found.append(decode(read_file(files[index]), files[index].name))
        except MediaError:
            continue  # told when all files are read
    return found
