"""The Python half of the live chart, without a browser."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.support.paths import SCRIPTS
from ui.components.live_chart import STATIC, plain, publish

SCRIPT = SCRIPTS / "live_chart.py"


def test_the_script_runs_without_a_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(STATIC.parent)
    app = AppTest.from_file(str(SCRIPT), default_timeout=30).run()
    assert not app.exception
    assert app.text[0].value == "points 61"


def test_plain_makes_json_of_arrays_and_gaps() -> None:
    figure = {"x": np.arange(2), "y": (np.float32(1), math.nan, np.inf), 3: [np.array([[1.5, np.nan]])]}
    assert plain(figure) == {"x": [0, 1], "y": [1.0, None, None], "3": [[[1.5, None]]]}


def test_publish_copies_once_repairs_and_gives_up_quietly(tmp_path: Path) -> None:
    folder = tmp_path / "static"
    name = publish.__wrapped__(folder)
    assert name is not None
    copy = folder / name
    size = copy.stat().st_size
    assert size > 1_000_000
    assert [path.name for path in folder.iterdir()] == [name]

    stamp = copy.stat().st_mtime_ns
    publish.__wrapped__(folder)
    assert copy.stat().st_mtime_ns == stamp

    copy.write_bytes(b"half")
    publish.__wrapped__(folder)
    assert copy.stat().st_size == size

    (tmp_path / "file").touch()
    assert publish.__wrapped__(tmp_path / "file") is None
