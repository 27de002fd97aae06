"""What code and documents cite is in the repository, and what `docs/facts` says somebody relies on."""

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
