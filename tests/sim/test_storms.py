"""Scenario 79: random faults while runs come, go and are killed; `scripts/soak` does the same with more seeds."""

from __future__ import annotations

import os

import pytest
from tests.conftest import Tell

from hetzner_k3s.lab.simulated.virtual_time import run

from . import soaking
from .killing import ALL
from .storms import storm

SEEDS = 200 if os.environ.get(ALL) else 100
SPOILED_SEEDS = 5


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


def test_storms_in_which_answers_are_spoiled_end_like_others() -> None:
    """Gateways answer in the place of both APIs or after them, and answers are cut short or do not come."""
    storms = [run(storm(seed, spoiled=0.1)) for seed in range(SPOILED_SEEDS)]
    broken = [told.story() for told in storms if told.broken]
    assert not broken, "\n".join(broken)
