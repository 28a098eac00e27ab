"""Exceptions of the engine. Their message is one line for the user, shown without a traceback.

CpcError                 base class
├── ClusterError         no cluster answers where runs are to execute
├── ConfigError          a setting, preset, or option that does not exist or does not fit
├── DataError            a data set that cannot be used (missing, empty, one class, too few items)
│   └── MediaError       one file that cannot be decoded
├── OutOfMemoryError     a machine or a GPU has too little memory for a run
├── RunError             a run folder that is missing, broken, or in the wrong state
└── StorageError         a full disk, a folder that cannot be written, or a URL of runs that does not answer
"""

from __future__ import annotations


class CpcError(Exception):
    """Base class of all errors that the engine raises intentionally; `str(error)` is one line."""


class ClusterError(CpcError):
    """No cluster answers where runs are to execute, or it has gone."""


class ConfigError(CpcError):
    """A setting, preset, or option that does not exist or does not fit."""


class DataError(CpcError):
    """A data set that cannot be used: missing, empty, with one class only, or with too few items."""


class MediaError(DataError):
    """One audio or image file that cannot be decoded; the message has its name and the reason."""


class OutOfMemoryError(CpcError):
    """A machine or a GPU has too little memory for a run; the message names the settings that need less."""


class RunError(CpcError):
    """A run folder that is missing, broken, or in the wrong state for the operation."""


class StorageError(CpcError):
    """The disk is full, a folder cannot be written, or a URL of runs does not answer."""
