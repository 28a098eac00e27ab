"""The ranks of one run: W processes that share every batch, and together take the step that one would.

Every rank draws the same rows, views and random numbers. Each encodes its own share of the batch only; what the ranks
encoded is gathered, so that every rank has the whole batch, computes the whole loss and keeps the same queues.

The gradient of a parameter that was used on a share is known in part on each rank, and the parts add up; that of one
used on the whole batch (τ, heads on gathered summaries) is known in full on each. `average` makes both right at once,
because the backward pass of the gather multiplies by W: the mean over ranks is then the sum of the parts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, distributed, nn

from ..errors import ClusterError

Output = TypeVar("Output")


class Ranks:
    """The only rank of a run: it encodes whole batches itself.

    Example:
        >>> ALONE.apply(torch.neg, torch.ones(2))
        tensor([-1., -1.])
    """

    def apply(self, network: Callable[..., Output], *inputs: Any) -> Output:
        """Return what a network makes of a batch.

        Args:
            network: makes one row of each row, whatever the others hold.
            inputs: tensors of as many rows, in any nesting of dicts; or None.
        """
        return network(*inputs)

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """Make the gradients those of the whole batch, after the backward pass."""


ALONE = Ranks()


class ManyRanks(Ranks):
    """One of the W > 1 ranks of the default process group (see `torch.distributed`).

    Args:
        rank: 0 … W − 1. count: W.
    """

    def __init__(self, rank: int, count: int) -> None:
        self.rank, self.count = rank, count

    def apply(self, network: Callable[..., Output], *inputs: Any) -> Output:
        """Return what a network makes of a batch, of which this rank computes its share only.

        Raises:
            ClusterError: another rank has gone.
        """
        sizes: list[int] = []

        def share(tensor: Tensor) -> Tensor:
            sizes[:] = shares(len(tensor), self.count)
            part: Tensor = tensor.split(sizes)[self.rank]
            return part

        output = network(*apply_to_collection(inputs, Tensor, share))
        mine: list[Tensor] = []
        apply_to_collection(output, Tensor, lambda tensor: mine.append(tensor) if _has_rows(tensor) else None)
        whole = iter(self._gather(mine, sizes))
        gathered: Output = apply_to_collection(
            output, Tensor, lambda tensor: next(whole) if _has_rows(tensor) else tensor
        )
        return gathered

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace the gradients by their means over ranks.

        Raises:
            ClusterError: another rank has gone.
        """
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        together = torch.cat([gradient.flatten() for gradient in gradients])
        with peers():
            distributed.all_reduce(together)
        together /= self.count
        parts = together.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def _gather(self, mine: list[Tensor], sizes: list[int]) -> list[Tensor]:
        """Gather tensors with as many rows as this rank's share, in one exchange."""
        widths = [tensor[0].numel() for tensor in mine]
        whole: Tensor = _Gather.apply(torch.cat([tensor.flatten(1) for tensor in mine], 1), sizes, self.rank)
        parts = whole.split(widths, 1)
        return [part.unflatten(1, tensor.shape[1:]) for part, tensor in zip(parts, mine, strict=True)]


class _Gather(torch.autograd.Function):
    """The rows (n, w) of all ranks, one rank after another.

    The backward pass exchanges nothing: every rank computes the same loss, so it has the gradient of its own rows.
    """

    @staticmethod
    def forward(ctx: Any, mine: Tensor, sizes: list[int], rank: int) -> Tensor:
        ctx.rows, ctx.count = slice(sum(sizes[:rank]), sum(sizes[: rank + 1])), len(sizes)
        padded = mine.new_zeros(sizes[0], mine.shape[1])  # the first share is the largest
        padded[: len(mine)] = mine
        parts = [torch.empty_like(padded) for _ in sizes]
        with peers():
            distributed.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, None, None]:
        return outputs[0][ctx.rows] * ctx.count, None, None


def shares(items: int, count: int) -> list[int]:
    """Divide items among ranks as evenly as possible, the larger shares first.

    Example:
        >>> shares(64, 3)
        [22, 21, 21]
    """
    return [items // count + (rank < items % count) for rank in range(count)]


@contextmanager
def peers() -> Iterator[None]:
    """Exchange something with the other ranks within the block.

    Raises:
        ClusterError: another rank has gone, or does not answer.
    """
    try:
        yield
    except RuntimeError as error:  # "[file:line] what is wrong. What to do about it"
        reason = re.sub(r"^\[\S+\] ", "", str(error).partition("\n")[0]).partition(". ")[0]
        raise ClusterError(f"another rank of the run has gone, or does not answer ({reason[:200]})") from None


def _has_rows(tensor: Tensor) -> bool:
    """Whether a network's output has a row for each item: positions, which are integers, are those of every item."""
    return tensor.is_floating_point()
