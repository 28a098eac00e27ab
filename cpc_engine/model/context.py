"""The context network: one GRU that reads latents position by position, in one order or in several."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..config import RunConfig
from ..terms import Modality


class Reading(NamedTuple):
    """What the context network made of latents (B, T, d).

    Attributes:
        orders: (O, T) int64, the positions in the order in which they were read.
        states: (O, B, T, h); states[o, :, t] depends on the latents at positions orders[o, : t + 1] only.
    """

    orders: Tensor
    states: Tensor

    def contexts(self) -> Tensor:
        """Return the contexts (B, T, h) by position: the mean over orders of the states in which it was read last."""
        if len(self.orders) == 1:
            return self.states[0]
        read_at = self.orders.argsort(1)
        return torch.stack([states[:, at] for states, at in zip(self.states, read_at, strict=True)]).mean(0)


class ContextNetwork(nn.GRU):
    """A GRU over the latents of an item, shared by all modalities and orders.

    Example:
        >>> network = ContextNetwork(RunConfig().replace({"context.orders": "four_ways", "image.grid": 2}))
        >>> network.reading_orders("image", 4, torch.device("cpu")).tolist()
        [[0, 1, 2, 3], [3, 2, 1, 0], [0, 2, 1, 3], [3, 1, 2, 0]]
        >>> network.reading_orders("audio", 3, torch.device("cpu")).tolist()
        [[0, 1, 2], [2, 1, 0]]
    """

    def __init__(self, config: RunConfig) -> None:
        context = config.context
        super().__init__(context.latent_dim, context.hidden_dim, context.layers, batch_first=True)
        self._orders, self._grid = context.orders, config.image.grid

    def reading_orders(self, modality: Modality, length: int, device: torch.device) -> Tensor:
        """Return the orders (O, T) in which T positions are read.

        The columns of a picture are the rows of its transposed grid, so in every order a step of the reading goes to
        the neighboring cell, except at a row's end.
        """
        forward = torch.arange(length, device=device)
        if self._orders == "forward":
            return forward[None]
        ways = [forward]
        if self._orders == "four_ways" and modality == "image":
            ways.append(forward.view(self._grid, self._grid).T.flatten())
        return torch.stack([order for way in ways for order in (way, way.flip(0))])

    def read(self, modality: Modality, latents: Tensor) -> Reading:
        """Read latents (B, T, d) in every order."""
        orders = self.reading_orders(modality, latents.shape[1], latents.device)
        if len(orders) == 1:
            states, _ = self(latents)
            return Reading(orders, states[None])
        in_order = latents[:, orders].transpose(0, 1)  # (O, B, T, d)
        states, _ = self(in_order.flatten(0, 1))
        return Reading(orders, states.unflatten(0, in_order.shape[:2]))
