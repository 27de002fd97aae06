"""Scenario 79: random faults while runs come, go and are killed; `scripts/soak` does the same with more seeds."""

from __future__ import annotations

import pytest
from tests.conftest import Tell

from . import soaking

SEEDS = 350


@pytest.mark.timeout(900)
def test_storms_end_with_a_whole_cluster_or_an_explained_refusal(tell: Tell) -> None:
    seen, broken = soaking.Seen(), []
    for passed in soaking.storms(0, SEEDS):
        seen.add(passed)
        broken += [f"{passed.name}: {passed.broken}"] if passed.broken else []
    tell(f"{SEEDS} storms: {'; '.join(seen.told())}")
    assert not broken, "\n".join(
        [f"{len(broken)} of {SEEDS} storms broke something; `scripts/soak --story SEED`", *broken]
    )
