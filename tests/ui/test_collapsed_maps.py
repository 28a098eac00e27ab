"""Wherever the map of a collapsed run is shown, its trustworthiness is told together with the collapse."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from cpc_engine.placing import Placer
from cpc_engine.storage.folder import RunFolder
from ui.share.parts import heading_html
from ui.share.publish import publish

pytest_plugins = ["tests.support.explored"]


def run_with_spread(keypad: Path, runs: Path, spread: float) -> RunFolder:
    """A finished run whose records say that its latents are spread that much."""
    folder = RunFolder(Path(shutil.copytree(keypad, runs / keypad.name)))
    geometry = {"audio.spread": spread, "image.spread": 0.9}
    records = [record | {"geometry": geometry} for record in folder.records()]
    (folder.path / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


def trust(texts: list[str]) -> Iterator[str]:
    """Whatever is said of a map's trustworthiness."""
    return (text for text in texts if "trustworthiness" in text.lower())


def told(test: AppTest) -> list[str]:
    """Captions and the words behind their question marks."""
    assert not test.exception
    return list(trust([text for one in test.caption for text in (one.value, one.proto.help)]))


@pytest.mark.parametrize("spread", [0.01, 0.9])
@pytest.mark.parametrize(
    ("place", "address"), [("explore", "run"), ("train", "run"), ("place", "run"), ("compare", "runs")]
)
def test_a_page_tells_it(
    page: Callable[..., AppTest], runs: Path, keypad: Path, place: str, address: str, spread: float
) -> None:
    folder = run_with_spread(keypad, runs, spread)
    said = told(page(f"pages/{place}.py", **{address: folder.id}))
    assert said
    for words in said:
        assert ("The latents have collapsed" in words) == (spread < 0.3), words
        assert ("relied on" in words or "are real" in words) <= (spread >= 0.3), words


@pytest.mark.parametrize("spread", [0.01, 0.9])
def test_the_share_demo_tells_it(runs: Path, keypad: Path, spread: float) -> None:
    heading = heading_html(Placer(run_with_spread(keypad, runs, spread)))
    assert list(trust([heading]))
    assert ("The latents have collapsed" in heading) == (spread < 0.3)
    assert ("true neighbors" in heading) == (spread >= 0.3)


@pytest.mark.parametrize("spread", [0.01, 0.9])
def test_an_exported_demo_and_its_model_card_tell_it(runs: Path, keypad: Path, tmp_path: Path, spread: float) -> None:
    folder = run_with_spread(keypad, runs, spread)
    publish(folder, tmp_path / "out")
    exported = Placer(RunFolder(tmp_path / "out" / "run"))
    assert heading_html(exported) == heading_html(Placer(folder))
    _, limits = (tmp_path / "out" / "README.md").read_text().split("## Limits")
    assert ("latents have collapsed" in limits) == (spread < 0.3)


def test_the_share_demo_tells_it_where_the_evaluation_is_damaged(runs: Path, keypad: Path) -> None:
    folder = run_with_spread(keypad, runs, 0.01)
    (folder.path / "evaluation.json").write_text("{")
    assert "The latents have collapsed" in heading_html(Placer(folder))
