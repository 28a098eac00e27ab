"""Several people at once: whether the app stays right, raises nothing, and does not grow.

    python -m benchmarks.load [--sessions 10] [--minutes 5] [--queued 4] [--out docs/reliability.md]

Each session is a browser of its own with a run of its own, and goes from page to page in its own order while runs that
some of them have queued train. Right is: a page about one run names that run and no other session's, nothing is
written to the app's log of errors or raised in a browser. Memory is that of the server and its child processes, second
quarter of the time against the last. Needs Chromium and a system with /proc.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.listing import list_runs
from tests.support.browser import FLAGS, chromium_path, streamlit_server

from .marked import replace_part
from .timing import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page

EXAMPLE = ROOT / "checkpoints" / "example-tones-bars"
ABOUT_ONE = ("explore", "negatives", "place", "train")  # pages about one run
PAGES = (*ABOUT_ONE, "compare", "runs", "start")
STEPS = 4000
# What a page shows, the values of its fields included.
SHOWN = """() => [document.querySelector("[data-testid=stMain]")?.innerText ?? "",
    ...[...document.querySelectorAll("[data-testid=stMain] input")].map((node) => node.value)].join("\\n")"""
WHOLE = f"""(name) => document.querySelector("h1") && ({SHOWN})().includes(name)"""
# Streamlit's page looks for its server below its own address first, and finds it at the second try.
_ITS_OWN = ("/_stcore/health", "/_stcore/host-config")
LISTED = 5000


@dataclass
class Found:
    """What was seen; `its_own`: 404s that Streamlit causes; `memory`: (seconds since the beginning, bytes)."""

    visits: int = 0
    its_own: int = 0
    wrong: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    memory: list[tuple[float, int]] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 if nothing was wrong, 1 if something was."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--queued", type=int, default=4)
    parser.add_argument("--out", type=Path, help="Markdown file whose section is replaced")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = visit(Path(folder), options.sessions, 60 * options.minutes, options.queued)
        listing = listed(Path(folder) / "many")
    for line in [*found.wrong, *found.errors]:
        print(line, file=sys.stderr)
    text = table(found, options, listing)
    print(text)
    if options.out:
        replace_part(options.out, "load", text)
    return 1 if found.wrong or found.errors else 0


def visit(folder: Path, sessions: int, seconds: float, queued: int) -> Found:
    """Let the sessions walk through the app for so long."""
    from playwright.sync_api import sync_playwright

    root, log, found = folder / "runs", folder / "server.log", Found()
    names = [f"Of person {number:02}" for number in range(sessions)]
    runs = [own_run(root, number, name) for number, name in enumerate(names)]
    with ExitStack() as stack:
        url = stack.enter_context(streamlit_server(ROOT / "app.py", log, env={"CPC_RUNS": str(root)}))
        server = server_of(urlsplit(url).port or 0)
        browser = stack.enter_context(sync_playwright()).chromium.launch(executable_path=chromium_path(), args=FLAGS)
        stack.callback(browser.close)
        pages = [browser.new_context(viewport={"width": 1280, "height": 800}).new_page() for _ in range(sessions)]
        for page, name in zip(pages, names, strict=True):
            page.set_default_timeout(120_000)  # ms; the server may still be importing
            listen(page, name, found)
        for page in pages[:queued]:
            page.goto(f"{url}/train?preset=tones&set=optimizer.steps={STEPS}")
            page.get_by_role("button", name="Start training").click(timeout=120_000)
            page.wait_for_url("**/train?run=*", timeout=120_000)
        stack.enter_context(measuring(server, found))
        began = time.monotonic()
        turn = 0
        while time.monotonic() - began < seconds:
            number = turn % sessions
            place = PAGES[(turn // sessions + number) % len(PAGES)]
            look(pages[number], url, place, number, runs, names, found)
            turn += 1
    found.errors += [line for line in log.read_text(errors="replace").splitlines() if "Traceback" in line]
    reports = root / ".app.log.jsonl"
    if reports.is_file():
        found.errors += [json.loads(line)["traceback"] for line in reports.read_text().splitlines()]
    return found


def own_run(root: Path, number: int, name: str) -> str:
    """A run of one session: a copy of an example that is none any more."""
    folder = RunFolder(Path(shutil.copytree(EXAMPLE, root / f"of-person-{number:02}")))
    info = folder.info()
    folder.replace_info(replace(info, data={key: value for key, value in info.data.items() if key != "example"}))
    folder.rename(name, "")
    return folder.id


def listen(page: Page, name: str, found: Found) -> None:
    """Keep what this browser raises or complains about."""

    def complained(message: ConsoleMessage) -> None:
        asked = message.location.get("url", "")
        if message.type == "error" and asked.endswith(_ITS_OWN) and "404" in message.text:
            found.its_own += 1
        elif message.type == "error":
            found.errors.append(f"{name}, console at {page.url}: {message.text} ({asked})")

    page.on("console", complained)
    page.on("pageerror", lambda error: found.errors.append(f"{name}, at {page.url}: {error}"))


def look(page: Page, url: str, place: str, number: int, runs: list[str], names: list[str], found: Found) -> None:
    """One session opens one page and waits until it is whole."""
    from playwright.sync_api import TimeoutError as TookTooLong

    key = "runs" if place == "compare" else "run"
    asked = f"?{key}={runs[number]}" if place in (*ABOUT_ONE, "compare") else ""
    page.goto(f"{url}/{'' if place == 'start' else place}{asked}")
    found.visits += 1
    try:
        page.wait_for_function(WHOLE, arg=names[number] if place in ABOUT_ONE else "", timeout=120_000, polling=200)
    except TookTooLong as error:
        found.wrong.append(f"{names[number]}, {place}: {str(error).splitlines()[0]}")
        return
    shown = page.evaluate(SHOWN)
    others = [name for name in names if name != names[number] and name in shown]
    if place in ABOUT_ONE and others:
        found.wrong.append(f"{names[number]}, {place}: shows the run {others[0]!r}")
    if page.get_by_test_id("stException").count():
        found.wrong.append(f"{names[number]}, {place}: an exception")


def server_of(port: int) -> int:
    """Process id of the server that listens on a port."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if f"--server.port={port}".encode() in path.read_bytes().split(b"\0"):
                return int(path.parent.name)
        except OSError:  # it has just ended
            continue
    raise SystemExit("no server with this port was found below /proc")


