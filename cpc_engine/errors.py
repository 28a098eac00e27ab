"""What can go wrong, as one small tree.

CpcError                 one clear line for the user; never shown with a stack trace
├── ConfigError          a knob, preset or option that does not exist or does not fit
├── DataError            a data set that cannot be used (missing, empty, one class, too few items)
│   └── MediaError       one file that cannot be decoded (named, with the reason)
├── RunError             a run folder that is missing, broken or not in the state asked for
└── StorageError         the disk is full or a folder cannot be written
"""

from __future__ import annotations


class CpcError(Exception):
    """Base of every error that the engine raises on purpose; `str(error)` is one line."""


class ConfigError(CpcError):
    """A knob, preset or option that does not exist or does not fit."""


class DataError(CpcError):
    """A data set that cannot be used."""


class MediaError(DataError):
    """One sound or picture that cannot be decoded."""


class RunError(CpcError):
    """A run folder that is missing, broken, or not in the state asked for."""


class StorageError(CpcError):
    """The disk is full or a folder cannot be written."""
