"""Pictures of every page, light and dark, on a desk and on a phone.

    python -m benchmarks.screenshots [--out DIR] [--runs DIR] [--whole] [PAGE …]

Shows the shipped examples beside short runs (two settings with five seeds, those of the first lesson, a sweep), which
it trains first, and one that trains meanwhile; `--runs` keeps the finished ones there for the next time. `--whole`
makes each picture as high as its page, to look for what is ugly. Needs Chromium.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if not __package__:  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.shown_runs import compared_runs, lesson_runs, running, sweep_runs
from benchmarks.timing import ROOT
from tests.support.browser import FLAGS, chromium_path, streamlit_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SIZES = {"desk": (1440, 900), "phone": (390, 844)}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
HIGHEST = 6000  # pixels of a whole page
# What to press, and what to wait for, before a page is as it should be seen.
PRESS = {"place": ".st-key-sample button"}
READY = {
    "start": "[class*='st-key-picture'] svg",
    "lesson": ".cpc-scatter .main-svg",
    "train": "[class*='st-key-loss-'] .main-svg",
    "running": ".cpc-scatter .main-svg",
    "sweeps": ".st-key-parallel",
    "runs": ".st-key-with-ticked",
    "compare": ".st-key-report button",
    "explore": ".cpc-scatter .main-svg",
    "negatives": ".main-svg",
    "break_it": ".st-key-found-words",
    "place": "[class*='st-key-placed-']",
}


def addresses(ids: list[str], lesson: list[str], sweep: str, active: str) -> dict[str, str]:
    """{name of a picture: its address below the app's} of every page that the app has, and of what Start and Train
    show of the runs of the lesson and of one that trains; the shown example needs no data set."""
    shown = "example-keypad"
    return {
        "start": "",
        "lesson": f"?runs={','.join(lesson)}",
        "train": f"train?run={shown}",
        "running": f"train?run={active}",
        "runs": "runs",
        "compare": f"compare?runs={','.join(ids)}",
        "explore": f"explore?run={shown}",
        "negatives": f"negatives?run={shown}",
        "break_it": "break_it?recipe=plain_queue&measured=true",
        "sweeps": f"sweeps?sweep={sweep}",
        "place": f"place?run={shown}&way=Samples",
    }


def settle(page: Page) -> None:
    """Wait until the script has run and plotly has drawn."""
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(timeout=180_000)
    page.wait_for_timeout(2500)


def shoot(page: Page, address: str, name: str, whole: bool) -> bytes:
    """One page as PNG."""
    page.goto(address)
    settle(page)
    if name in PRESS:
        page.locator(PRESS[name]).click(timeout=180_000)
    if name in READY:
        page.locator(READY[name]).first.wait_for(timeout=180_000)
    if whole:
        size = page.viewport_size
        assert size is not None
        height = page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight")
        page.set_viewport_size({"width": size["width"], "height": min(int(height) + 80, HIGHEST)})
    settle(page)
    return page.screenshot()


def take(browser: Browser, url: str, pages: dict[str, str], out: Path, whole: bool) -> None:
    """PAGE-SIZE-SCHEME.png for all of them."""
    for size, (width, height) in SIZES.items():
        for scheme in SCHEMES:
            for name, address in pages.items():
                context = browser.new_context(
                    viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
                )
                file = out / f"{name}-{size}-{scheme}.png"
                file.write_bytes(shoot(context.new_page(), f"{url}/{address}", name, whole))
                context.close()
                print(f"{file} {file.stat().st_size // 1000} KB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="only these pages")
    parser.add_argument("--out", type=Path, default=Path("screenshots"), help="where the pictures go (screenshots/)")
    parser.add_argument("--runs", type=Path, help="keep the runs there")
    parser.add_argument("--whole", action="store_true", help="as high as the page")
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    given.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        root = given.runs or Path(folder) / "runs"
        made = compared_runs(root), lesson_runs(root), sweep_runs(root)
        with running(root) as active:
            pages = addresses(*made, active)
            if unknown := set(given.pages) - set(pages):
                parser.error(f"no page {', '.join(sorted(unknown))}; there are {', '.join(pages)}")
            wanted = {name: address for name, address in pages.items() if name in (given.pages or pages)}
            browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
            with streamlit_server(ROOT / "app.py", Path(folder) / "log", env={"CPC_RUNS": str(root)}) as url:
                take(browser, url, wanted, given.out, given.whole)
            browser.close()


if __name__ == "__main__":
    main()
