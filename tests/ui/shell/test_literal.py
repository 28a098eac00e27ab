"""Names are shown letter by letter: nothing in them is Markdown, and no browser asks another host because of one."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cpc_engine.storage.folder import RunFolder
from tests.support.pages import open_page
from ui.shell.errors import literal, sentence

pytest_plugins = ["tests.support.explored"]

HOSTILE = "![t](http://example.invalid/x.png) <img src=//example.invalid> $x^2$ :red[r] https://example.invalid a@b.de"
UNSEEN = "\u2060"
# As remark-gfm finds links in the text of a parsed document (mdast-util-gfm-autolink-literal).
ADDRESS = re.compile(r"(https?://|www(?=\.))([-.\w]+)([^ \t\r\n]*)", re.IGNORECASE)
MAIL = re.compile(r"(?:^|\s|[^\w\s])([-.\w+]+)@([-\w]+(?:\.[-\w]+)+)")
SIGNS = re.compile(r"<-|->|--|>=|<=|~=")  # that Streamlit replaces by others
ALPHABET = st.sampled_from([*"\\`*_[]()$<>:#~|!&-+=.123 \nabc@/\"'", "http://", "www.", "a@b.c", "![", "](", "&amp;"])


def shown(markdown: str) -> tuple[str, set[str]]:
    """(text, kinds of elements) of Markdown."""
    kinds, parts = set(), []
    for block in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown):
        if block.type not in ("paragraph_open", "paragraph_close", "inline"):
            kinds.add(block.type)
        for token in block.children or []:
            if token.type not in ("text", "text_special", "softbreak", "hardbreak"):
                kinds.add(token.type)
            parts.append(token.content if token.type.startswith("text") else " ")
        parts.append(" ")
    return "".join(parts), kinds


@given(st.lists(ALPHABET, max_size=30).map("".join))
def test_text_stays_text(text: str) -> None:
    said, kinds = shown(literal(text))
    assert not kinds
    assert said.replace(UNSEEN, "").split() == text.split()
    assert not ADDRESS.search(said)
    assert not MAIL.search(said)
    assert not SIGNS.search(said)


@pytest.mark.parametrize(
    "text",
    [
        "http://example.invalid/x.png",
        "HTTPS://example.invalid",
        "www.example.invalid",
        "mail@example.invalid",
        "![t](http://example.invalid/x.png)",
        "<http://example.invalid>",
        "- a list",
        "1. a list",
        "    code",
        "# a heading",
        "a\n===",
        "| a |\n| - |",
        "&lt;b&gt;",
        "$x^2$ and :material/home: and :red[red]",
        "a -> b -- c",
    ],
)
def test_nothing_is_drawn_of(text: str) -> None:
    said, kinds = shown(sentence(text))
    assert not kinds
    assert said.replace(UNSEEN, "").lower().split() == text.lower().split()
    assert not ADDRESS.search(said)
    assert not MAIL.search(said)


def drawn(node: Any) -> list[str]:
    """Every text of a page that Streamlit takes for Markdown."""
    found = []
    proto = getattr(node, "proto", None)
    if type(proto).__name__ in ("Markdown", "Alert", "PageLink", "Heading", "Progress", "Button", "Toast"):
        found += [str(getattr(proto, field)) for field in ("body", "label", "text") if hasattr(proto, field)]
    for child in getattr(node, "children", {}).values():
        found += drawn(child)
    return found


def test_no_page_draws_what_a_name_says(runs: Path, keypad: Path) -> None:
    first, second = (RunFolder(Path(shutil.copytree(keypad, runs / name))) for name in ("one", "two"))
    for folder in (first, second):
        folder.rename(HOSTILE[:118], HOSTILE * 2)
    values = json.loads((first.path / "run.json").read_text())
    values["data"] |= {"name": HOSTILE, "remarks": [HOSTILE], "skipped": 1, "skipped_files": [HOSTILE]}
    values["message"] = HOSTILE
    first.save_json("run", values)
    seen = 0
    for page, address in (
        ("pages/start.py", {}),
        ("pages/runs.py", {}),
        ("pages/watch.py", {"run": "one"}),
        ("pages/compare.py", {"runs": "one,two"}),
        ("pages/explore.py", {"run": "one"}),
        ("pages/place.py", {"run": "one"}),
        ("pages/negatives.py", {"run": "one"}),
        ("pages/negatives.py", {"run": "one", "view": "step"}),
        ("pages/break_it.py", {"runs": "one,two"}),
        ("pages/sweeps.py", {}),
    ):
        test = open_page(page, **address)
        assert not test.exception
        for text in drawn(test._tree):
            said, kinds = shown(text)
            seen += "example" in said
            assert not {"image", "link_open", "html_inline", "html_block"} & kinds, (page, text)
            assert "http://example" not in said, (page, text)
            assert ":red[" not in text, (page, text)
    assert seen >= 5, "names were on the pages"
