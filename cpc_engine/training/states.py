"""Flat dicts of tensors that hold the state of a run."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def with_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose name starts with `prefix`, keyed by the rest of the name."""
    return {name[len(prefix) :]: tensor for name, tensor in state.items() if name.startswith(prefix)}
