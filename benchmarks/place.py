"""How soon does something of mine light up on the map?

    python -m benchmarks.place [--run RUN] [--items 24] [--page] [--json] [--out FILE]

Engine: from a file's bytes to its finished placement (decoded in the sandbox, embedded with its perturbed copies,
neighbors, both maps, typicality), with nothing training and while a run trains in the same process. `first_ms` is the
first item after the run was opened.

Command: processor time and peak memory of `cpc embed` with one file, in alternation with a process that only imports
torch, which it cannot do without.

--page: from the click that ends a recording to the lit point on the page Place, in Chromium with a microphone that
plays a file, with nothing training and while the app trains a run. The run must have learned from sound.

Without RUN, the newest finished run in checkpoints/ that hears is taken.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile
import torch
from PIL import Image

if not __package__:  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.timing import ROOT, deliver, machine
from cpc_engine import RunManager, preset
from cpc_engine.comparison.commands import nearest_preset
from cpc_engine.data import load_dataset
from cpc_engine.data.signals import synthesize
from cpc_engine.errors import CpcError, RunError
from cpc_engine.experiments.recipe import recipe
from cpc_engine.media import decode_sandboxed, start_sandbox
from cpc_engine.placing import Placer
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.listing import list_runs

if TYPE_CHECKING:
    from playwright.sync_api import Page

BARS = {"idle": 1.0, "training": 2.0}  # s, p50, from the end of a recording to the lit point
TRAINS = "tones"  # the preset that trains beside it
SECONDS = 2.0  # of a recording
# Runs a command and tells its processor seconds and peak KiB. A process of its own, because a child's peak begins with
# what its parent holds at that moment.
_WATCH = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""
MAP = "[class*='st-key-place-'] .cpc-scatter"
LIT = "() => document.querySelector(MAP)?._fullData?.find((trace) => trace.name === 'lit')?.x.length ?? 0".replace(
    "MAP", f'"{MAP}"'
)
# Resolves with the milliseconds from a real click to the first frame in which the map has a lit point.
STOP = f"""() => new Promise((resolve) => {{
  const lit = {LIT}, begin = performance.now();
  const look = () => lit() ? resolve(performance.now() - begin) : requestAnimationFrame(look);
  document.querySelector('.st-key-mic [aria-label="Stop recording"]').click();
  look();
}})"""


def sounds(count: int) -> list[bytes]:
    """Telephone keys as a browser records them: WAV, 48 kHz."""
    files = []
    for number in range(count):
        buffer = io.BytesIO()
        wave = synthesize("dtmf", key=str(number % 10), rate=48_000, seconds=SECONDS)
        soundfile.write(buffer, wave, 48_000, format="WAV", subtype="PCM_16")
        files.append(buffer.getvalue())
    return files


def pictures(count: int, seed: int = 0) -> list[bytes]:
    """Blurred noise as a camera gives it: JPEG, 1040×585."""
    draw, files = np.random.default_rng(seed), []
    for _ in range(count):
        small = Image.fromarray(draw.integers(0, 255, (9, 16, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        small.resize((1040, 585), Image.Resampling.BICUBIC).save(buffer, "JPEG")
        files.append(buffer.getvalue())
    return files


def newest() -> RunFolder:
    """The last finished run in checkpoints/ that hears."""
    for info in list_runs():
        if info.status == "finished" and "audio" in info.data.get("modalities", ()):
            return RunFolder.open(info.id)
    raise RunError("checkpoints/ has no finished run that learned from sound; name one with --run")


@contextmanager
def trains() -> Iterator[None]:
    """A run trains in this process meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        manager = RunManager(Path(folder))
        run = manager.start(preset(TRAINS).config().replace({"optimizer.steps": 1_000_000}))
        try:
            while manager.progress_of(run).step < 3:
                time.sleep(0.1)
            yield
            if manager.progress_of(run).status != "running":
                raise RunError(f"the run beside it ended: {manager.progress_of(run).message}")
        finally:
            manager.close(seconds=300)  # a busy machine takes its time to save, and its folder goes next


def percentiles(seconds: list[float]) -> dict[str, float]:
    p50, p90 = (round(1000 * float(np.percentile(seconds, share)), 1) for share in (50, 90))
    return {"p50_ms": p50, "p90_ms": p90}


def phase(placer: Placer, files: list[bytes]) -> dict[str, Any]:
    """Every file once: all of its time, and the parts of it."""
    decode, place = [], []
    for number, data in enumerate(files):
        began = time.perf_counter()
        item = decode_sandboxed(data, str(number))
        decoded = time.perf_counter()
        placer.place(item)
        decode.append(decoded - began)
        place.append(time.perf_counter() - decoded)
    whole = [sum(both) for both in zip(decode, place, strict=True)]
    return {**percentiles(whole), "decode": percentiles(decode), "place": percentiles(place)}


def engine(folder: RunFolder, count: int) -> dict[str, Any]:
    """By what the run learned from: the first item, then `count` with nothing training, and `count` beside training."""
    start_sandbox()
    began = time.perf_counter()
    placer = Placer(folder)
    found: dict[str, Any] = {"open_s": round(time.perf_counter() - began, 2)}
    files = {m: (sounds if m == "audio" else pictures)(count) for m in placer.modalities}
    for modality, some in files.items():
        began = time.perf_counter()
        placer.place_bytes(some[0], "first")
        first = round(1000 * (time.perf_counter() - began), 1)
        found[modality] = {"first_ms": first, "idle": phase(placer, some)}
    with trains():
        for modality, some in files.items():
            found[modality]["training"] = phase(placer, some)
    return found


