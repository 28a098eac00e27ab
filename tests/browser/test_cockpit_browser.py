"""The Train page in a browser: what must be in sight while a run goes on, and that nothing overlaps or moves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cpc_engine.storage.folder import RunFolder
from tests.support.going_on import asked
from tests.support.paths import APP, REPOSITORY

if TYPE_CHECKING:
    from tests.support.browser import Visit

pytest_plugins = ["tests.support.browser", "tests.support.pages"]
pytestmark = pytest.mark.browser

DESK, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
# Every source that the data allow.
ALL: dict[str, Any] = {
    "sampler__queue_size": 256,
    "sampler__key_momentum": 0.98,
    "sampler__perturbed": "true",
    "sampler__shuffled": "input",
    "sampler__mixed": 8,
}
CURVES, MAP = ".st-key-curves .cpc-live-chart", ".st-key-map-place .cpc-scatter"
# {panel: its plot's box in the window}; a panel is named by its traces' meta.
BOXES = """() => {
  const node = document.querySelector(".st-key-curves .cpc-live-chart"), { left, top } = node.getBoundingClientRect();
  const boxes = {}, layout = node._fullLayout;
  for (const trace of node.data) {
    const axis = layout["yaxis" + (trace.yaxis ?? "y").slice(1)], x = layout.xaxis;
    boxes[trace.meta] = { x: left + x._offset, y: top + axis._offset, width: x._length, height: axis._length };
  }
  const box = (element) => { const { x, y, width, height } = element.getBoundingClientRect();
    return { x, y, width, height }; };
  boxes.curves = box(node);
  boxes.map = box(document.querySelector(".st-key-map-place .cpc-scatter"));
  for (const name of ["status", "notice"]) boxes[name] = box(document.querySelector(`.st-key-${name}`));
  for (const card of document.querySelectorAll("[class*='st-key-source-']"))
    boxes[[...card.classList].find((name) => name.startsWith("st-key-source-")).slice(7)] = box(card);
  return boxes;
}"""
# Boxes of all that is written on the chart over its panels: titles, and labels of events.
TEXTS = """() => Object.fromEntries([...document.querySelectorAll(".st-key-curves .annotation")].map((note) => {
  const { x, y, width, height } = note.getBoundingClientRect();
  return [note.textContent, { x, y, width, height }];
}))"""
Box = dict[str, float]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the app over a folder of runs, none of which goes on."""
    from tests.support.browser import streamlit_server

    root = tmp_path_factory.mktemp("lab")
    with streamlit_server(APP, root / "server.log", env={"CPC_RUNS": str(root / "runs")}, fresh=False) as url:
        yield url


def started(
    lab: str, visit: Callable[..., Visit], preset: str, settings: dict[str, Any], size: dict[str, int]
) -> Visit:
    """A page on which a run has taken a few steps and was measured."""
    wanted = asked(image__size=32, image__width=8, evaluation__every=25, **settings)
    seen = visit(f"{lab}/train?preset={preset}{wanted}", viewport=size)
    seen.page.get_by_role("button", name="Start training").click(timeout=120_000)
    measured = f"document.querySelector('{CURVES}')?.data?.some((t) => t.meta === 'alignment' && t.x.length)"
    seen.page.wait_for_function(measured, timeout=180_000)
    seen.page.wait_for_function(f"document.querySelector('{MAP} .main-svg')")
    return seen


def stop(seen: Visit) -> None:
    seen.stop_button.click()
    seen.page.get_by_role("button", name="Resume").wait_for(timeout=120_000)


def inside(box: Box, size: dict[str, int]) -> bool:
    return (
        box["x"] >= 0
        and box["y"] >= 0
        and box["x"] + box["width"] <= size["width"]
        and box["y"] + box["height"] <= size["height"]
    )


def overlapping(boxes: dict[str, Box]) -> list[tuple[str, str]]:
    """Pairs of boxes that share more than a pixel."""
    names = sorted(boxes)
    pairs = [(a, b) for index, a in enumerate(names) for b in names[index + 1 :]]
    return [
        (a, b)
        for a, b in pairs
        if all(
            min(boxes[a][at] + boxes[a][size], boxes[b][at] + boxes[b][size]) - max(boxes[a][at], boxes[b][at]) > 1
            for at, size in (("x", "width"), ("y", "height"))
        )
    ]


