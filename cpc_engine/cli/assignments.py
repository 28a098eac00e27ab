"""Settings as the command line gives them: `--set section.setting=value`."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ConfigError


def changes_of(assignments: Sequence[str]) -> dict[str, str]:
    """{"section.setting": text} of `--set` options; the last of two counts.

    Raises:
        ConfigError: one has no "=".

    Example:
        >>> changes_of(["loss.temperature = 0.2"])
        {'loss.temperature': '0.2'}
    """
    changes = {}
    for assignment in assignments:
        path, equals, value = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set takes section.setting=value, not {assignment!r}")
        changes[path.strip()] = value.strip()
    return changes
