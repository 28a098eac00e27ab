"""Libraries that only some people need: imported when asked for, and named in one line where they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from .errors import ConfigError


def extra(module: str, name: str) -> Any:
    """Import a module of an optional extra.

    Args:
        module: for example "optuna". name: of the extra in pyproject.toml that brings it.

    Raises:
        ConfigError: it is not installed; the message has the command that installs it.

    Example:
        >>> extra("json", "sweep").dumps(1)
        '1'
        >>> extra("no_such_module", "sweep")
        Traceback (most recent call last):
        cpc_engine.errors.ConfigError: no_such_module is not installed: in the folder of CPC Lab, pip install ".[sweep]"
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        command = f'in the folder of CPC Lab, pip install ".[{name}]"'
        raise ConfigError(f"{error.name or module} is not installed: {command}") from None