@pytest.mark.parametrize(
    ("preset", "settings"),
    [
        ("tones", {}),
        ("tones", ALL),
        ("tones_bars", {}),
        ("tones_bars", ALL | {"sampler__cross_modal": "true"}),
    ],
)
def test_all_that_matters_is_in_sight_while_a_run_goes_on(
    lab: str, visit: Callable[..., Visit], preset: str, settings: dict[str, Any]
) -> None:
    seen = started(lab, visit, preset, settings, DESK)
    boxes = seen.page.evaluate(BOXES)
    shares = ["share-audio", "share-image"] if preset == "tones_bars" else ["share-audio"]
    charts = ["loss", "accuracy", *shares, "alignment", "uniformity", "spread"]
    for name in (*charts, "map", "status", "notice"):
        assert inside(boxes[name], DESK), (name, boxes[name])
    assert boxes["map"]["width"] > 500, "the map is large"
    assert all(boxes[name]["height"] >= 10 for name in charts)
    assert boxes["source-all"]["y"] + boxes["source-all"]["height"] <= DESK["height"], "all cards, temperature included"
    widest = {boxes[name]["x"] for name in charts}, {boxes[name]["width"] for name in charts}
    assert [len(one) for one in widest] == [1, 1], "one step axis"
    curves = boxes.pop("curves")  # which holds the charts
    for text, box in seen.page.evaluate(TEXTS).items():
        assert box["x"] + box["width"] <= curves["x"] + curves["width"], f"cut off: {text}"
    assert overlapping(boxes) == []
    assert seen.page.evaluate(f"document.querySelector('{CURVES}')._fullLayout.xaxis.range[0]") == 0
    for button in (seen.page.get_by_role("button", name="Pause"), seen.stop_button):
        box = button.bounding_box()
        assert box is not None
        assert inside(box, DESK)
    stop(seen)
    assert seen.errors == []
    assert seen.foreign == []


def test_a_phone_has_one_column_with_map_and_loss_first(lab: str, visit: Callable[..., Visit]) -> None:
    seen = started(lab, visit, "tones_bars", {}, PHONE)
    boxes = seen.page.evaluate(BOXES)
    for name in ("map", "loss"):
        assert inside(boxes[name], PHONE), (name, boxes[name])
    assert boxes["map"]["y"] < boxes["loss"]["y"] < boxes["accuracy"]["y"] < boxes["source-in_batch"]["y"]
    del boxes["curves"]
    assert overlapping(boxes) == []
    assert seen.page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth <= innerWidth")
    stop(seen)


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_nothing_moves_when_an_alarm_comes(
    serve: Callable[..., str], visit: Callable[..., Visit], tmp_path: Path, finished: Path, size: dict[str, int]
) -> None:
    """On an open page, as the records of a run that goes on say that it has collapsed; nothing is loaded again."""
    root = tmp_path / "runs"
    folder = RunFolder(Path(shutil.copytree(finished, root / "one")))
    rows = folder.records()
    half = len(rows) // 2
    for row in rows:
        row["modalities"]["audio"]["sources"]["queue"] = row["modalities"]["audio"]["sources"]["in_batch"]
        row["geometry"] = {"spread": 0.9 if row["step"] <= half else 0.01, "alignment": 1, "uniformity": -1}
    metrics = folder.path / "metrics.jsonl"
    metrics.write_text("".join(json.dumps(row) + "\n" for row in rows[:half]))
    folder.update(status="running")  # by the process of this test
    seen = visit(f"{serve(APP, env={'CPC_RUNS': str(root)})}/train?run=one", viewport=size)
    seen.page.wait_for_function(f"document.querySelector('{CURVES} .main-svg')", timeout=120_000)
    seen.page.wait_for_function(f"document.querySelector('{MAP} .main-svg')", timeout=120_000)
    seen.settle()  # columns of a page that loads beside other work come one after another
    seen.page.wait_for_timeout(1000)
    before = seen.page.evaluate(BOXES)
    assert seen.page.get_by_text("have collapsed").count() == 0
    with metrics.open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows[half:])
    seen.page.get_by_text("have collapsed").wait_for(timeout=120_000)
    seen.settle()
    seen.page.wait_for_timeout(1000)
    after = seen.page.evaluate(BOXES)
    for name, box in before.items():
        assert abs(box["y"] - after[name]["y"]) <= 8, name
        assert abs(box["x"] - after[name]["x"]) <= 8, name
    for name in ("map", "loss"):
        assert inside(after[name], size), (name, after[name])
    seen.page.get_by_role("button", name="All notices").click()
    notices = seen.page.get_by_test_id("stPopoverBody")
    notices.get_by_text("have collapsed").wait_for()
    notices.get_by_role("button", name="Train again with").first.wait_for()


