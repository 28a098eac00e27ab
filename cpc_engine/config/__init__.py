"""Every setting of a run, described once."""

from __future__ import annotations

from .aliases import current_path
from .data import DataConfig
from .network import AudioConfig, ContextConfig, ImageConfig
from .objective import LossConfig, SamplerConfig
from .run_config import RunConfig, all_settings, paths_with_role
from .schedule import EvaluationConfig, OptimizerConfig, RunSettings
from .unread import unread

__all__ = [
    "AudioConfig",
    "ContextConfig",
    "DataConfig",
    "EvaluationConfig",
    "ImageConfig",
    "LossConfig",
    "OptimizerConfig",
    "RunConfig",
    "RunSettings",
    "SamplerConfig",
    "all_settings",
    "current_path",
    "paths_with_role",
    "unread",
]
