"""Pictures and sounds come with the page: a page that is left at once has nothing to ask the server for in vain."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

pytest_plugins = ["tests.support.explored"]


def addresses(test: AppTest) -> list[str]:
    """Of all pictures and sounds on a page."""
    pictures = [picture.url for element in test.get("image") for picture in element.proto.imgs]
    return pictures + [element.proto.url for element in test.get("audio")]


@pytest.mark.parametrize("place", ["train", "explore", "negatives", "place"])
def test_they_are_no_files_of_the_server(page: Callable[..., AppTest], runs: Path, keypad: Path, place: str) -> None:
    shutil.copytree(keypad, runs / keypad.name)
    of = {"preset": "tones_bars"} if place == "train" else {"run": keypad.name}
    test = page(f"pages/{place}.py", **of)
    if place == "explore":
        test.selectbox(key="item").set_value(7).run()
    if place == "place":
        test.pills(key="way").set_value("samples").run()
        for kind in ("audio", "image"):
            test.segmented_control(key="sample-kind").set_value(kind).run()
            test.button(key="sample").click().run()
    assert not test.exception
    found = addresses(test)
    assert any(address.startswith("data:image/png") for address in found)
    assert any(address.startswith("data:audio/wav") for address in found)
    assert [address for address in found if not address.startswith("data:")] == []
