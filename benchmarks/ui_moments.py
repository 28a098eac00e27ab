"""Single moments of `benchmarks.ui`: the first page, the first curve and map, an edit, neighbors, a map that moves."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.timing import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

    from cpc_engine.storage.folder import RunFolder

POINTS = 50_000
SIZE: ViewportSize = {"width": 1440, "height": 900}
GROWING = "[class*='st-key-evolving-'] .cpc-scatter .main-svg"
EXPLORED = "[class*='st-key-explore-'] .cpc-scatter"
# Notes in `window.edited` the milliseconds from the next press to the frame after a source's slider has come or gone.
WATCH_EDIT = """() => {
  const there = () => Boolean(document.querySelector('.st-key-row-sigma'));
  const before = there();
  let begin;
  window.edited = undefined;
  document.addEventListener('pointerdown', () => { begin = performance.now(); }, { once: true, capture: true });
  const look = new MutationObserver(() => {
    if (begin === undefined || there() === before) return;
    look.disconnect();
    requestAnimationFrame(() => setTimeout(() => { window.edited = performance.now() - begin; }));
  });
  look.observe(document.body, { childList: true, subtree: true, characterData: true });
}"""
# Where the number-th dot of the first class is.
SPOT = """([map, number]) => {
  const node = document.querySelector(map), { xaxis, yaxis } = node._fullLayout, box = node.getBoundingClientRect();
  const { x, y } = node._fullData[0];
  return [box.left + xaxis._offset + xaxis.d2p(x[number]), box.top + yaxis._offset + yaxis.d2p(y[number])];
}"""
# What follows a click on another dot: the list of neighbors is another one than before.
NEAR = """(before) => {
  const near = [...document.querySelectorAll("[class*='st-key-near-']")].map((one) => one.className).join();
  return near && near !== before && near;
}"""
FRAMES = """() => {
  window.frames_seen = [];
  const note = (now) => { window.frames_seen.push(now); window.frames_on = requestAnimationFrame(note); };
  window.frames_on = requestAnimationFrame(note);
}"""
RENDERER = """() => {
  const gl = document.createElement("canvas").getContext("webgl");
  const names = gl?.getExtension("WEBGL_debug_renderer_info");
  return names ? gl.getParameter(names.UNMASKED_RENDERER_WEBGL) : "";
}"""
Server = Callable[[Path], AbstractContextManager[str]]


def first_page(browser: Browser, root: Path, serve: Server, rounds: int) -> dict[str, Any]:
    """Seconds from the address to the first page's button, each time on a fresh server that nobody has asked yet."""
    seconds = []
    for _ in range(rounds):
        with serve(root) as url:
            context = browser.new_context(viewport=SIZE)
            page = context.new_page()
            began = time.perf_counter()
            page.goto(url)
            page.get_by_role("button", name="Train two runs").wait_for(timeout=60_000)
            seconds.append(time.perf_counter() - began)
            context.close()
    median = round(statistics.median(seconds), 2)
    return {"seconds": [round(one, 2) for one in seconds], "median_s": median, "met": median <= 2.0}


def first_run(browser: Browser, root: Path, serve: Server, rounds: int) -> dict[str, Any]:
    """Seconds from the first click to the first point of a curve and to the first map, on fresh servers."""
    found: dict[str, list[float]] = {"curve": [], "map": []}
    waits = {
        "curve": "[...document.querySelectorAll('.cpc-live-chart')].some((n) => n.data?.some((t) => t.x?.length))",
        "map": f"Boolean(document.querySelector({GROWING!r}))",
    }
    for _ in range(rounds):
        shutil.rmtree(root, ignore_errors=True)
        with serve(root) as url:
            context = browser.new_context(viewport=SIZE)
            page = context.new_page()
            page.goto(url)
            button = page.get_by_role("button", name="Train two runs")
            button.wait_for(timeout=60_000)
            page.wait_for_timeout(5000)  # as long as one reads the page, while the server imports
            began = time.perf_counter()
            button.click()
            for name, seen in waits.items():
                page.wait_for_function(seen, timeout=120_000)
                found[name].append(time.perf_counter() - began)
            context.close()
    medians = {name: round(statistics.median(values), 2) for name, values in found.items()}
    return {**medians, "met": medians["curve"] <= 2.0 and medians["map"] <= 10.0}


def edit(page: Page) -> float:
    """Milliseconds from the press on a switch of the Train page to its painted slider, or to its absence."""
    page.evaluate(WATCH_EDIT)
    page.locator(".st-key-switch-perturbed label").first.click()
    return float(page.wait_for_function("window.edited", timeout=30_000).json_value())


