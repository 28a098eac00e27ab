"""The shape of the house: what may import what, how fast the door opens, and what stands at it."""

from __future__ import annotations

import ast
import importlib
import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import cpc_engine

ENGINE = Path(cpc_engine.__file__).parent
FOREIGN = ("streamlit", "gradio", "ui", "pages", "app", "tests", "benchmarks")
# From the ground up: a part imports its own and what stands before it, never what comes after.
ORDER = (
    "errors",
    "knobs",
    "config",
    "presets",
    "media",
    "data",
    "features",
    "model",
    "negatives",
    "training",
    "evaluation",
    "runs",
    "placing",
    "experiments",
    "cli",
)


def name_of(path: Path) -> str:
    parts = path.relative_to(ENGINE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(ENGINE.rglob("*.py"))}


def always_run(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that importing a module runs: not those in functions, nor those for type checkers."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from always_run(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in ("body", "orelse", "finalbody"):
                yield from always_run(getattr(node, part, []))
            for handler in getattr(node, "handlers", []):
                yield from always_run(handler.body)


def imported(node: ast.AST, module: str) -> Iterator[str]:
    """Full names that one statement imports; a name taken from a package is that package's module if there is one."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            here = module.split(".")
            package = here if MODULES[module].name == "__init__.py" else here[:-1]
            base = ".".join([*package[: len(package) - node.level + 1], *([node.module] if node.module else [])])
        for alias in node.names:
            inner = f"{base}.{alias.name}"
            yield inner if inner in MODULES else base


@cache
def imports(module: str, lazy: bool) -> frozenset[str]:
    """What a module imports when it is imported, or (`lazy`) ever."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if lazy else always_run(tree.body)
    return frozenset(name for node in nodes for name in imported(node, module))


def in_engine(module: str) -> set[str]:
    """Engine modules that importing `module` brings along directly, the packages they live in not counted."""
    return {name for name in imports(module, lazy=False) if name in MODULES} - {module}


def test_the_reader_of_imports_sees_them() -> None:
    """The tests below would pass on an empty graph."""
    assert "cpc_engine.training.trainer" in in_engine("cpc_engine.runs.execute")
    assert "cpc_engine.data.fsdd" in in_engine("cpc_engine.data")
    assert "lightning_fabric" in imports("cpc_engine.runs.execute", lazy=True)
    assert "lightning_fabric" not in imports("cpc_engine.runs.execute", lazy=False)
    assert not in_engine("cpc_engine")
    assert "cpc_engine.runs.manager" in imports("cpc_engine", lazy=True)


def test_the_engine_knows_of_no_user_interface() -> None:
    for module in MODULES:
        roots = {name.split(".")[0] for name in imports(module, lazy=True)}
        assert not roots & set(FOREIGN), module


def test_importing_all_of_the_engine_loads_no_user_interface() -> None:
    lines = [
        "import importlib, sys",
        f"for name in {[name for name in MODULES if not name.endswith('__main__')]}: importlib.import_module(name)",
        f"print([name for name in {FOREIGN[:2]} if name in sys.modules])",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_modules_do_not_import_in_circles() -> None:
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " → ".join([*path[path.index(module) :], module])
        if module not in done:
            for other in sorted(in_engine(module)):
                visit(other, (*path, module))
            done.add(module)

    for module in MODULES:
        visit(module, ())
    assert done == set(MODULES)


@pytest.mark.parametrize("module", [name for name in MODULES if name.count(".")])
def test_a_part_imports_only_what_stands_before_it(module: str) -> None:
    part = module.split(".")[1]
    if part == "__main__":
        return
    allowed = {"cpc_engine", *(f"cpc_engine.{name}" for name in ORDER[: ORDER.index(part) + 1])}
    for other in imports(module, lazy=True):
        if other in MODULES:
            assert ".".join(other.split(".")[:2]) in allowed, f"{module} imports {other}"


def test_every_part_has_its_place() -> None:
    parts = {name.split(".")[1] for name in MODULES if "." in name} - {"__main__"}
    assert parts == set(ORDER)


def test_importing_the_engine_is_quick_and_light() -> None:
    """Under 0.3 s, in a fresh process, without torch."""
    code = "import time; t = time.perf_counter(); import cpc_engine; print(time.perf_counter() - t)"
    code += "; import sys; assert not {'torch', 'numpy', 'pydantic'} & set(sys.modules)"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(3)]
    assert statistics.median(float(run.stdout) for run in runs) < 0.3


@pytest.mark.parametrize(
    "use",
    [
        "cpc_engine.preset('tones').config()",
        "cpc_engine.list_runs()",
        "from cpc_engine.cli import main; main(['knobs'])",
        "from cpc_engine.cli import main; main(['list', '--runs', '/nowhere', '--json'])",
        "from cpc_engine.cli import main; main(['train', '--preset', 'tonse'])",
    ],
)
def test_what_does_not_compute_comes_without_torch(use: str) -> None:
    code = f"import sys, cpc_engine; {use}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)


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
