"""The drawing and the list of modules in docs/architecture.md, made from the code's own imports and docstrings.

    python -m benchmarks.architecture [--check]

`--check` writes nothing and exits 1 where the document is not what the code says.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "architecture.md"
# From the ground up: a part imports its own modules and those of earlier parts, never of later ones.
ENGINE = (
    "errors",
    "extras",
    "csv_text",
    "terms",
    "settings",
    "sources",
    "datasets",
    "config",
    "presets",
    "media",
    "data",
    "model",
    "negatives",
    "training",
    "evaluation",
    "storage",
    "maps",
    "comparison",
    "break_it",
    "execution",
    "anatomy",
    "placing",
    "exports",
    "experiments",
    "sweeps",
    "api",
    "cli",
)
PAGES = ("start", "train", "runs", "compare", "sweeps", "explore", "negatives", "break_it", "place", "share")
UI = ("drawing", "shell", "components", *PAGES)
LINE = 118


def module_name(path: Path) -> str:
    """ "cpc_engine.data.splits" of a file; a package's name of its __init__."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    """{name: file} of everything that is drawn."""
    files = [path for folder in ("cpc_engine", "ui", "pages") for path in sorted((ROOT / folder).rglob("*.py"))]
    return {module_name(path): path for path in (*files, ROOT / "app.py", ROOT / "share.py")}


def part_of(module: str) -> str:
    """The part that a module belongs to: "engine.data", "engine.door", "ui.compare", "pages", "app", "share"."""
    names = module.split(".")
    if names[0] == "cpc_engine":
        if len(names) == 1:
            return "engine.door"
        return f"engine.{'cli' if names[1] == '__main__' else names[1]}"
    return f"ui.{names[1]}" if names[0] == "ui" and len(names) > 1 else names[0]


def always_run(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that importing a module runs: not those in functions, nor those for type checkers."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from always_run(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for block in ("body", "orelse", "finalbody"):
                yield from always_run(getattr(node, block, []))
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
            package = here if modules()[module].name == "__init__.py" else here[:-1]
            base = ".".join([*package[: len(package) - node.level + 1], *([node.module] if node.module else [])])
        for alias in node.names:
            inner = f"{base}.{alias.name}"
            yield inner if inner in modules() else base


@cache
def imports(module: str, lazy: bool = True) -> frozenset[str]:
    """What a module imports ever, or (`lazy=False`) when it is imported."""
    tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree) if lazy else always_run(tree.body))
    names = {name for node in nodes for name in imported(node, module)}
    # Streamlit is told of its pages by their files.
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return frozenset(
        names | {text[:-3].replace("/", ".") for text in texts if module == "app" and text.startswith("pages/")}
    )


def arrows() -> dict[str, set[str]]:
    """{part: parts that it imports}."""
    graph: dict[str, set[str]] = {}
    for module in modules():
        part = part_of(module)
        targets = {part_of(name) for name in imports(module) if name in modules()} - {part}
        graph.setdefault(part, set()).update(targets)
    return {part: targets - {"ui"} for part, targets in graph.items() if part != "ui"}


def reduced(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """The arrows that no path of other arrows stands for (transitive reduction of a graph without circles)."""

    def reachable(start: str) -> set[str]:
        seen: set[str] = set()
        stack = list(graph.get(start, ()))
        while stack:
            part = stack.pop()
            if part not in seen:
                seen.add(part)
                stack += graph.get(part, ())
        return seen

    below = {part: reachable(part) for part in graph}
    return {
        part: {target for target in targets if not any(target in below.get(other, ()) for other in targets - {target})}
        for part, targets in graph.items()
    }


def drawing() -> str:
    """A Mermaid flowchart of all parts."""
    graph = reduced(arrows())
    lines = ["```mermaid", "flowchart TD"]
    groups: dict[str, list[str]] = {"app": [], "ui": [], "engine": []}
    for part in graph:
        groups["engine" if part.startswith("engine.") else "ui" if part.startswith("ui.") else "app"].append(part)
    titles = {"app": "entrances", "ui": "ui", "engine": "cpc_engine"}
    for group, parts in groups.items():
        lines.append(f"  subgraph {titles[group]}")
        lines += [f"    {_id(part)}[{part.rpartition('.')[2]}]" for part in sorted(parts, key=_order)]
        lines.append("  end")
    for part in sorted(graph, key=_order, reverse=True):
        lines += [f"  {_id(part)} --> {_id(target)}" for target in sorted(graph[part], key=_order, reverse=True)]
    return "\n".join([*lines, "```"])


def listing() -> str:
    """One line a module, from its docstring's first sentence."""
    lines: list[str] = []
    for part in sorted({part_of(module) for module in modules()}, key=_order):
        members = [module for module in modules() if part_of(module) == part]
        title = part.replace("engine.", "cpc_engine/").replace("ui.", "ui/")
        lines += ["", f"### {'cpc_engine' if part == 'engine.door' else title}", ""]
        lines += [f"- `{modules()[name].relative_to(ROOT)}`: {summary(name)}" for name in members]
    return "\n".join(lines).strip()


def summary(module: str) -> str:
    """The first sentence of a module's docstring."""
    text = ast.get_docstring(ast.parse(modules()[module].read_text(encoding="utf-8"))) or ""
    first = " ".join(text.split("\n\n")[0].split())
    return re.split(r"(?<=[.!?]) (?=[A-Z`])", first)[0]


def written(document: str) -> str:
    """The document with both blocks renewed."""
    for name, text in (("drawing", drawing()), ("modules", listing())):
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
        document = pattern.sub(lambda match, text=text: match[1] + text + match[2], document)  # type: ignore[misc]
    return document


def _order(part: str) -> tuple[int, str]:
    places = [*(f"engine.{name}" for name in ENGINE), "engine.door", *(f"ui.{name}" for name in UI), "ui", "pages"]
    return (places.index(part) if part in places else len(places), part)


def _id(part: str) -> str:
    return part.replace(".", "_")


def main(arguments: Sequence[str]) -> int:
    """Exit code: 0 success, 1 stale (--check)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit 1 where the document is stale")
    given = parser.parse_args(arguments)
    document = DOCUMENT.read_text(encoding="utf-8")
    if given.check:
        return int(written(document) != document)
    DOCUMENT.write_text(written(document), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