def edits(browser: Browser, root: Path, url: str, count: int) -> dict[str, Any]:
    """Milliseconds from a click on a switch of the Train page to its painted slider, while nothing trains."""
    context = browser.new_context(viewport=SIZE)
    page = context.new_page()
    page.goto(f"{url}/train?preset=tones")
    page.locator(".st-key-switch-perturbed label").wait_for(timeout=60_000)
    page.wait_for_timeout(4000)
    found = []
    for _ in range(count):
        found.append(edit(page))
        page.wait_for_timeout(700)
    context.close()
    p50, p90 = (round(float(np.percentile(found, share)), 1) for share in (50, 90))
    return {"clicks": count, "p50_ms": p50, "p90_ms": p90, "met": p50 <= 300}


def neighbors(browser: Browser, root: Path, url: str, count: int) -> dict[str, Any]:
    """Milliseconds from a click on a dot of the Explore page to its list of neighbors."""
    shutil.copytree(ROOT / "checkpoints" / "example-tones", root / "example-tones")
    context = browser.new_context(viewport=SIZE)
    page = context.new_page()
    page.goto(f"{url}/explore?run=example-tones")
    page.wait_for_selector(f"{EXPLORED} .nsewdrag", timeout=120_000)
    page.locator(".st-key-item").wait_for(timeout=60_000)
    page.wait_for_timeout(3000)
    found, before = [], ""
    for number in range(count + 1):
        at = page.evaluate(SPOT, [EXPLORED, 3 * number])
        page.mouse.move(*at, steps=3)
        page.wait_for_timeout(700)  # its card comes while one looks
        began = time.perf_counter()
        page.mouse.click(*at, delay=30)
        before = page.wait_for_function(NEAR, arg=before, timeout=60_000).json_value()
        if number:  # the first one imports
            found.append(1000 * (time.perf_counter() - began))
        page.wait_for_timeout(700)
    context.close()
    p50 = round(statistics.median(found), 1)
    return {"clicks": count, "p50_ms": p50, "max_ms": round(max(found), 1), "met": p50 <= 800}


def give_map(folder: RunFolder, points: int) -> None:
    """Put a t-SNE map of so many points into the folder of a run."""
    rng, classes = np.random.default_rng(0), folder.info().data["classes"]
    labels = torch.arange(points) % len(classes)
    layout = torch.from_numpy(rng.normal(size=(points, 2)).astype(np.float32)) + 4 * labels[:, None].float().cos()
    features = torch.zeros(points, folder.config().context.hidden_dim)
    tensors = {"features": features, "labels": labels, "rows": torch.arange(points)}
    tensors |= {"tsne.layout": layout, "tsne.mean": torch.zeros(0), "tsne.components": torch.zeros(0, 0)}
    folder.save_tensors("map", tensors)
    facts = {"method": "tsne", "trustworthiness": 0.9, "overlap": 0.5, "parameters": {"seed": 0, "perplexity": 30}}
    meta = {"modalities": ["audio"] * points, "sources": [f"item {i}" for i in range(points)], "maps": {"tsne": facts}}
    folder.save_json("map", meta | {"classes": classes})


def big_map(browser: Browser, folder: RunFolder, url: str) -> dict[str, Any]:
    """Seconds to draw a map of 50 000 points, and milliseconds a frame while it is dragged with the mouse."""
    give_map(folder, POINTS)
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    began = time.perf_counter()
    page.goto(f"{url}/train?run={folder.id}")
    dots = f".st-key-map-{folder.id} .cpc-scatter"  # what is lit and chosen has charts of its own
    page.locator(dots).scroll_into_view_if_needed(timeout=60_000)
    page.wait_for_selector(f"{dots} .gl-canvas", timeout=60_000)
    drawn = time.perf_counter() - began
    page.wait_for_timeout(3000)
    box = page.locator(f"{dots} .nsewdrag").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate(FRAMES)
    for step in range(1, 41):
        page.mouse.move(x + 4 * step, y + step)
    frames = np.diff(page.evaluate("() => { cancelAnimationFrame(window.frames_on); return window.frames_seen; }"))
    page.mouse.up()
    renderer = page.evaluate(RENDERER)
    context.close()
    frame = round(float(np.median(frames)), 1)
    software = any(word in renderer for word in ("SwiftShader", "llvmpipe", "softpipe"))
    limit = 150 if software or not renderer else 50  # 20 frames a second where there is a graphics card
    return {
        "points": POINTS,
        "drawn_s": round(drawn, 2),
        "frame_ms": frame,
        "frames": len(frames),
        "renderer": renderer,
        "met": frame <= limit,
    }
