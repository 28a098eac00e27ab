"""One's own sounds in a real browser: from a zip to a running training in three clicks, and a bad zip told before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engine.execution.test_own_data import two_classes, zipped
from tests.support.paths import APP

if TYPE_CHECKING:
    from tests.support.browser import Visit

pytest_plugins = ["tests.support.browser"]
pytestmark = pytest.mark.browser


def test_a_zip_of_sounds_trains_after_three_clicks(
    serve: Callable[..., str], visit: Callable[..., Visit], tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.zip", tmp_path / "bad.zip"
    good.write_bytes(zipped(two_classes(64)).getvalue())
    bad.write_bytes(zipped({"../out.wav": b"a"}).getvalue())
    root = tmp_path / "runs"
    seen = visit(f"{serve(APP, env={'CPC_RUNS': str(root)})}/train", viewport={"width": 1440, "height": 900})
    page = seen.page
    page.get_by_text("Use your own sounds or pictures").click()
    upload = page.locator(".st-key-upload").get_by_test_id("stFileUploaderDropzoneInput")
    upload.set_input_files(bad)
    page.get_by_text("leads out of it").wait_for()
    assert not (root.exists() and [path for path in root.iterdir() if not path.name.startswith(".")]), "no junk run"
    page.goto(page.url.partition("?")[0])
    page.get_by_text("Use your own sounds or pictures").click()  # the first click
    upload.set_input_files(good)  # the second: a person chooses the file
    page.get_by_text("2 classes").wait_for()
    page.get_by_role("button", name="Start training").click()  # the third
    page.wait_for_url("**/train?run=*", timeout=120_000)
    seen.stop_button.click(timeout=120_000)
    assert seen.errors == []
