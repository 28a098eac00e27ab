"""Every setting of a run, described once."""

from __future__ import annotations

from .aliases import current_path
from .data import DataConfig
from .network import AudioConfig, ContextConfig, ImageConfig
from .objective import LossConfig, SamplerConfig
from .run_config import RunConfig, all_settings, paths_with_role
from .schedule import EvaluationConfig, OptimizerConfig, RunSettings
from .unread import unread, why_unread
from .words import in_words, label_of, sign_of, value_text, with_labels

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
    "in_words",
    "label_of",
    "paths_with_role",
    "sign_of",
    "unread",
    "value_text",
    "why_unread",
    "with_labels",
]
