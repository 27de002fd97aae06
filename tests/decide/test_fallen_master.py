"""A master that did not come back from a restart of a rollout is started with what the file says by now."""

from __future__ import annotations

from dataclasses import replace

from tests.decide.world import (
    FIRST_MASTER,
    MASTER1,
    ROLLOUT,
    configured_otherwise,
    edit_facts,
    healthy,
    member_id_of,
    plan,
    unmarked,
)

from hetzner_k3s.model.host import EtcdFacts, UnitFacts
from hetzner_k3s.model.steps import ReconfigureMaster


def test_what_etcd_has_to_agree_with_is_said_though_its_own_is_silent_now() -> None:
    """Seen on a host: silent at the look, well for a second when the step came to it, and refused for its members."""
    starting = UnitFacts(active="activating", main_pid=7)
    state = configured_otherwise(unmarked(healthy(), MASTER1), MASTER1)
    state = edit_facts(state, MASTER1, lambda facts: replace(facts, server_unit=starting, etcd=EtcdFacts()))
    steps = [planned.step for planned in plan(state, intent=ROLLOUT).steps]
    (step,) = (step for step in steps if isinstance(step, ReconfigureMaster))
    assert step.target == MASTER1
    assert set(step.members) == {member_id_of(FIRST_MASTER + index) for index in range(3)}