def command_line(folder: RunFolder, rounds: int = 5) -> dict[str, dict[str, float]]:
    """Medians of `cpc embed` with one file, its decoding process included, and of importing torch."""
    hears = "audio" in folder.facts()["modalities"]
    found: dict[str, list[tuple[float, float]]] = {"embed": [], "import_torch": []}
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / ("key.wav" if hears else "noise.jpg")
        file.write_bytes((sounds if hears else pictures)(1)[0])
        for _ in range(rounds):
            found["embed"].append(_costs("-m", "cpc_engine", "embed", str(folder.path), str(file), "--json"))
            found["import_torch"].append(_costs("-c", "import torch"))
    return {
        title: {"cpu_s": statistics.median(cpu), "peak_mib": round(statistics.median(peak), 1)}
        for title, (cpu, peak) in ((title, zip(*costs, strict=True)) for title, costs in found.items())
    }


def _costs(*arguments: str) -> tuple[float, float]:
    """(Processor seconds, MiB at most) of a Python process with these arguments.

    Raises:
        RunError: it ends with an error.
    """
    command = [sys.executable, "-c", _WATCH, sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RunError(f"{' '.join(arguments[:3])} ended with {done.returncode}: {done.stderr[-200:]}")
    cpu, peak = done.stdout.split()
    return float(cpu), int(peak) / 1024


def page(folder: RunFolder, count: int) -> dict[str, Any]:
    """Recordings on the page Place; the first one of each phase is told apart, since it finds nothing warm."""
    from playwright.sync_api import sync_playwright

    from benchmarks.ui import running
    from tests.support.browser import FLAGS, chromium_path, streamlit_server

    fake = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "key.wav").write_bytes(sounds(6)[5])
        os.symlink(folder.path.resolve(), place / folder.id)
        flags = [*FLAGS, *fake, f"--use-file-for-fake-audio-capture={place / 'key.wav'}"]
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=flags)
        with streamlit_server(ROOT / "app.py", place / "log", env={"CPC_RUNS": name}) as url:
            found = {"idle": recordings(browser.new_page(), url, folder.id, count)}
            with running(browser.new_page(), place, url, f"preset={TRAINS}&set=optimizer.steps=1000000"):
                found["training"] = recordings(browser.new_page(), url, folder.id, count)
        browser.close()
    return {kind: one | {"met": one["p50_ms"] <= 1000 * BARS[kind]} for kind, one in found.items()}


def recordings(page: Page, url: str, run: str, count: int) -> dict[str, Any]:
    page.goto(f"{url}/place?run={run}")
    page.wait_for_selector(f"{MAP} .nsewdrag", timeout=120_000)
    seconds = []
    for _ in range(count + 1):
        page.locator(".st-key-mic").get_by_role("button", name="Record", exact=True).click(timeout=60_000)
        page.wait_for_timeout(1000 * SECONDS)
        seconds.append(page.evaluate(STOP) / 1000)
        page.locator(".st-key-clear button").click(timeout=60_000)
        page.wait_for_function(f"!({LIT})()", timeout=60_000)
        page.wait_for_timeout(500)
    return {"recordings": count, "first_ms": round(1000 * seconds[0], 1), **percentiles(seconds[1:])}


def text(document: dict[str, Any]) -> str:
    """For people."""
    lines = [f"{document['run']}, opened in {document['engine']['open_s']} s; {document['items']} items a phase"]
    rows = [
        (f"{modality}, {kind}", one["first_ms"], one[kind])
        for modality, one in document["engine"].items()
        if modality != "open_s"
        for kind in BARS
    ]
    for title, costs in document["command_line"].items():
        costs_text = f"{costs['cpu_s']:.1f} s of processor time, {costs['peak_mib']:.0f} MiB"
        lines.append(f"{title.replace('_', ' ')}: {costs_text}")
    rows += [(f"page, {kind}", one["first_ms"], one) for kind, one in document.get("page", {}).items()]
    lines.append(f"{'':18} p50 ms   p90 ms   first ms")
    lines += [f"{name:18} {one['p50_ms']:6.0f}   {one['p90_ms']:6.0f}   {first:8.0f}" for name, first, one in rows]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", help="a run, by folder or id")
    parser.add_argument("--items", type=int, default=24, metavar="N", help="of each kind in each phase (24)")
    parser.add_argument("--page", action="store_true", help="measure the page Place, too (needs Chromium)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="also write the document there")
    given = parser.parse_args()
    facts = machine(torch.device("cpu"))  # before a run trains: its thread takes a core away from later ones
    try:
        folder = RunFolder.open(given.run) if given.run else newest()
        document: dict[str, Any] = {"run": folder.id, "items": given.items, "engine": engine(folder, given.items)}
        document["command_line"] = command_line(folder)
        if given.page:
            document["page"] = page(folder, given.items)
    except CpcError as error:
        parser.exit(2, f"error: {error}\n")
    command = f"python -m benchmarks.place{' --page' if given.page else ''}"
    document |= {"bars_p50_s": BARS, "machine": facts, "command": command}
    config = folder.config()
    configs = {folder.id: (nearest_preset(config)[0], config), TRAINS: (TRAINS, preset(TRAINS).config())}
    data = {title: load_dataset(one).fingerprint() for title, (_, one) in configs.items()}
    parameters = {"items": given.items, "page": given.page, "recording_s": SECONDS}
    made = recipe(command, configs, data, parameters, packages=("streamlit",) if given.page else ())
    deliver(document, made, text(document), given.json, given.out)


if __name__ == "__main__":
    main()
