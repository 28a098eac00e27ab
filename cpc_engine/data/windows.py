"""Windows of recordings that are longer than the clips a network reads.

Training draws one window of each item at random. Everything else reads several windows, evenly spread over the
recording, and averages what it computes from them.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..config import AudioConfig
from .dataset import Split

MOST_WINDOWS = 6  # of one recording outside training


def latent_stride(audio: AudioConfig) -> int:
    """Number of samples from one latent to the next.

    Example:
        >>> latent_stride(AudioConfig(sample_rate=16000, hop_ms=10, frames_per_latent=6))
        960
    """
    return audio.frames_between_latents * round(audio.hop_ms * audio.sample_rate / 1000)


def random_places(lengths: Tensor, audio: AudioConfig, generator: torch.Generator) -> Tensor:
    """Draw the place of one window in each recording, the (N,) int64 position of its first latent.

    Windows begin at a multiple of `latent_stride`, so that a latent keeps its place in the recording: where two windows
    overlap, their latents are encodings of the same stretches.

    Args:
        lengths: (N,) int64 samples of each recording.
    """
    places = (lengths - audio.clip_length) // latent_stride(audio) + 1
    draw = torch.rand(len(lengths), generator=generator, device=places.device)
    return (draw * places).long().clamp(max=places - 1)


def random_windows(split: Split, audio: AudioConfig, generator: torch.Generator) -> tuple[Split, Tensor]:
    """Draw one window of each recording, as training hears it (see `random_places`).

    Returns:
        The split with clips of `audio.clip_seconds`, and the (N,) int64 places. Without recordings longer than a clip:
        the split as it is and zeros; nothing is drawn.
    """
    if split.audio is None or split.lengths is None:
        return split, torch.zeros(len(split), dtype=torch.int64, device=split.labels.device)
    first = random_places(split.lengths, audio, generator)
    starts = first * latent_stride(audio)
    return cut(split, torch.arange(len(split), device=first.device), starts, audio.clip_length), first


def all_windows(split: Split, audio: AudioConfig) -> tuple[Split, Tensor]:
    """Cut every recording into windows, at most `MOST_WINDOWS`, from its beginning to its end.

    Returns:
        A split with R ≥ N rows of `audio.clip_seconds`, and the (R,) int64 row that each came from, ascending.
    """
    everything = torch.arange(len(split), device=split.labels.device)
    if split.audio is None or split.lengths is None:
        return split, everything
    length = audio.clip_length
    counts = (-(-split.lengths // length)).clamp(max=MOST_WINDOWS)
    rows = everything.repeat_interleave(counts)
    number = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[rows]
    room = split.lengths - length
    return cut(split, rows, number * room[rows] // (counts[rows] - 1).clamp(min=1), length), rows


def cut(split: Split, rows: Tensor, starts: Tensor, length: int) -> Split:
    """Cut `length` samples out of the recordings at `rows` (R,), from the samples `starts` (R,) on."""
    assert split.audio is not None
    samples = starts[:, None] + torch.arange(length, device=starts.device)
    return replace(split.take(rows), audio=split.audio[rows[:, None], samples], lengths=None)


def mean_over_windows(values: Tensor, items: Tensor) -> Tensor:
    """Average values (R, …) over the windows of each item, given the items (R,) that they belong to.

    Returns:
        (N, …). The values themselves where every item has one window.

    Example:
        >>> mean_over_windows(torch.tensor([[1.0], [3.0], [5.0]]), torch.tensor([0, 0, 1]))
        tensor([[2.],
                [5.]])
    """
    items = items.to(values.device)
    counts = items.bincount()
    if len(counts) == len(values):
        return values
    total = torch.zeros(len(counts), *values.shape[1:], dtype=values.dtype, device=values.device)
    return total.index_add_(0, items, values) / counts.view(-1, *[1] * (values.ndim - 1))
