"""What code and documents cite is in the repository, and what is said to be shown has its test."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CITATION = re.compile(r"\b(docs/[\w./-]+\.md)(?:#([\w-]+))?")
LINK = re.compile(r"\]\(([\w./-]*\.md)?#([\w-]+)\)")
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)


def _read() -> dict[str, str]:
    places = ("src", "tests", "scripts", "bench", "docs", "README.md")
    listed = subprocess.run(["git", "ls-files", "-z", *places], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout: which files belong to the project is unknown")
    names = [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    recordings = "tests/k3s/recordings/"
    return {name: (ROOT / name).read_text(errors="replace") for name in names if not name.startswith(recordings)}


TEXTS = _read()


def _anchor(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _anchors(text: str) -> list[str]:
    return [_anchor(heading) for _, heading in HEADING.findall(re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))]


ANCHORS = {name: _anchors(text) for name, text in TEXTS.items() if name.endswith(".md")}


def _cited() -> Iterator[tuple[str, str, str]]:
    """Yield who cites which page and which anchor of it (empty: the page as a whole)."""
    for name, text in TEXTS.items():
        yield from ((name, page, anchor) for page, anchor in CITATION.findall(text))
        if name.endswith(".md"):
            for link, anchor in LINK.findall(text):
                page = (ROOT / name).parent / link if link else ROOT / name
                yield name, str(page.resolve().relative_to(ROOT)), anchor


CITED = sorted(set(_cited()))


def test_every_citation_leads_to_a_heading_of_a_page() -> None:
    assert len(CITED) > 100
    broken = [
        f"{name}: {page}#{anchor}"
        for name, page, anchor in CITED
        if page not in ANCHORS or (anchor and anchor not in ANCHORS[page])
    ]
    assert broken == []


def test_no_cited_anchor_stands_twice_in_its_page() -> None:
    cited = {(page, anchor) for _, page, anchor in CITED if anchor}
    assert [f"{page}#{anchor}" for page, anchor in sorted(cited) if ANCHORS[page].count(anchor) > 1] == []


def test_no_page_is_cited_that_is_not_in_the_repository() -> None:
    outside = ("RECOVERY_FACTS", "K3S_RUN_FACTS", "K3S_RUN_FACTS_2", "LAB_FACTS", "HETZNER_API")
    names = "|".join((*outside, "DEMAND_AND_COMPATIBILITY", "ARCHITECTURE", r"WORDS\.md", r"MODELS\.md"))
    cited = re.compile(rf"\b({names})\b|[Ff]acts §")
    found = [f"{name}: {match[0]}" for name, text in TEXTS.items() for match in cited.finditer(text)]
    assert [line for line in found if not line.startswith("tests/architecture/test_citations.py")] == []


def _facts() -> Iterator[tuple[str, str]]:
    """Yield page and anchor of each heading of `docs/facts` that has text of its own below it."""
    for name, text in TEXTS.items():
        if name.startswith("docs/facts/"):
            for heading, body in re.findall(r"^##+ (.+)\n((?:(?!#+ ).*\n?)*)", text, re.MULTILINE):
                if body.strip():
                    yield name, _anchor(heading)


def test_every_fact_is_relied_on_by_somebody() -> None:
    facts = list(_facts())
    assert len(facts) > 40
    relied_on = {(page, anchor) for name, page, anchor in CITED if name != page}
    assert [f"{page}#{anchor}" for page, anchor in facts if (page, anchor) not in relied_on] == []


def test_every_recording_that_is_named_exists() -> None:
    recordings = ROOT / "tests/k3s/recordings"
    named = [(name, it) for name, text in TEXTS.items() for it in re.findall(r"\b(?:second|runs)/\d\d", text)]
    assert len(named) > 80
    assert [f"{name}: {it}" for name, it in named if not list(recordings.glob(f"{it}*"))] == []


DEFINED = {
    name for text in TEXTS.values() for name in re.findall(r"^ *(?:async )?def (test_\w+)\(", text, re.MULTILINE)
}


def test_every_test_that_a_page_names_exists() -> None:
    pages = [(name, text) for name, text in TEXTS.items() if name.endswith(".md")]
    named = [(name, test) for name, text in pages for test in re.findall(r"`(?:test_\w+\.py::)?(test_\w+)`", text)]
    assert len(named) > 60
    assert [f"{name}: {test}" for name, test in named if test not in DEFINED] == []
    files = [(name, file) for name, text in pages for file in re.findall(r"`(tests/[\w/]+\.py)\b", text)]
    assert len(files) > 5
    assert [f"{name}: {file}" for name, file in files if not (ROOT / file).is_file()] == []


def _statements(text: str) -> list[str]:
    """Return the paragraphs, items and rows of a part of a page, without its headings and the heads of its tables."""
    rows = re.findall(r"^\|(?! [a-z ]+ \| [a-z ]+ \|.*shown by)(?!-).*\|$", text, re.MULTILINE)
    prose = re.sub(r"^(\||#).*$", "", text, flags=re.MULTILINE)
    return [*rows, *(part.strip() for part in re.split(r"\n\n|\n(?=- )", prose) if part.strip())]


def test_each_statement_of_the_page_on_security_names_its_test() -> None:
    page = TEXTS["docs/security.md"]
    shown = re.compile(r"`(tests/[\w/]+\.py|test_\w+)`|no test: |nothing: |\*\* (is everything|Root there is not)")
    caps = page.partition("### Caps")[2].partition("\n## ")[0]
    compromised = page.partition("## What one that is compromised can do")[2]
    for part in (caps, compromised):
        statements = _statements(part)
        assert len(statements) > 8
        assert [statement for statement in statements if not shown.search(statement)] == []
