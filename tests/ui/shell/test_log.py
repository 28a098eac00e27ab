"""An unexpected error is shown with an id under which the app's log has its traceback."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest


def _broken() -> None:
    from ui.shell.errors import plain_errors

    with plain_errors():
        raise ValueError("a 'quoted'\nmessage\x1b[31m of two lines")


def _shown() -> str:
    test = AppTest.from_function(_broken, default_timeout=120).run()
    assert not test.exception
    return str(test.error[0].value).replace("\\", "").replace("\u2060", "")


def test_an_unexpected_error_carries_an_id_that_is_in_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CPC_RUNS", str(tmp_path / "runs"))
    ids = [re.search(r"error ([0-9a-f]{8})", _shown()) for _ in range(2)]
    lines = [json.loads(line) for line in (tmp_path / "runs" / ".app.log.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == [found and found[1] for found in ids]
    assert len({line["id"] for line in lines}) == 2
    assert lines[0]["error"] == "ValueError"
    assert lines[0]["message"] == "a 'quoted'\nmessage\x1b[31m of two lines"
    assert "in _broken" in lines[0]["traceback"]
    assert lines[0]["time"].endswith("+00:00")


def test_a_folder_that_cannot_be_written_leaves_the_log_to_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CPC_RUNS", str(tmp_path / "file" / "runs"))
    shown = re.search(r"error ([0-9a-f]{8})", _shown())
    assert shown
    assert json.loads(capfd.readouterr().err.strip().splitlines()[-1])["id"] == shown[1]
