"""What a card says of when its run was made."""

from __future__ import annotations

import time

import pytest

from tests.support.clock import HOUR, Clock
from ui.components import run_cards


@pytest.mark.parametrize("jump", [-HOUR, -1e-3, 0.0])
def test_the_age_of_a_run_is_never_negative(jump: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was made before the clock was set back is of the future by that clock."""
    clock = Clock(monkeypatch)
    made = time.time()
    clock.jump(jump)
    assert run_cards._ago(made) == "0 s ago"
