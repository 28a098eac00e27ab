"""What the app costs and how quick it feels, in a real browser.

    python -m benchmarks.ui [--quick] [--work DIR] [--json] [--out FILE]

- first page: from the address to the button of the first page, on a fresh server.
- first run: from the click on that button to the first point of a curve, and to the first map.
- edit, click: from the click on a source's switch to its painted slider, while nothing and while a run trains.
- training: phases with the page of a run open and closed alternate within that one run, so that noise cancels.
- payload: what one refresh of a run's page receives at 1000, 10 000 and 100 000 recorded steps, with all sources.
- first paint: from the address to the first run, with 500 stored runs, on a server that has painted before.
- neighbors: from the click on a dot of the Explore page to the list of its neighbors.
- map: time to draw 50 000 points, and of a frame while they are dragged.

What was found is kept in --work as each part ends, and not measured again by the same commit. Needs Chromium (see
README). The browser renders in software where there is no GPU, which is the harder case.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if not __package__:  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.timing import ROOT, deliver, kept, machine
from benchmarks.ui_moments import big_map, edit, edits, first_page, first_run, neighbors
from cpc_engine import preset
from cpc_engine.data import load_dataset
from cpc_engine.execution.execute import execute
from cpc_engine.experiments.recipe import recipe
from cpc_engine.storage.folder import RunFolder
from cpc_engine.training.control import Control
from tests.support.browser import FLAGS, chromium_path, streamlit_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, WebSocket

SMALL = {
    "data.train_items": 64,
    "data.test_items": 32,
    "audio.sample_rate": 4000,
    "audio.mel_bands": 16,
    "audio.width": 8,
    "context.hidden_dim": 16,
    "context.latent_dim": 8,
    "optimizer.batch_size": 8,
    "optimizer.steps": 1_000_000,
    "evaluation.items": 16,
    "evaluation.map_items": 32,
}
ENDLESS = {"optimizer.steps": 1_000_000}
TRAINING = "preset=tones" + "".join(f"&set={path}={value}" for path, value in ENDLESS.items())
LENGTHS = (1_000, 10_000, 100_000)
STORED_RUNS = 500
NAMES = ("first_page", "first_run", "edit", "training", "click", "payload", "first_paint", "neighbors", "map")
CURVE = "[class*='st-key-loss-'] .main-svg"
# Every source that the data allow.
ALL = {
    "sampler.queue_size": 1024,
    "sampler.key_momentum": 0.98,
    "sampler.perturbed": True,
    "sampler.shuffled": "input",
    "sampler.cross_modal": True,
    "sampler.mixed": 64,
}


def training(browser: Browser, root: Path, url: str, seconds: float, rounds: int) -> dict[str, Any]:
    """Steps per second of one run of the preset `tones` with its page open and closed, phase by phase."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    with running(context.new_page(), root, url, TRAINING) as (page, metrics):
        address = page.url
        speeds: dict[str, list[float]] = {"open": [], "closed": []}
        for number in range(2 * rounds):
            kind = ("open", "closed", "closed", "open")[number % 4]
            if kind == "open":
                page.goto(address)
                page.wait_for_selector(CURVE, timeout=60_000)
            else:
                page.goto("about:blank")
            page.wait_for_timeout(2000)
            began, before = time.perf_counter(), step_of(metrics)
            page.wait_for_timeout(1000 * seconds)
            speeds[kind].append((step_of(metrics) - before) / (time.perf_counter() - began))
        page.goto(address)
    context.close()
    medians = {kind: round(statistics.median(values), 3) for kind, values in speeds.items()}
    share = round(medians["open"] / medians["closed"], 3)
    return {
        "phase_seconds": seconds,
        "steps_per_s": speeds,
        "median_open": medians["open"],
        "median_closed": medians["closed"],
        "share": share,
        "met": share >= 0.95,
    }


