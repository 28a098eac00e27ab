"""Hover texts come from docs/glossary.md, and no page asks for a term that is not there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import REPOSITORY
from ui.drawing.panels import GEOMETRY
from ui.shell import glossary

MODULES = sorted((REPOSITORY / "ui").rglob("*.py"))


def defined_calls(path: Path) -> Iterator[ast.expr]:
    """The argument of each `define(…)` in a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "define":
            yield node.args[0]


def test_every_key_that_a_page_uses_is_in_the_glossary() -> None:
    keys = {
        argument.value for path in MODULES for argument in defined_calls(path) if isinstance(argument, ast.Constant)
    }
    assert {"infonce", "contrastive_accuracy", "gradient_share", "batch_preview"} <= keys
    for key in keys | set(GEOMETRY):  # names of metrics are keys, too
        assert glossary.define(key), key


def test_an_entry_is_one_sentence_without_its_heading() -> None:
    text = glossary.define("gradient_share")
    assert text.startswith("The part of the total push")
    assert text.endswith(".")


def test_a_missing_entry_or_file_is_empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert glossary.define("no_such_term") == ""
    monkeypatch.setattr(glossary, "GLOSSARY", tmp_path / "glossary.md")
    glossary._entries.cache_clear()
    assert glossary.define("gradient_share") == ""
    glossary._entries.cache_clear()
