"""A small run that goes on until it is stopped, as an address of the Train page asks for it."""

from __future__ import annotations

from typing import Any

from tests.support.pages import SMALL


def asked(**changes: Any) -> str:
    """Its settings as the end of an address; changes are passed as section__setting=value."""
    named = {name.replace("__", "."): value for name, value in changes.items()}
    settings = SMALL | {"optimizer.steps": 20000} | named
    return "".join(f"&set={path}={value}" for path, value in settings.items())
