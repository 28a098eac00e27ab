"""Every page under axe-core, light and dark, and the way through the main ones by keyboard alone."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

import pytest

from cpc_engine.sweeps.space import Space
from cpc_engine.sweeps.study import Spec, open_study, storage_url
from cpc_engine.sweeps.worker import Worker
from tests.support.going_on import asked
from tests.support.paths import APP, REPOSITORY
from tests.support.tiny import tiny

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.support.browser import Visit

pytest_plugins = ["tests.support.browser"]
pytestmark = pytest.mark.browser

AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
RUN = "example-tones-bars"
# What depends on the colors; all else is looked for in one scheme.
OF_COLORS = ["color-contrast", "link-in-text-block"]
# Page → what has to be there before it is looked at.
PAGES = {
    "": "[class*='st-key-picture'] svg",
    f"?runs={RUN},example-tones": ".cpc-scatter .main-svg",
    "train?preset=tones": ".st-key-source-all",
    f"train?run={RUN}": ".st-key-map-place .cpc-scatter .main-svg",
    "runs": ".st-key-with-ticked",
    "runs?look=Cards": "[class*='st-key-drawing-'] svg",
    f"compare?runs={RUN},example-tones": ".st-key-report button",
    f"explore?run={RUN}": ".st-key-explored-map .cpc-scatter .main-svg",
    f"negatives?run={RUN}": ".st-key-what-if",
    f"negatives?run={RUN}&view=step": ".cpc-step .node",
    f"place?run={RUN}": ".cpc-scatter .main-svg",
    "break_it?recipe=sigma&measured=true": ".st-key-found-words",
    "sweeps?sweep=tau": ".st-key-parallel .main-svg",
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the app over the shipped examples."""
    from tests.support.browser import streamlit_server

    root = tmp_path_factory.mktemp("lab")
    for example in (RUN, "example-tones"):
        shutil.copytree(REPOSITORY / "checkpoints" / example, root / "runs" / example)
    sweep = storage_url(root / "runs", "tau", None)
    values = Space.of_grid(["loss.temperature=0.1,0.3", "sampler.queue_size=0,64"])
    open_study(sweep, "tau", Spec(tiny(optimizer__steps=1), values, 4, 1, "spread"))
    Worker(sweep, "tau", root / "runs").work()
    with streamlit_server(APP, root / "server.log", env={"CPC_RUNS": str(root / "runs")}, fresh=False) as url:
        yield url


# Ends when the page has not been computed and nothing in it has changed for half a second.
QUIET = """() => new Promise((done) => {
    let since = performance.now();
    const watch = new MutationObserver(() => { since = performance.now(); });
    watch.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
    const look = setInterval(() => {
        const state = document.querySelector("[data-testid=stApp]")?.dataset.testScriptState;
        if (state !== "notRunning") since = performance.now();
        if (performance.now() - since < 500) return;
        clearInterval(look);
        watch.disconnect();
        done();
    }, 50);
})"""


def settled(page: Page, there: str) -> None:
    page.locator(there).first.wait_for(timeout=120_000)
    page.evaluate(QUIET)


def faults(page: Page, all_rules: bool = True) -> list[str]:
    """Serious and critical findings, or of those only the ones of colors: rule, how many, and the first place."""
    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(AXE)
    options = {"resultTypes": ["violations"]} | ({} if all_rules else {"runOnly": OF_COLORS})
    found: dict[str, Any] = page.evaluate("(options) => axe.run(document, options)", options)
    return [
        f"{one['impact']} {one['id']} × {len(one['nodes'])}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"][:2]
    ]


def marked_names(page: Page) -> list[str]:
    """Accessible names that hold Markdown, which a screen reader would spell out."""
    names: list[str] = page.evaluate("[...document.querySelectorAll('[aria-label]')].map((one) => one.ariaLabel)")
    return [f"Markdown in the name {name!r}" for name in names if re.search(r"\*\*|:\w+\[|:material/|\]\(", name)]


def in_both_schemes(page: Page) -> Iterator[str]:
    """The color schemes, one after the other on the same page; the app follows the browser's."""
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        app = "getComputedStyle(document.querySelector('[data-testid=stApp]'))"
        page.wait_for_function(f"{app}.colorScheme === '{scheme}'")
        page.evaluate(QUIET)  # charts are drawn anew
        yield scheme


