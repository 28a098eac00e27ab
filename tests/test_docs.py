"""Documents: what code cites exists, and nothing points outside the project."""

from __future__ import annotations

import json
import re
import subprocess

from cpc_engine.comparison.judge import LEVEL
from tests.support.paths import REPOSITORY

TRACKED = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
    capture_output=True,
    text=True,
    cwd=REPOSITORY,
    check=True,
).stdout.split()
TEXTS = [
    name
    for name in TRACKED
    if (REPOSITORY / name).is_file() and name.endswith((".py", ".md", ".js", ".toml", ".cff", ".yml", "Makefile"))
]


def read(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def anchors(document: str) -> set[str]:
    """GitHub's anchors of a Markdown document's headings."""
    headings = re.findall(r"^#+ (.+)$", read(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_cited_sections_of_the_method_exist() -> None:
    there = anchors("docs/method.md")
    cited = {
        anchor
        for name in TEXTS
        for anchor in re.findall(r"method\.md#([\w-]+)", read(name))
        if name != "tests/test_docs.py"
    }
    assert len(cited) > 8
    assert cited <= there


def test_links_between_documents_lead_somewhere() -> None:
    for name in TEXTS:
        if not name.endswith(".md"):
            continue
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", read(name)):
            assert ((REPOSITORY / name).parent / target).exists(), f"{name} links to {target}"


def test_the_method_says_from_which_p_value_on_an_arm_is_better() -> None:
    text = (REPOSITORY / "docs" / "method.md").read_text(encoding="utf-8")
    assert f"an arm is called better where $\\tilde p < {LEVEL}$" in text


def test_the_document_on_measures_has_what_the_shipped_examples_hold() -> None:
    """Its rows are typed by hand; an example that is made again makes them stale."""
    rows = re.findall(
        r"^\| `(example-[\w-]+)` \| (sounds|pictures|) "
        r"\| .*→ ([\d.]+) % \| .*→ ([\d.]+) % \| ([\d.]+) % \| .*→ ([\d.]+) \|$",
        read("docs/measures.md"),
        re.MULTILINE,
    )
    assert len(rows) == 8
    for name, of, *told in rows:
        found = json.loads(read(f"checkpoints/{name}/evaluation.json"))
        modality = {"sounds": "audio", "pictures": "image", "": ""}[of]
        probes = {feature: row for feature, row in found["probe"].items() if feature.rpartition(".")[0] == modality}
        trained = max(probes.values(), key=lambda row: row["validation"])
        untrained = max(probes.values(), key=lambda row: row["untrained_validation"])
        shares = (trained["trained"], untrained["untrained"], trained["knn"])
        rank = found[f"{modality}.effective_rank" if modality else "effective_rank"]
        assert told == [*(f"{100 * share:.1f}" for share in shares), f"{rank:.1f}"], (name, of)


def test_old_words_are_gone() -> None:
    """One language: the field's terms, American spelling."""
    words = re.compile(
        r"\b(knobs?|strangers?|noisy cop(y|ies)|senses|other sense|colours?|cent(re|res|red)"
        r"|optimis(e|er|ers|ed|ing|ation)|neighbours?|normalis\w+|behaviours?|misspelt|the account|the seed's"
        r"|analys(e|ed|er|ers|es|ing)|favour\w*|grey|labell\w+|organis(e|ed|er|ers|es|ing|ation|ations)|initialis\w+"
        r"|picking the true future|seed\.md|design\.md)\b",
        re.IGNORECASE,
    )
    allowed = (
        "cpc_engine/config/aliases.py",
        "cpc_engine/storage/format.py",
        "cpc_engine/cli/parser.py",
        "ui/shell/address.py",
        "CHANGELOG.md",
    )
    found = {
        f"{name}: {match[0]}"
        for name in TEXTS
        if not name.startswith("tests/") and name not in allowed
        for match in words.finditer(read(name))
    }
    assert found == set()
