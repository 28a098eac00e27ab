"""Exceptions of the engine. Their message is one line for the user, shown without a traceback.

CpcError                 base class
├── ClusterError         no cluster answers where runs are to execute
├── ConfigError          a setting, preset, or option that does not exist or does not fit
├── DataError            a data set that cannot be used (missing, empty, one class, too few items)
│   ├── MediaError       one file that cannot be decoded
│   └── NotHereError     a data set that is known by name and not on this machine
├── OutOfMemoryError     a machine or a GPU has too little memory for a run
├── RunError             a run folder that is missing, broken, or in the wrong state
└── StorageError         a full disk, a folder that cannot be written, or a URL of runs that does not answer
"""

from __future__ import annotations


class CpcError(Exception):
    """Base class of all errors that the engine raises intentionally; `str(error)` is one line.

    Example:
        >>> try:
        ...     raise RunError("my run: config.json is damaged")
        ... except CpcError as error:
        ...     print(error)
        my run: config.json is damaged
    """

    @property
    def problem(self) -> str:
        """The message without what to do on the command line, for pages, which have buttons."""
        return str(self)


class ClusterError(CpcError):
    """No cluster answers where runs are to execute, or it has gone."""


class ConfigError(CpcError):
    """A setting, preset, or option that does not exist or does not fit."""


class DataError(CpcError):
    """A data set that cannot be used: missing, empty, with one class only, or with too few items."""


class MediaError(DataError):
    """One audio or image file that cannot be decoded; the message has its name and the reason."""


class NotHereError(DataError):
    """A data set that is known by name is not on this machine; the message says how the command line gets it.

    Example:
        >>> error = NotHereError("no CIFAR-10 in /data", "fetch it with --set data.download=true")
        >>> str(error), error.problem
        ('no CIFAR-10 in /data; fetch it with --set data.download=true', 'no CIFAR-10 in /data')
    """

    def __init__(self, problem: str, advice: str = "") -> None:
        super().__init__(f"{problem}; {advice}" if advice else problem)
        self._problem = problem

    @property
    def problem(self) -> str:
        return self._problem


class OutOfMemoryError(CpcError):
    """A machine or a GPU has too little memory for a run; the message names the settings that need less."""


class RunError(CpcError):
    """A run folder that is missing, broken, or in the wrong state for the operation."""


class StorageError(CpcError):
    """The disk is full, a folder cannot be written, or a URL of runs does not answer."""
