"""What may start beside what is under way.

See docs/architecture.md#law-5: in-flight steps are counted.

A probe can already show the traces of a step that has not ended, and the next one would trip over it.
"""

from __future__ import annotations

from collections.abc import Iterable

from hetzner_k3s.model.plan import PlannedStep, StepKey
from hetzner_k3s.model.steps.traits import TRAITS


def startable(steps: Iterable[PlannedStep], in_flight: frozenset[StepKey]) -> tuple[PlannedStep, ...]:
    """Return the steps that may start now; those under way are not named again."""
    return tuple(planned for planned in steps if _may_start(planned.key, in_flight))


def _may_start(key: StepKey, in_flight: frozenset[StepKey]) -> bool:
    return key not in in_flight and not any(_collide(key, other) for other in in_flight)


def _collide(key: StepKey, other: StepKey) -> bool:
    mine, theirs = TRAITS[key.kind], TRAITS[other.kind]
    if key.target == other.target and (mine.occupies & theirs.occupies or (mine.joins and theirs.clears)):
        return True
    return mine.disruptive and theirs.disruptive and not (key.kind is other.kind and mine.alike)
