"""The documentation of the configuration file is made from the schema and is current; examples are valid."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hetzner_k3s.config.loader import load
from hetzner_k3s.config.reference import render, walk

ROOT = Path(__file__).parents[2]


def test_the_reference_is_current() -> None:
    page = (ROOT / "docs/reference/configuration.md").read_text()
    assert page == render(), "run scripts/generate-config-reference"


def test_every_key_is_described() -> None:
    assert not [key for key, field in walk() if not field.description]


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_our_examples_are_valid_without_a_warning(path: Path, environ: dict[str, str]) -> None:
    file = load(path, environ)
    assert file.warnings == ()
    assert file.spec.masters


def test_the_example_of_the_demo_is_what_the_demo_tells(environ: dict[str, str]) -> None:
    spec = load(ROOT / "examples/cluster-ha.yaml", environ).spec
    assert (len(spec.masters), len(spec.workers()), spec.api_load_balancer) == (3, 2, True)
    assert not spec.protect_against_deletion


def test_the_room_opens_without_pydantic() -> None:
    """`--help` and the texts of errors must not pay for pydantic and ruamel.yaml."""
    code = (
        "import sys, hetzner_k3s.config.diagnostics, hetzner_k3s.model.spec, hetzner_k3s.model.naming\n"
        "assert not {'pydantic', 'ruamel.yaml'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ}, timeout=60)
