"""Streamlit scripts on a free port and a headless Chromium that looks at them.

A test module takes the fixtures with `pytest_plugins = ["tests.support.browser"]`; it imports from here only under
`TYPE_CHECKING`, since imported fixtures would start one browser per module. It marks its tests with
`pytest.mark.browser`.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from tests.support import served
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

ROOT = REPOSITORY
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Visit:
    """A page, and what it asked of hosts other than its own, complained about or raised."""

    page: Page
    origin: str
    foreign: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def note(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("blob", "data") and parts.netloc != self.origin:
            self.foreign.append(url)

    @property
    def stop_button(self) -> Locator:
        """Ends a run; Streamlit has a button of this name, too, while it computes a page."""
        return self.page.get_by_test_id("stMain").get_by_role("button", name="Stop", exact=True)

    def come_to(self, chart: str, seconds: float = 60) -> None:
        """Scroll to a chart, which may not be there yet, until it is drawn: one that is far away is not."""
        self.page.wait_for_function(
            """(chart) => {
                const node = document.querySelector(chart);
                node?.scrollIntoView({ block: "center" });
                return Boolean(node?.querySelector(".main-svg"));
            }""",
            arg=chart,
            timeout=1000 * seconds,
            polling=200,
        )

    def settle(self, seconds: float = 120, refreshing: bool = False) -> None:
        """Wait until the page is not being computed and nothing to press has moved for half a second.

        A press that begins on a link and ends beside it, because the page grew in between, is no click. `refreshing`:
        a part of the page is computed again and again, so only what moves counts.
        """
        # One function from the first look on: it outlives a page that is loaded again meanwhile.
        self.page.wait_for_function(
            """([refreshing, call]) => {
                const busy = "[data-testid=stStatusWidget]"; // its button comes and goes with the computing
                const nodes = [...document.querySelectorAll("a, button, input")].filter((node) => !node.closest(busy));
                const places = nodes.map((node) => {
                    const box = node.getBoundingClientRect();
                    return [Math.round(box.x), Math.round(box.y)];
                });
                const state = document.querySelector("[data-testid=stApp]")?.dataset.testScriptState;
                const rests = refreshing || (state === "notRunning" && !document.querySelector(busy));
                const before = window.placesBefore;
                window.placesBefore = JSON.stringify([call, rests, places]);
                return rests && window.placesBefore === before;
            }""",
            arg=[refreshing, time.monotonic()],
            timeout=1000 * seconds,
            polling=500,
        )

    def rest(self, milliseconds: int, seconds: float = 120) -> None:
        """Wait until nothing has been computed for so long."""
        self.page.wait_for_function(
            """([milliseconds, call]) => {
                const state = document.querySelector("[data-testid=stApp]")?.dataset.testScriptState;
                if (state !== "notRunning" || window.restedSince?.call !== call)
                    window.restedSince = { call, at: performance.now() };
                return performance.now() - window.restedSince.at > milliseconds;
            }""",
            arg=[milliseconds, time.monotonic()],
            timeout=1000 * seconds,
        )


def chromium_path() -> str | None:
    """The browser to drive: $CHROMIUM, else the system's; that without a window is faster."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def streamlit_server(
    script: Path,
    log: Path,
    options: dict[str, str] | None = None,
    env: dict[str, str] | None = None,
    fresh: bool = True,
) -> Iterator[str]:
    """Run `script` with the repository's configuration and yield its address; its log explains a failure.

    `fresh`: by a new process, which imports by itself what it uses; else by a fork of one that has imported it.
    """
    options = {"server.port": str(free_port())} | (options or {})
    settings = {"server.headless": "true", "server.fileWatcherType": "none"} | options
    arguments = ["run", str(script), *(f"--{name}={value}" for name, value in settings.items())]
    prefix = options.get("server.baseUrlPath", "")
    url = f"http://127.0.0.1:{options['server.port']}/{prefix}".rstrip("/")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | (env or {})
    with (served.new if fresh else served.forked)(arguments, environment, log) as ended:
        _wait_until_healthy(ended, url, log)
        yield url


def _wait_until_healthy(ended: served.Ended, url: str, log: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (code := ended()) is not None:
            pytest.fail(f"the server ended with {code}:\n{log.read_text(errors='replace')}")
        try:
            with urlopen(f"{url}/_stcore/health", timeout=2) as answer:
                # The body counts: Streamlit answers 200 with its page on paths that it does not know.
                if answer.read() == b"ok":
                    return
        except (URLError, ConnectionError, TimeoutError):
            pass
        time.sleep(0.1)
    pytest.fail(f"no healthy server within {seconds:.0f} s:\n{log.read_text(errors='replace')}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests in a browser the time that all their waits may take together."""
    for item in items:
        if item.get_closest_marker("browser") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One headless browser for the whole session; without one the test is skipped, or fails where it must not be."""
    path = chromium_path()
    if path is None:
        message = (
            "no Chromium: install the package `chromium-headless-shell` or `chromium`, or set CHROMIUM to its path"
        )
        if os.environ.get("CPC_REQUIRE_BROWSER") == "1":
            pytest.fail(message)
        pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """`serve(script, options=None, env=None, fresh=False)` → address of a server that stops with the test."""
    with ExitStack() as stack:

        def start(
            script: Path,
            options: dict[str, str] | None = None,
            env: dict[str, str] | None = None,
            fresh: bool = False,
        ) -> str:
            log = tmp_path / f"server-{script.stem}-{len(list(tmp_path.glob('server-*.log')))}.log"
            stack.callback(lambda: print(f"--- {log.name}\n{log.read_text(errors='replace')}"))  # shown on failure
            return stack.enter_context(streamlit_server(script, log, options, env, fresh))

        yield start


@contextmanager
def visits(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """What opens a page of `browser` in a context of its own; all of them close with the block."""
    with ExitStack() as stack:

        def open_page(url: str, **context: Any) -> Visit:
            opened = browser.new_context(**({"viewport": {"width": 1280, "height": 800}} | context))
            stack.callback(opened.close)
            opened.set_default_timeout(120_000)  # where other work goes on beside
            page = opened.new_page()
            seen = Visit(page, urlsplit(url).netloc)
            page.on("request", lambda request: seen.note(request.url))
            page.on("websocket", lambda socket: seen.note(socket.url))
            page.on("pageerror", lambda error: seen.errors.append(str(error)))
            page.goto(url)
            return seen

        yield open_page


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Callable[..., Visit]]:
    """`visit(url, **context)` → a page in a context of its own, such as `visit(url, color_scheme="dark")`."""
    with visits(chromium) as open_page:
        yield open_page


@pytest.fixture
def hearing(chromium: Browser) -> Iterator[Callable[..., Callable[..., Visit]]]:
    """`hearing(wav)` → as `visit`, in a browser whose microphone hears that file again and again.

    `hearing(wav, y4m)`: and whose camera sees that film.
    """
    fake = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    with ExitStack() as stack:

        def start(wav: Path, film: Path | None = None) -> Callable[..., Visit]:
            seen = [f"--use-file-for-fake-video-capture={film}"] if film else []
            flags = [*FLAGS, *fake, f"--use-file-for-fake-audio-capture={wav}", *seen]
            browser = chromium.browser_type.launch(executable_path=chromium_path(), args=flags)
            stack.callback(browser.close)
            return stack.enter_context(visits(browser))

        yield start