@pytest.mark.parametrize("presenting", [False, True])
def test_labels_of_changes_that_are_close_together_do_not_overlap(
    serve: Callable[..., str], visit: Callable[..., Visit], tmp_path: Path, presenting: bool
) -> None:
    shutil.copytree(REPOSITORY / "checkpoints" / "example-tones", tmp_path / "runs" / "one")
    folder = RunFolder(tmp_path / "runs" / "one")
    steps = folder.config().optimizer.steps
    changes = {0.5: "sampler.sigma", 0.51: "loss.temperature", 0.58: "optimizer.learning_rate", 1.0: "sampler.hardness"}
    events = [
        {"kind": "change", "step": round(at * steps), "setting": path, "value": 0.25} for at, path in changes.items()
    ]
    (folder.path / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    seen = visit(f"{serve(APP, env={'CPC_RUNS': str(tmp_path / 'runs')})}/train?run=one", viewport=DESK)
    drawn = f"document.querySelector('{CURVES} .main-svg') && document.querySelector('{MAP} .main-svg')"
    seen.page.wait_for_function(drawn, timeout=120_000)
    if presenting:
        seen.settle()
        seen.page.keyboard.press("Alt+p")
        seen.page.get_by_role("button", name="Leave").wait_for()
        seen.page.wait_for_function(
            f"""() => {{
                const node = document.querySelector('{CURVES}'), drawn = node?._fullLayout;
                return Boolean(drawn) && drawn.font.size > 15 && drawn.width === node.clientWidth
                    && drawn.height === node.clientHeight;
            }}"""
        )
    seen.settle()
    boxes = seen.page.evaluate(TEXTS)
    assert {"σ 0.25, τ 0.25", "Learning rate 0.25", "β 0.25"} <= set(boxes)
    labels = {name: box for name, box in boxes.items() if name.endswith("0.25")}
    titles = {name: box for name, box in boxes.items() if name not in labels}
    assert len(titles) == 6
    assert overlapping(labels) == []
    assert overlapping(titles) == []
    chart = seen.page.evaluate(BOXES)["curves"]
    for name, box in boxes.items():
        assert box["x"] + box["width"] <= chart["x"] + chart["width"] + 1, f"{name} is cut off"


def test_nothing_moves_when_the_first_values_and_the_first_map_come(
    serve: Callable[..., str], visit: Callable[..., Visit], tmp_path: Path, finished: Path
) -> None:
    """A run of another process, which this test is, before its first step and after its last measurement."""
    folder = RunFolder(Path(shutil.copytree(finished, tmp_path / "runs" / "one")))
    later = tmp_path / "later"
    later.mkdir()
    for name in ("metrics.jsonl", "evolution.json", "evolution.safetensors"):
        (folder.path / name).rename(later / name)
    folder.update(status="running")
    server = serve(APP, env={"CPC_RUNS": str(tmp_path / "runs")})
    for size in (DESK, PHONE):
        places = []
        seen = visit(f"{server}/train?run=one", viewport=size)
        for begun in (False, True):
            if begun:
                for part in later.iterdir():
                    shutil.copy(part, folder.path / part.name)
                seen.page.reload()
            seen.page.wait_for_function(f"document.querySelector('{CURVES} .main-svg')", timeout=120_000)
            if begun:
                seen.page.wait_for_function(f"document.querySelector('{MAP} .main-svg')", timeout=120_000)
            seen.page.locator(".st-key-map-words-one").wait_for(state="attached")  # the last part
            seen.settle(refreshing=True)
            places.append(
                seen.page.evaluate(
                    """() => Object.fromEntries(["curves", "panel", "notice", "map-place"].map((name) => {
                        const { x, y, width } = document.querySelector(`.st-key-${name}`).getBoundingClientRect();
                        return [name, { x, y, width }];
                    }))"""
                )
            )
            said = seen.page.evaluate(TEXTS)
            assert ("begins with the first step" in said) is not begun
        if size is PHONE:  # below the status, whose text may take one more line there
            places = [
                {name: box | {"y": box["y"] - one["map-place"]["y"]} for name, box in one.items()} for one in places
            ]
        for name in ("curves", "panel", "map-place"):
            for at, value in places[0][name].items():
                assert abs(value - places[1][name][at]) <= 8, (name, at, places)
        for part in later.iterdir():
            (folder.path / part.name).unlink()


def test_an_address_of_earlier_versions_leads_here_on_a_fresh_server(
    serve: Callable[..., str], visit: Callable[..., Visit], tmp_path: Path, finished: Path
) -> None:
    shutil.copytree(finished, tmp_path / "runs" / "one")
    url = serve(APP, env={"CPC_RUNS": str(tmp_path / "runs")})
    seen = visit(f"{url}/watch?run=one", viewport=DESK)
    seen.page.wait_for_function(f"document.querySelector('{CURVES} .main-svg')", timeout=120_000)
    assert seen.page.evaluate("location.pathname + location.search") == "/train?run=one"
    seen.page.goto(f"{url}/start?steps=40")
    seen.page.get_by_role("button", name="Train two runs").wait_for()
    assert seen.page.evaluate("location.pathname + location.search") == "/?steps=40"
    assert seen.page.get_by_text("Page not found").count() == 0
