"""The structure: what may import what, how fast the door opens, what stands at it, and that its drawing is true."""

from __future__ import annotations

import importlib
import statistics
import subprocess
import sys
from collections import Counter

import pytest

import cpc_engine
from benchmarks import architecture
from benchmarks.architecture import ENGINE, PAGES, UI, arrows, imports, modules, part_of

MODULES = [name for name in modules() if name.split(".")[0] == "cpc_engine"]
FOREIGN = ("streamlit", "gradio", "ui", "pages", "app", "share", "tests", "benchmarks")
# What libraries of the engine import where it is installed, or where they are left a choice, which takes seconds.
UNUSED = ("torchmetrics", "pynndescent", "numba")
SHELL = ("ui.drawing", "ui.shell", "ui.components")


def test_the_reader_of_imports_sees_them() -> None:
    """The tests below would pass on an empty graph."""
    assert "cpc_engine.training.trainer" in imports("cpc_engine.execution.execute")
    assert "cpc_engine.data.dataset" in imports("cpc_engine.data")
    assert "cpc_engine.training.fabric" in imports("cpc_engine.execution.device")
    assert "cpc_engine.training.fabric" not in imports("cpc_engine.execution.device", lazy=False)
    assert "cpc_engine.execution.manager" in imports("cpc_engine")
    assert not {name for name in imports("cpc_engine", lazy=False) if name in modules()}
    assert {"pages.train", "pages.place"} <= imports("app")


def test_the_engine_knows_of_no_user_interface() -> None:
    for module in MODULES:
        roots = {name.split(".")[0] for name in imports(module)}
        assert not roots & set(FOREIGN), module


def test_importing_all_of_the_engine_loads_no_user_interface_and_nothing_slow_that_it_does_not_use() -> None:
    lines = [
        "import importlib, sys",
        f"for name in {[name for name in MODULES if not name.endswith('__main__')]}: importlib.import_module(name)",
        f"print([name for name in {(*FOREIGN[:2], *UNUSED)} if name in sys.modules])",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_modules_do_not_import_in_circles() -> None:
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " → ".join([*path[path.index(module) :], module])
        if module not in done:
            for other in sorted(imports(module, lazy=False)):
                if other in modules() and other != module:
                    visit(other, (*path, module))
            done.add(module)

    for module in modules():
        visit(module, ())
    assert done == set(modules())


def test_no_arrow_of_the_engine_goes_up() -> None:
    order = [f"engine.{name}" for name in ENGINE] + ["engine.door"]
    for part, targets in arrows().items():
        for target in targets if part in order else ():
            assert target in order[: order.index(part)], f"{part} imports {target}"


def test_no_arrow_of_the_app_goes_up() -> None:
    """Pages know the door and their own package; page packages know what is shared, and not each other."""
    graph = arrows()
    assert graph["pages"] <= {"engine.door", *(f"ui.{name}" for name in PAGES)}
    for module in modules():
        if module.startswith("pages."):
            own = f"ui.{module.partition('.')[2]}"
            parts = {part_of(name) for name in imports(module) if name in modules()}
            assert parts <= {own, "engine.door"}, module
    for page in PAGES:
        shared = {target for target in graph[f"ui.{page}"] if not target.startswith("engine.")}
        assert shared <= set(SHELL), page
    inside = {f"engine.{name}" for name in ("api", "cli", "experiments", "model", "negatives")}
    for part in ("app", "share", *(f"ui.{name}" for name in UI)):
        assert not graph[part] & inside, part
    assert not {target for target in graph["ui.drawing"] if target.startswith("ui.")}
    assert {target for target in graph["ui.shell"] if target.startswith("ui.")} <= {"ui.drawing"}
    assert {target for target in graph["ui.components"] if target.startswith("ui.")} <= {"ui.drawing", "ui.shell"}


def test_drawings_know_of_no_page() -> None:
    for module in modules():
        if part_of(module) == "ui.drawing":
            assert "streamlit" not in imports(module), module


def test_every_part_has_its_place() -> None:
    parts = {part_of(name) for name in modules()}
    named = {*(f"engine.{name}" for name in ENGINE), "engine.door", *(f"ui.{name}" for name in UI), "ui"}
    assert parts == named | {"pages", "app", "share"}


def test_no_package_is_wider_than_twelve_modules() -> None:
    widths = Counter(name.rpartition(".")[0] for name, path in modules().items() if path.name != "__init__.py")
    assert {package: width for package, width in widths.items() if width > 12} == {}


def test_the_drawing_is_true() -> None:
    assert architecture.main(["--check"]) == 0, "run python -m benchmarks.architecture"


@pytest.mark.timed
def test_importing_the_engine_is_quick_and_light() -> None:
    """Under 0.05 s of a fresh process's own time, without torch."""
    code = "import time; t = time.process_time(); import cpc_engine; print(time.process_time() - t)"
    code += "; import sys; assert not {'torch', 'numpy', 'pydantic', 'pandas'} & set(sys.modules)"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(5)]
    assert statistics.median(float(run.stdout) for run in runs) < 0.05


@pytest.mark.parametrize(
    "use",
    [
        "cpc_engine.preset('tones').config()",
        "cpc_engine.runs()",
        "from cpc_engine.cli import main; main(['settings'])",
        "from cpc_engine.cli import main; main(['list', '--runs', '/nowhere', '--json'])",
        "from cpc_engine.cli import main; main(['train', '--preset', 'tonse'])",
        "import cpc_engine.cli.sweep, cpc_engine.sweeps.launch, cpc_engine.execution.place as p; p.place_of('threads')",
    ],
)
def test_what_does_not_compute_comes_without_torch(use: str) -> None:
    code = f"import sys, cpc_engine; {use}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)


@pytest.mark.timed
def test_help_comes_at_once() -> None:
    """Under 0.3 s of the process's own time, without torch, pydantic or NumPy."""
    code = (
        "import sys, time; t = time.process_time()\n"
        "from cpc_engine.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'numpy', 'pydantic'} & set(sys.modules)\n"
        "print(time.process_time() - t)"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(3)]
    assert statistics.median(float(run.stdout.splitlines()[-1]) for run in runs) < 0.3


def test_public_names_are_sorted_and_there() -> None:
    names = cpc_engine.__all__
    assert sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name)) == names
    assert len(set(names)) == len(names)
    for name in names:
        assert getattr(cpc_engine, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = cpc_engine.nothing


@pytest.mark.parametrize("module", [name for name in MODULES if not name.endswith("__main__")])
def test_lists_of_public_names_are_importable(module: str) -> None:
    loaded = importlib.import_module(module)
    assert loaded.__doc__, f"{module} does not say what it is"
    for name in getattr(loaded, "__all__", []):
        assert hasattr(loaded, name), f"{module}.{name}"
