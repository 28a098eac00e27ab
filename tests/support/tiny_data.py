"""Small synthetic data sets that train in milliseconds."""

from __future__ import annotations

import torch

from cpc_engine.data.dataset import Dataset, Split


def split(items: int, first: int, audio: bool, image: bool, rate: int = 4000) -> Split:
    """Noisy tones and striped images of two classes."""
    generator = torch.Generator().manual_seed(first)
    labels = torch.arange(items) % 2
    time = torch.arange(rate // 2) / rate
    frequency = 400.0 * (1 + labels)
    wave = torch.sin(2 * torch.pi * frequency[:, None] * time + 6 * torch.rand(items, 1, generator=generator))
    clips = (6000 * wave + 300 * torch.randn(wave.shape, generator=generator)).short()
    pixels = torch.randint(0, 200, (items, 3, 32, 32), generator=generator, dtype=torch.uint8)
    pixels[labels == 1, :, ::4] = 255
    names = tuple(f"item{first + i}" for i in range(items))
    return Split(clips if audio else None, pixels if image else None, labels, names, names)


def dataset(audio: bool = True, image: bool = False) -> Dataset:
    """A data set of two classes with 40 training, 16 validation, and 24 test items."""
    return Dataset(
        "tiny",
        ("low", "high"),
        split(40, 0, audio, image),
        split(16, 100, audio, image),
        split(24, 200, audio, image),
        sample_rate=4000 if audio else 0,
        image_side=32 if image else 0,
    )


TINY = {
    "audio.sample_rate": 4000,
    "audio.clip_seconds": 0.5,
    "audio.mel_bands": 16,
    "audio.width": 8,
    "audio.hop_ms": 10,
    "image.size": 32,
    "image.width": 8,
    "image.depth": 2,
    "context.latent_dim": 8,
    "context.hidden_dim": 16,
    "optimizer.batch_size": 12,
    "optimizer.steps": 20,
    "optimizer.warmup_steps": 2,
}
