"""Every situation, by topic and name; and that with the scenarios they show all that the product can do."""

from __future__ import annotations

import pytest

from . import seen, soaking
from .scenario import Scenario
from .situations import SITUATIONS


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.id)
def test_situation(situation: Scenario) -> None:
    passed = seen.played(situation)
    assert not passed.broken, passed.broken


def test_names_tell_situations_apart() -> None:
    names = [scenario.id for scenario in soaking.SCENARIOS]
    assert len(set(names)) == len(names)


def test_every_rule_step_and_refusal_is_seen_at_work() -> None:
    """Whoever adds one tells the situation in which it is met, and what its user does then (issue 5, "Done when" 3)."""
    together = soaking.Seen()
    for scenario in soaking.SCENARIOS:
        together.add(seen.played(scenario))
    never = together.never()
    assert not any(never.values()), f"seen by no scenario and no situation: {never}"
