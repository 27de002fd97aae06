"""Scenario 79: random faults while runs come, go and are killed; `scripts/soak` does the same with more seeds."""

from __future__ import annotations

import pytest

from hetzner_k3s.lab.simulated.virtual_time import run

from .storms import storm

_SEEDS = 30
_CHUNKS = 3


@pytest.mark.parametrize("chunk", range(_CHUNKS))
def test_storms_end_with_a_whole_cluster_or_an_explained_refusal(chunk: int) -> None:
    for seed in range(chunk, _SEEDS, _CHUNKS):
        passed = run(storm(seed))
        assert not passed.broken, passed.story()
