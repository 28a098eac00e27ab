"""Encoders, the shared context network and its predictors."""

from .cpc import Encoding, MultiModalCPC

__all__ = ["Encoding", "MultiModalCPC"]
