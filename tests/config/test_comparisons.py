"""Every key of the schema has a row that says how it is compared; the page of them is current.

See docs/architecture.md#law-11.
"""

from __future__ import annotations

from pathlib import Path

from hetzner_k3s.cli.render.keys import page
from hetzner_k3s.config.reference import walk
from hetzner_k3s.config.schema.sections import section_in
from hetzner_k3s.decide.desired.keys import KEYS

PAGE = Path(__file__).parents[2] / "docs/reference/changes.md"


def test_every_key_says_how_it_is_compared() -> None:
    assert set(KEYS) == {key for key, field in walk() if section_in(field.annotation) is None}


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run scripts/generate-config-reference"
