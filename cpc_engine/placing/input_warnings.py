"""What is odd about an input, in words: silence, clipping, too little of it, none of it in the middle."""

from __future__ import annotations

import numpy as np

from ..media import Picture, Sound

_QUIET = 0.001  # of full scale: −60 dB
_CLIPPED_RUN = 4  # equal samples in a row at full scale; a sine that just reaches it has fewer, unless very low
_CLIPPED_SHARE = 0.001
_SMALL = 0.5  # of a picture's or clip's needed size


def nothing_in_it(item: Sound | Picture) -> str:
    """Why there is nothing to hear or see in an item; empty where there is something."""
    if isinstance(item, Picture):
        flat = np.ptp(item.pixels.reshape(-1, 3), axis=0).max() == 0
        return "a single flat color: there is nothing to see in it" if flat else ""
    peak = float(np.abs(item.samples).max())
    if peak == 0:
        return "this is silence: every sample is zero"
    if peak < _QUIET:
        return f"nearly silent: its loudest moment is {-20 * np.log10(peak):.0f} dB below full scale"
    return ""


def sound_warnings(sound: Sound, clip_seconds: float) -> list[str]:
    """On a sound that is placed by windows of `clip_seconds`."""
    notes = []
    if _clipped_share(sound.samples) > _CLIPPED_SHARE:
        notes.append("clipped: its loudest parts are cut off flat, so it was recorded too loud")
    if sound.seconds < _SMALL * clip_seconds:
        notes.append(
            f"very short: {sound.seconds:.2f} s in a window of {clip_seconds:g} s, the rest is filled with silence"
        )
    return notes


def long_sound_warning(sound: Sound, heard_seconds: float, clip_seconds: float, windows: int) -> str:
    """On a sound longer than a clip, of which `heard_seconds` are used and `windows` clips make a path."""
    part = f"its loudest {heard_seconds:.3g} s" if heard_seconds < 0.99 * sound.seconds else "all of it"
    return f"{sound.seconds:.1f} s long: placed by {part}; {windows} windows of {clip_seconds:g} s make its path"


def picture_warnings(picture: Picture, side: int) -> list[str]:
    """On a picture that is placed as a square of `side` px."""
    notes = []
    height, width = picture.pixels.shape[:2]
    if min(height, width) < _SMALL * side:
        notes.append(f"very small: {width}×{height} pixels, enlarged to {side}×{side}")
    if max(height, width) > 1.05 * min(height, width):
        notes.append("only its center square is used")
    return notes


def _clipped_share(samples: np.ndarray) -> float:
    """Share of samples in flat runs at full scale."""
    loud = np.abs(samples)
    peak = float(loud.max())
    if peak < 0.99:
        return 0.0
    flat = np.concatenate(([0], (loud >= peak - 2 / 32768).astype(np.int8), [0]))
    starts, ends = np.flatnonzero(np.diff(flat) == 1), np.flatnonzero(np.diff(flat) == -1)
    runs = ends - starts
    return float(runs[runs >= _CLIPPED_RUN].sum() / len(samples))