@contextmanager
def measuring(process: int, found: Found) -> Iterator[None]:
    """Keep the memory of a process and of all below it twice a second within the block."""
    began, ended = time.monotonic(), threading.Event()

    def measure() -> None:
        while not ended.wait(0.5):
            found.memory.append((time.monotonic() - began, memory_of(process)))

    thread = threading.Thread(target=measure)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def memory_of(process: int) -> int:
    """Resident bytes of a process and of all below it; what several share is divided among them."""
    total, waiting = 0, [process]
    while waiting:
        folder = Path("/proc") / str(waiting.pop())
        try:
            shares = dict(line.split(":", 1) for line in (folder / "smaps_rollup").read_text().splitlines()[1:])
            tasks = list((folder / "task").iterdir())
            waiting += [int(child) for task in tasks for child in (task / "children").read_text().split()]
        except OSError:  # it has just ended
            continue
        total += 1024 * int(shares.get("Pss", "0 kB").split()[0])
    return total


def listed(root: Path, count: int = LISTED) -> float:
    """Median seconds for a list of so many stored runs, once each of them was read."""
    for number in range(count):
        folder = root / f"run-{number:06}"
        folder.mkdir(parents=True)
        for name in ("config.json", "run.json"):
            shutil.copy(EXAMPLE / name, folder / name)
    time.sleep(1.5)  # files that have just been written are read again
    took = []
    for _ in range(6):
        began = time.perf_counter()
        assert len(list_runs(root)) == count
        took.append(time.perf_counter() - began)
    return statistics.median(took[1:])


def table(found: Found, options: argparse.Namespace, listing: float) -> str:
    """The figures as a paragraph and a table in Markdown."""
    end = found.memory[-1][0]
    parts = [
        [size for at, size in found.memory if low * end <= at <= high * end] for low, high in ((0.25, 0.5), (0.75, 1))
    ]
    early, late = (statistics.mean(part) for part in parts)
    rows = {
        "pages opened": f"{found.visits}",
        "pages that were wrong": f"{len(found.wrong)}",
        "errors in the log or a browser": f"{len(found.errors)}",
        "404s of Streamlit's own first try to reach its server": f"{found.its_own}",
        "memory in the second quarter": f"{early / 2**20:,.0f} MiB",
        "memory in the last quarter": f"{late / 2**20:,.0f} MiB ({100 * (late / early - 1):+.1f} %)",
        f"a list of {LISTED:,} stored runs, all read before": f"{1000 * listing:.0f} ms",
    }
    head = f"{options.sessions} sessions for {options.minutes:g} minutes, {options.queued} queued runs:"
    return "\n".join([head, "", "| what | figure |", "| --- | ---: |", *(f"| {k} | {v} |" for k, v in rows.items())])


if __name__ == "__main__":
    sys.exit(main())
