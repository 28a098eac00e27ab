"""Small changes to a module's source, one at a time: what `python -m benchmarks.mutations` lets the tests find.

The changes are made here, on the syntax tree, and not by a library: mutmut 3 writes sources of its own form that only
its runner understands, and cosmic-ray documents a session of its command line, not a function that returns a changed
source; it changes annotations too and removes no statement.

Changed are bodies and default values of functions. Left out is what no result depends on: annotations, decorators,
assertions (which tell types), messages of errors, and `strict=` of zip.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt},
    **{
        ast.Eq: ast.NotEq,
        ast.NotEq: ast.Eq,
        ast.Is: ast.IsNot,
        ast.IsNot: ast.Is,
        ast.In: ast.NotIn,
        ast.NotIn: ast.In,
    },
}
NEGATED_BY_COMPARED = (ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn)
COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult},
    **{ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.LShift: ast.RShift, ast.RShift: ast.LShift},
    **{ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd},
}
CALLED = {"min": "max", "amin": "amax", "minimum": "maximum", "any": "all"}
CALLED |= {other: name for name, other in CALLED.items()}
SYMMETRIC = {*CALLED, "logaddexp", "dot", "mse_loss", "mul", "isinstance"}  # or no order that could be mistaken


@dataclass(frozen=True)
class Change:
    """One change of a source.

    Attributes:
        number: in the source, from 0. line: of the original. where: name of the function, with its class.
        what: "before → after", with a number where the function has the same change several times.
    """

    number: int
    line: int
    where: str
    what: str


@dataclass
class _Site:
    """A node of a syntax tree, where it stands, and what stands there instead."""

    where: str
    holder: ast.AST | list[ast.AST]
    place: str | int
    old: ast.AST
    new: ast.AST


def changes(source: str) -> list[Change]:
    """All changes of a source, in the order of its lines.

    Example:
        >>> [change.what for change in changes("def f(a):\\n    return a < 3")]
        ['a < 3 → a <= 3', '3 → 4']
    """
    found, seen = [], Counter[tuple[str, str]]()
    for number, site in enumerate(_sites(ast.parse(source))):
        what = f"{_short(site.old)} → {_short(site.new)}"
        seen[site.where, what] += 1
        times = seen[site.where, what]
        line = getattr(site.old, "lineno", 0)
        found.append(Change(number, line, site.where, what if times == 1 else f"{what} ({times})"))
    return found


def changed(source: str, number: int | None) -> str:
    """The source with one of its `changes`, or with none, without comments.

    Example:
        >>> print(changed("def f(a):\\n    return a < 3", 1))
        def f(a):
            return a < 4
    """
    tree = ast.parse(source)
    if number is not None:
        site = list(_sites(tree))[number]
        if isinstance(site.holder, list):
            site.holder[int(site.place)] = site.new
        else:
            setattr(site.holder, str(site.place), site.new)
    return ast.unparse(tree) + "\n"


def _short(node: ast.AST) -> str:
    if isinstance(node, ast.If | ast.IfExp):
        node = ast.If(node.test, [ast.Expr(ast.Constant(...))], [])  # only the condition is changed
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 100 else f"{text[:60]} … {text[-38:]}"


def _sites(tree: ast.Module) -> Iterator[_Site]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, ast.FunctionDef):
                    yield from _of_function(part, f"{node.name}.{part.name}")
        elif isinstance(node, ast.FunctionDef):
            yield from _of_function(node, node.name)


def _of_function(function: ast.FunctionDef | ast.Lambda, where: str) -> Iterator[_Site]:
    yield from _below(function.args, ("defaults", "kw_defaults"), where)
    yield from _below(function, ("body",), where)


def _below(node: ast.AST, fields: tuple[str, ...], where: str) -> Iterator[_Site]:
    for name in fields:
        value = getattr(node, name)
        children = enumerate(value) if isinstance(value, list) else [(name, value)]
        for place, child in children:
            if not isinstance(child, ast.AST):
                continue
            holder = value if isinstance(value, list) else node
            for new in _variants(child):
                yield _Site(where, holder, place, child, new)
            if isinstance(child, ast.FunctionDef | ast.Lambda):
                yield from _of_function(child, where)
            elif not isinstance(child, ast.Assert | ast.Raise | ast.JoinedStr):
                yield from _below(child, _fields(child), where)


def _fields(node: ast.AST) -> tuple[str, ...]:
    """The parts of a node in which changes are made."""
    if isinstance(node, ast.keyword) and node.arg == "strict":
        return ()
    return tuple(name for name in node._fields if name not in ("annotation", "ctx", "op", "ops"))


def _variants(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(left, ops, comparators):
            for index, op in enumerate(ops):
                yield ast.Compare(left, [*ops[:index], COMPARED[type(op)](), *ops[index + 1 :]], comparators)
        case ast.BinOp(left, op, right) if type(op) in COMPUTED:
            yield ast.BinOp(left, COMPUTED[type(op)](), right)
        case ast.AugAssign(target, op, value):
            if type(op) in COMPUTED:
                yield ast.AugAssign(target, COMPUTED[type(op)](), value)
            yield ast.Pass()
        case ast.BoolOp(op, values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield operand
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value) | float(value)) if value + 1 != value:
            yield ast.Constant(value + 1)
        case ast.Call(function, [first, second, *rest], keywords) if not isinstance(second, ast.Starred):
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if name not in SYMMETRIC and not isinstance(first, ast.Starred):
                yield ast.Call(function, [second, first, *rest], keywords)
        case ast.Expr(ast.Call()):
            yield ast.Pass()
        case ast.Assign(targets) if all(isinstance(target, ast.Attribute | ast.Subscript) for target in targets):
            yield ast.Pass()
        case ast.If(test, body, orelse) if _negatable(test):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.IfExp(test, body, orelse) if _negatable(test):
            yield ast.IfExp(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.Continue():
            yield ast.Break()
    if isinstance(node, ast.Call):
        match node.func:
            case ast.Name(name) if name in CALLED:
                yield ast.Call(ast.Name(CALLED[name]), node.args, node.keywords)
            case ast.Attribute(value, name) if name in CALLED:
                yield ast.Call(ast.Attribute(value, CALLED[name]), node.args, node.keywords)


def _negatable(test: ast.expr) -> bool:
    """Whether the negated condition is not among the other changes."""
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        return not isinstance(test.ops[0], NEGATED_BY_COMPARED)
    return not (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not))
