"""What scenarios and situations have seen of the product in this process: each is played once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .scenario import Scenario

if TYPE_CHECKING:
    from .soaking import Passed

_PASSED: dict[str, Passed] = {}


def played(scenario: Scenario) -> Passed:
    """Play a scenario or a situation, or give what it led to when it was played before."""
    from . import soaking  # which needs to know all scenarios that there are

    if scenario.id not in _PASSED:
        _PASSED[scenario.id] = soaking.play(soaking.SCENARIOS.index(scenario))
    return _PASSED[scenario.id]