def clicks(browser: Browser, root: Path, url: str, count: int) -> dict[str, Any]:
    """Milliseconds from click to paint on the page Train, in another session than the one that trains."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    with running(context.new_page(), root, url, TRAINING) as (page, _):
        watcher = page.url
        page.goto(f"{url}/train")
        page.locator(".st-key-switch-perturbed label").wait_for(timeout=60_000)
        page.wait_for_timeout(2000)
        found = []
        for _ in range(count):
            found.append(edit(page))
            page.wait_for_timeout(700)
        page.goto(watcher)
    context.close()
    p50, p90 = (round(float(np.percentile(found, share)), 1) for share in (50, 90))
    return {"clicks": count, "p50_ms": p50, "p90_ms": p90, "met": p50 <= 350 and p90 <= 700}


def payload(browser: Browser, root: Path, url: str) -> dict[str, Any]:
    """KB that one refresh of a run's page receives, of runs with all sources at more and more recorded steps."""
    folder = stopped_run(root, 30, "tones_bars", ALL)
    sizes: dict[str, float] = {}
    for length in LENGTHS:
        grow(folder, length)
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        page = context.new_page()
        received: list[tuple[float, int]] = []
        page.on("websocket", partial(listen, received))
        page.goto(f"{url}/train?run={folder.id}")
        page.get_by_role("button", name="Resume").click()
        page.get_by_role("button", name="Pause").wait_for(timeout=60_000)
        while step_of(folder.path / "metrics.jsonl") <= length:  # what it recorded before is read first
            page.wait_for_timeout(300)
        page.wait_for_timeout(9000)
        received.clear()
        page.wait_for_timeout(16_000)
        sizes[str(length)] = round(max(bursts(received)) / 1000, 1)
        stop(page)
        context.close()
    largest = max(sizes.values())
    flat = largest <= 1.2 * sizes[str(LENGTHS[0])]
    return {"kb_by_recorded_steps": sizes, "flat": flat, "met": flat and largest <= 100}


def bursts(received: list[tuple[float, int]]) -> list[int]:
    """Bytes of each group of messages with less than half a second between them."""
    sizes: list[int] = []
    last = 0.0
    for when, size in received:
        if when - last > 0.5:
            sizes.append(0)
        sizes[-1] += size
        last = when
    return sizes or [0]


def first_paint(browser: Browser, root: Path, url: str, rounds: int) -> dict[str, Any]:
    """Seconds from the address to the first card or the table, on the pages that list runs."""
    folder = stopped_run(root, 30)
    for number in range(STORED_RUNS - 1):
        shutil.copytree(folder.path, root / f"stored-{number:03d}", copy_function=os.link)
    medians: dict[str, float] = {}
    for place in ("start", "runs"):
        seconds = []
        for number in range(rounds + 1):
            context = browser.new_context(viewport={"width": 1280, "height": 800})
            page = context.new_page()
            began = time.perf_counter()
            page.goto(f"{url}/{'' if place == 'start' else place}")
            page.locator("[class*='st-key-card-'], .st-key-with-ticked").first.wait_for(timeout=60_000)
            if number:  # the first visit imports
                seconds.append(time.perf_counter() - began)
            context.close()
        medians[place] = round(statistics.median(seconds), 2)
    return {"runs": STORED_RUNS, "median_s": medians, "met": max(medians.values()) <= 1.5}


@contextmanager
def running(page: Page, root: Path, url: str, settings: str) -> Iterator[tuple[Page, Path]]:
    """A run started from the page Train, past its first steps: (page, metrics.jsonl); it is stopped afterwards."""
    page.goto(f"{url}/train?{settings}")
    page.get_by_role("button", name="Start training").click(timeout=60_000)
    page.wait_for_url("**/train?run=*", timeout=60_000)
    metrics = root / page.url.partition("run=")[2].partition("&")[0] / "metrics.jsonl"
    while not metrics.exists() or step_of(metrics) < 5:
        page.wait_for_timeout(300)
    yield page, metrics
    stop(page)


def stop(page: Page) -> None:
    # Streamlit has a button of the same name in its header, while the page is being drawn.
    page.get_by_test_id("stMain").get_by_role("button", name="Stop", exact=True).click(timeout=60_000)
    page.get_by_role("button", name="Resume").wait_for(timeout=120_000)


def step_of(metrics: Path) -> int:
    return metrics.read_bytes().count(b"\n")


