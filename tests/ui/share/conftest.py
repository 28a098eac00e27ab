"""The demo of the keypad run, its address, client, and uploads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import Client

from cpc_engine.execution.evaluate import evaluate_run
from cpc_engine.execution.execute import execute
from cpc_engine.placing import Placer
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.demo import demo
from tests.support.tiny import tiny


@pytest.fixture(scope="session")
def keys(keypad: Path) -> Placer:
    return Placer(RunFolder(keypad))


@pytest.fixture(scope="session")
def keys_demo_uploads(keypad: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A demo of a run on sounds and pictures, beside which lies another run, and where it keeps uploads."""
    RunFolder.create(keypad.parent, tiny(run__name="somebody else's secret"))
    home = tmp_path_factory.mktemp("demo")
    with demo(keypad, home / "log") as (url, _):
        (uploads,) = home.glob("cpc-share-*")
        yield url, uploads


@pytest.fixture(scope="session")
def keys_demo(keys_demo_uploads: tuple[str, Path]) -> str:
    return keys_demo_uploads[0]


@pytest.fixture(scope="session")
def keys_client(keys_demo: str) -> Iterator[Client]:
    client = Client(keys_demo, verbose=False, httpx_kwargs={"timeout": 60})
    yield client
    client.close()


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = RunFolder.create(tmp_path_factory.mktemp("tones"), tiny(data__test_items=48))
    assert execute(folder, Control()).status == "finished"
    evaluate_run(folder)
    return folder
