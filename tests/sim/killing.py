"""Killing the tool at every moment of a story: before, after and within every single effect (scenario 29)."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from typing import Any

from hetzner_k3s.lab.simulated.virtual_time import run

ALL = "HETZNER_K3S_EVERY_MOMENT"
"""Set in the environment (`make test-all` does), every moment of every story is tried."""

Killed = Callable[[int | None], Coroutine[Any, Any, tuple[list[str], list[str]]]]
"""Tells a story with a run that is killed at a moment (None: at none) and one that finishes it; gives the moments that
the first one passed, and what is broken in the end."""


def killed_at_every_moment(story: Killed, seed: int, *, every: int = 1) -> None:
    """Demand that a story ends well whenever its first run is killed; `every` so-manieth moment is tried, and the last.

    Args:
        story: tells it.
        seed: of the story, for the message.
        every: more than 1 where trying all takes longer than ten seconds.
    """
    every = 1 if os.environ.get(ALL) else every
    moments, broken = run(story(None))
    assert not broken, broken
    tried = {*range(1, len(moments) + 1, every), len(moments)}
    for kill_at in sorted(tried):
        moment = moments[kill_at - 1]
        passed, broken = run(story(kill_at))
        assert passed[-1] == moment, "the same seed took another way"
        assert not broken, f"killed {moment} (moment {kill_at} of seed {seed}): {broken}"
