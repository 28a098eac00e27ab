"""The window of a spectrum fits into a clip."""

from __future__ import annotations

import pytest

from cpc_engine.config import RunConfig
from cpc_engine.errors import ConfigError


@pytest.mark.parametrize(("window", "clip", "fits"), [(128, 0.1, False), (100, 0.1, False), (64, 0.1, True)])
def test_a_window_longer_than_the_clip_is_refused(window: float, clip: float, fits: bool) -> None:
    changes = {"audio.window_ms": window, "audio.clip_seconds": clip}
    if fits:
        assert RunConfig().replace(changes).audio.window_ms == window
        return
    with pytest.raises(ConfigError, match=r"window_ms .* is too long for clips"):
        RunConfig().replace(changes)


def test_a_clip_that_follows_from_the_data_is_not_yet_known() -> None:
    assert RunConfig().replace({"audio.window_ms": 128, "audio.clip_seconds": 0}).audio.window_ms == 128
