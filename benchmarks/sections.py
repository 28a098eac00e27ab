"""Where a training step's time goes, found by wrapping the engine's functions from outside."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

from cpc_engine.data.dataset import Split
from cpc_engine.negatives.sampler import HybridSampler
from cpc_engine.training.objectives import loss_inputs
from cpc_engine.training.trainer import Trainer

from .timing import synchronise

LOSS = ("loss", "loss, backward")  # our loss makes its gradients in its forward pass
ENCODERS = ("encoders", "encoders, backward")


class Sections:
    """Time by section; a section inside another one is taken out of it."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = {}
        self._open: list[str] = []
        self._since = 0.0

    def begin(self, name: str) -> None:
        self._credit()
        self._open.append(name)

    def end(self) -> None:
        self._credit()
        self._open.pop()

    def become(self, name: str) -> None:
        """End the innermost section and begin another in its place."""
        self._credit()
        self._open[-1] = name

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        self.begin(name)
        try:
            yield
        finally:
            self.end()

    def take(self) -> dict[str, float]:
        """Seconds by section since the last call."""
        seconds, self.seconds = self.seconds, {}
        return seconds

    def wrapped(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, its time counted under `name`."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                return call(*args, **kwargs)

        return timed

    def _credit(self) -> None:
        synchronise(self.device)
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] = self.seconds.get(self._open[-1], 0.0) + now - self._since
        self._since = now


@contextmanager
def watched(trainer: Trainer, sections: Sections) -> Iterator[None]:
    """Steps of this trainer are counted by section; the engine is as before afterwards."""
    places: list[tuple[Any, str, str]] = [
        (Split, "take", "data and features"),
        (trainer.views, "features", "data and features"),
        (trainer.prediction, "keys", "negatives"),
        (HybridSampler, "candidates", "negatives"),
        (HybridSampler, "enqueue", "negatives"),
        (loss_inputs, "info_nce", "loss"),
        (trainer.fabric, "backward", "loss, backward"),
        (trainer, "_clip", "optimizer"),
        (trainer, "_update_momentum_encoders", "optimizer"),
        (trainer.optimizer, "zero_grad", "optimizer"),
        (trainer.optimizer, "step", "optimizer"),
    ]
    with ExitStack() as stack:
        for owner, attribute, name in places:
            stack.enter_context(patch.object(owner, attribute, sections.wrapped(name, getattr(owner, attribute))))
        for module, name in ((trainer.model, "context"), *((e, "encoders") for e in _encoders(trainer))):
            stack.callback(module.register_forward_pre_hook(lambda *_, name=name: sections.begin(name)).remove)
            stack.callback(module.register_forward_hook(lambda *_: sections.end()).remove)
        stack.callback(trainer.model.register_forward_hook(_divide_backward(sections)).remove)
        yield


def _encoders(trainer: Trainer) -> list[nn.Module]:
    slow = [] if trainer.ema is None else list(trainer.ema.values())
    return [*trainer.model.encoders.values(), *slow]


def _divide_backward(sections: Sections) -> Callable[..., None]:
    """A forward hook that lets the gradient's arrival at predictions and latents name what follows."""

    def hook(_module: nn.Module, _inputs: Any, encodings: dict[str, Any]) -> None:
        for encoding in encodings.values():
            for predicted in encoding.predictions.values():
                predicted.register_hook(lambda _: sections.become("context, backward"))
            encoding.latents.register_hook(lambda _: sections.become("encoders, backward"))

    return hook
