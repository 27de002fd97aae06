"""Each law is broken on purpose, and some test notices: `scripts/mutants` as a test (docs/architecture.md#laws)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.mutants.guards import GUARDS
from tests.mutants.table import MUTATIONS, Mutation

_ROOT = Path(__file__).parents[2]
_LAWS = 10


def test_every_law_is_broken() -> None:
    assert {mutation.law for mutation in MUTATIONS} == set(range(1, _LAWS + 1))


@pytest.mark.parametrize("mutation", [*MUTATIONS, *GUARDS], ids=lambda mutation: mutation.what)
def test_what_a_mutant_changes_is_still_there(mutation: Mutation) -> None:
    text = (_ROOT / "src" / "hetzner_k3s" / mutation.file).read_text()
    assert text.count(mutation.old) == 1


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_mutant_is_noticed() -> None:
    done = subprocess.run([sys.executable, _ROOT / "scripts" / "mutants"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