def stopped_run(root: Path, steps: int, of: str = "tones", changes: Mapping[str, Any] = {}) -> RunFolder:
    """A tiny run of a preset that was stopped after so many steps."""
    folder, control = RunFolder.create(root, preset(of).config().replace(SMALL | {**changes})), Control()

    def steer(seen: object) -> None:
        if isinstance(seen, dict) and seen["step"] == steps:
            control.stop()

    execute(folder, control, steer)
    return folder


def listen(received: list[tuple[float, int]], socket: WebSocket) -> None:
    """Note when every frame came and how many bytes it had."""
    socket.on("framereceived", lambda frame: received.append((time.time(), len(frame))))


def grow(folder: RunFolder, steps: int) -> None:
    """Make a stopped run look as if it had recorded so many steps: its own records again and again."""
    rows = folder.records()[:30]
    lines = (rows[step % len(rows)] | {"step": step + 1, "seconds": 0.01 * step} for step in range(steps))
    (folder.path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    state = folder.tensors("checkpoint")
    state["progress"][0] = steps
    folder.save_tensors("checkpoint", state)
    folder.update(steps_done=steps, status="stopped")


def run(quick: bool, work: Path) -> dict[str, Any]:
    """The whole document; parts that are in `work` are not measured again."""
    from playwright.sync_api import sync_playwright

    found: dict[str, Any] = {}

    def keep(name: str, measure: Callable[[], dict[str, Any]]) -> None:
        found[name] = kept(work / f"{name}.json", {"quick": quick}, measure)
        print(f"{name}: {json.dumps(found[name])}", file=sys.stderr, flush=True)

    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)

        def serve(root: Path) -> AbstractContextManager[str]:
            return streamlit_server(ROOT / "app.py", Path(folder) / "fresh.log", env={"CPC_RUNS": str(root)})

        rounds = 2 if quick else 5
        fresh = {"first_page": first_page, "first_run": first_run}
        for name, moment in fresh.items():
            keep(name, partial(moment, browser, Path(folder) / name, serve, rounds))
        metrics: dict[str, Callable[[Browser, Path, str], dict[str, Any]]] = {
            "edit": lambda b, r, u: edits(b, r, u, 6 if quick else 40),
            "training": lambda b, r, u: training(b, r, u, 10 if quick else 30, 2 if quick else 6),
            "click": lambda b, r, u: clicks(b, r, u, 6 if quick else 40),
            "payload": payload,
            "first_paint": lambda b, r, u: first_paint(b, r, u, 2 if quick else 7),
            "neighbors": lambda b, r, u: neighbors(b, r, u, 5 if quick else 20),
            "map": lambda b, r, u: big_map(b, stopped_run(r, 30), u),
        }

        def measured(name: str) -> dict[str, Any]:
            root = Path(folder) / name
            with streamlit_server(ROOT / "app.py", Path(folder) / f"{name}.log", env={"CPC_RUNS": str(root)}) as url:
                return metrics[name](browser, root, url)

        for name in metrics:
            keep(name, partial(measured, name))
        version = browser.version
        browser.close()
    command = f"python -m benchmarks.ui{' --quick' if quick else ''}"
    facts = machine(torch.device("cpu")) | {"chromium": version}
    return {"quick": quick, **found, "machine": facts, "command": command}


def text(d: dict[str, Any]) -> str:
    """For people."""
    return "\n".join(f"{name}: {json.dumps(d[name])}" for name in NAMES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="short phases, for trying")
    parser.add_argument("--work", type=Path, metavar="DIR", help="keep what was found there as each part ends")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="also write the document there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        document = run(given.quick, work)
    config = preset("tones").config().replace(SMALL)
    parameters = {"quick": given.quick, "recorded_steps": LENGTHS, "stored_runs": STORED_RUNS}
    configs = {"small tones": ("tones", config), "tones": ("tones", preset("tones").config().replace(ENDLESS))}
    data = {title: load_dataset(one).fingerprint() for title, (_, one) in configs.items()}
    made = recipe(document["command"], configs, data, parameters, packages=("streamlit", "playwright"))
    deliver(document, made, text(document), given.json, given.out)


if __name__ == "__main__":
    main()
