"""The CPC network: front ends, encoders, the shared context network, and predictors (see docs/method.md#networks)."""

from .cpc import Encoding, MultiModalCPC

__all__ = ["Encoding", "MultiModalCPC"]