def test_no_page_has_a_serious_fault(lab: str, visit: Callable[..., Visit]) -> None:
    seen = visit(lab, viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    found = []
    for address, there in PAGES.items():
        seen.page.goto(f"{lab}/{address}")
        settled(seen.page, there)
        found += [f"/{address}: {name}" for name in marked_names(seen.page)]
        for scheme in in_both_schemes(seen.page):
            found += [f"/{address}, {scheme}: {one}" for one in faults(seen.page, scheme == "light")]
    assert not found, "\n".join(found)
    assert seen.errors == []


def test_buttons_keep_their_contrast_while_they_are_used(lab: str, visit: Callable[..., Visit]) -> None:
    seen = visit(f"{lab}/train?run={RUN}", viewport={"width": 1440, "height": 900})
    page = seen.page
    settled(page, PAGES[f"train?run={RUN}"])
    page.evaluate(AXE)
    faint = """async (button) => {
        const found = await axe.run(button, { runOnly: ["color-contrast"] });
        const nodes = [...found.violations, ...found.incomplete].flatMap((one) => one.nodes);
        return nodes.map((node) => node.failureSummary);
    }"""
    found = []
    for scheme in in_both_schemes(page):
        for name in ("Present", "More", "Numbers", "Table", "Figure"):
            button = page.locator("button[kind=tertiary]", has_text=name).first
            button.hover()
            page.wait_for_timeout(500)  # colors pass over into each other
            found += [f"{name}, {scheme}, pointed at: {fault}" for fault in button.evaluate(faint)]
            if name == "Present":
                continue
            button.click()
            page.locator("button[kind=tertiary][aria-expanded=true]", has_text=name).first.wait_for()
            page.wait_for_timeout(500)
            found += [f"{name}, {scheme}, open: {fault}" for fault in button.evaluate(faint)]
            page.keyboard.press("Escape")
    assert not found, "\n".join(found)
    assert seen.errors == []


def test_a_run_that_trains_has_no_serious_fault(lab: str, visit: Callable[..., Visit]) -> None:
    address = f"{lab}/train?preset=tones{asked(evaluation__every=25)}"
    seen = visit(address, viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    settled(seen.page, PAGES["train?preset=tones"])
    seen.page.locator(".st-key-start button").click()
    seen.page.locator(".st-key-map-place .cpc-scatter .main-svg").first.wait_for(timeout=120_000)
    found = faults(seen.page) + marked_names(seen.page)
    seen.stop_button.click(timeout=120_000)
    seen.stop_button.wait_for(state="detached", timeout=120_000)
    assert not found, "\n".join(found)
    assert seen.errors == []


FOCUSED = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const { width, height } = one.getBoundingClientRect();
  const own = one.getAttribute("aria-label") || one.innerText || one.closest("label")?.innerText || one.tagName;
  const name = own.replace(/\\s+/g, " ").slice(0, 80);
  return { name, seen: width > 0 && height > 0, tool: one.matches(".modebar-btn") };
}"""


def stops(page: Page, most: int = 90) -> list[dict[str, Any]]:
    """Where the Tab key leads, from the top of the page on."""
    page.evaluate("document.activeElement?.blur()")
    found: list[dict[str, Any]] = []
    for _ in range(most):
        page.keyboard.press("Tab")
        one = page.evaluate(FOCUSED)
        if one is None:
            break
        found.append(one)
    return found


def tab_to(page: Page, name: str, most: int = 90, within: str = "body") -> int:
    """Press Tab until what has this name has the focus: how many stops that took."""
    page.evaluate("document.activeElement?.blur()")
    for count in range(1, most):
        page.keyboard.press("Tab")
        there = page.evaluate("(within) => Boolean(document.activeElement?.closest(within))", within)
        if there and name in ((page.evaluate(FOCUSED) or {}).get("name") or ""):
            return count
    pytest.fail(f"{name} is not on the way of the Tab key")


def test_the_main_pages_are_used_by_keyboard_alone(lab: str, visit: Callable[..., Visit]) -> None:
    page = visit(lab, viewport={"width": 1440, "height": 900}, reduced_motion="reduce").page
    settled(page, PAGES[""])
    assert tab_to(page, "Train two runs") <= 15, "the first action of the first page"

    page.goto(f"{lab}/train?run={RUN}")
    settled(page, PAGES[f"train?run={RUN}"])
    way = stops(page)
    charts = page.locator(".modebar").count()
    assert charts >= 2
    assert sum(one["tool"] for one in way) == charts, "the tools over a chart are one stop"
    assert [one["name"] for one in way if not one["seen"] and not one["tool"]] == [], "nothing unseen takes the focus"
    page.locator(".st-key-map-place .modebar-btn").first.focus()
    first = page.evaluate(FOCUSED)["name"]
    page.keyboard.press("ArrowRight")
    assert page.evaluate(FOCUSED)["name"] != first
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(FOCUSED)["name"] == first

    page.goto(f"{lab}/train?preset=tones")
    settled(page, PAGES["train?preset=tones"])
    tab_to(page, "Noise-perturbed")
    page.keyboard.press("Space")
    page.locator(".st-key-row-sigma").wait_for()
    assert page.locator(".st-key-start button").is_enabled()

    page.goto(f"{lab}/explore?run={RUN}")
    settled(page, PAGES[f"explore?run={RUN}"])
    tab_to(page, "Find")
    page.keyboard.type("220")
    page.keyboard.press("Enter")
    page.get_by_text("items chosen").wait_for()

    page.goto(f"{lab}/compare?runs={RUN},example-tones")
    settled(page, PAGES[f"compare?runs={RUN},example-tones"])
    tab_to(page, "Figure")
    page.keyboard.press("Enter")
    page.get_by_label("Width (cm)").wait_for()
    page.keyboard.press("Escape")
    page.get_by_label("Width (cm)").wait_for(state="detached")


def test_the_other_pages_are_used_by_keyboard_alone(lab: str, visit: Callable[..., Visit]) -> None:
    page = visit(f"{lab}/runs", viewport={"width": 1440, "height": 900}, reduced_motion="reduce").page
    settled(page, PAGES["runs"])
    tab_to(page, "Fullscreen")
    page.keyboard.press("Tab")  # into the table
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+Space")
    page.get_by_text("1 ticked").wait_for()
    tab_to(page, "Compare", within=".st-key-with-ticked")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Compare").wait_for()

    page.goto(f"{lab}/negatives?run={RUN}")
    settled(page, PAGES[f"negatives?run={RUN}"])
    tab_to(page, "Temperature τ", most=120)
    said = page.locator(".st-key-what-if").inner_text()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("(said) => document.querySelector('.st-key-what-if').innerText !== said", arg=said)

    page.goto(f"{lab}/break_it")
    settled(page, "h1")
    tab_to(page, "Temperature near zero")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.wait_for_url("**recipe=sigma**")
    tab_to(page, "Show what was measured")
    page.keyboard.press("Space")
    page.locator(".st-key-found-words").wait_for()

    page.goto(f"{lab}/place?run={RUN}&way=Samples")
    settled(page, ".st-key-sample")
    tab_to(page, "Place one of these")
    page.keyboard.press("Enter")
    page.locator("[class*='st-key-placed-']").first.wait_for()

    page.goto(f"{lab}/sweeps?sweep=tau")
    settled(page, PAGES["sweeps?sweep=tau"])
    tab_to(page, "New sweep")
    page.keyboard.press("Space")
    tab_to(page, "Vary", within="input")  # not its help
    page.keyboard.type("temperature")
    page.get_by_role("option", name="Temperature τ").wait_for()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    page.get_by_role("textbox", name="Temperature τ (now").wait_for()
    tab_to(page, "Temperature τ (now", within="input")
    page.keyboard.type("0.1, 0.2")
    page.keyboard.press("Enter")
    page.locator(".st-key-sweep-start button").wait_for()


def test_a_tab_names_its_page_and_a_projector_gets_large_letters(lab: str, visit: Callable[..., Visit]) -> None:
    page = visit(f"{lab}/train?run={RUN}", viewport={"width": 1280, "height": 800}).page
    settled(page, PAGES[f"train?run={RUN}"])
    assert page.title() == "Train · CPC Lab"
    size = "document.querySelector('.st-key-curves .cpc-live-chart')?._fullLayout?.font.size"
    before = page.evaluate(size)
    page.keyboard.press("Alt+p")
    page.wait_for_function("getComputedStyle(document.documentElement).fontSize === '20px'")
    page.wait_for_function(f"{size} > 1.2 * {before}")
    assert not page.locator("[data-testid=stHeader]").is_visible(), "nothing around the page"
    page.keyboard.press("Alt+p")
    page.locator("[data-testid=stHeader]").wait_for()
