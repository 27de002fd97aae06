"""Workers whose agent was stopped: started again where that is all that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.decide.oddities import pinning
from tests.decide.world import (
    CREATE,
    MASTER2,
    OTHER_CA,
    SPEC,
    WORKER1,
    WORKER2,
    a_spec,
    edit_facts,
    edit_node,
    forecast,
    healthy,
    lose,
    not_ready,
    plan,
    stopped_agent,
    verbs,
    waves,
    without_node,
)

from hetzner_k3s import decide
from hetzner_k3s.model.host import HostFacts, HostKeyKind, UnitFacts
from hetzner_k3s.model.plan import Plan
from hetzner_k3s.model.report import Health
from hetzner_k3s.model.state import ClusterState

Change = Callable[[HostFacts], HostFacts]


def codes(planned: Plan) -> list[str]:
    return [refusal.code for refusal in planned.refusals]


@pytest.mark.parametrize("active", ["inactive", "failed"])
def test_a_stopped_agent_is_started_and_nothing_else_is_done(active: str) -> None:
    state = edit_facts(
        stopped_agent(healthy(), WORKER1), WORKER1, lambda f: replace(f, agent_unit=UnitFacts(active=active))
    )
    assert waves(state) == [[f"StartWorker {WORKER1}"]]


def test_all_of_them_are_started_at_once() -> None:
    state = stopped_agent(stopped_agent(healthy(), WORKER1), WORKER2)
    assert waves(state) == [[f"StartWorker {WORKER1}", f"StartWorker {WORKER2}"]]


def test_before_the_api_shows_it_too() -> None:
    """A Node shows as Ready for 40 s without its agent."""
    state = edit_node(stopped_agent(healthy(), WORKER1), WORKER1, lambda n: replace(n, ready=True))
    assert verbs(plan(state).steps) == [f"StartWorker {WORKER1}"]


def test_no_master_waits_for_it() -> None:
    """Seen: one stopped agent held back the replacement of a lost master, until somebody had started it by hand."""
    state = lose(stopped_agent(healthy(), WORKER1), MASTER2)
    assert codes(plan(state)) == []
    shown = [step for wave in waves(state) for step in wave]
    assert {f"StartWorker {WORKER1}", f"JoinControlPlane {MASTER2}"} <= set(shown)


def _runs(facts: HostFacts) -> HostFacts:
    return replace(facts, agent_unit=UnitFacts(active="active"))


def _waits(facts: HostFacts) -> HostFacts:
    return replace(facts, agent_unit=UnitFacts(active="activating"))


def _knows_nobody(facts: HostFacts) -> HostFacts:
    return replace(facts, disk=replace(facts.disk, config_server="https://10.0.0.250:6443", agent_servers=()))


def _never_configured(facts: HostFacts) -> HostFacts:
    return replace(facts, disk=replace(facts.disk, config_present=False))


@pytest.mark.parametrize("change", [_runs, _waits, _knows_nobody, _never_configured])
def test_what_runs_or_would_wait_for_ever_is_left_to_its_owner(change: Change) -> None:
    state = edit_facts(stopped_agent(healthy(), WORKER1), WORKER1, change)
    assert codes(plan(state)) == ["worker.not-ready"]
    assert not plan(state).steps


def _of_another_cluster(facts: HostFacts) -> HostFacts:
    return replace(facts, disk=replace(facts.disk, agent_ca=OTHER_CA))


def _with_its_boot_key(facts: HostFacts) -> HostFacts:
    return replace(facts, key=HostKeyKind.BOOT)


@pytest.mark.parametrize("change", [_of_another_cluster, _with_its_boot_key])
def test_a_host_that_may_be_anothers_is_not_started(change: Change) -> None:
    state = edit_facts(stopped_agent(healthy(), WORKER1), WORKER1, change)
    assert "StartWorker" not in {step.key.verb for step in plan(state).steps}
    assert codes(plan(state))


def test_a_worker_whose_node_is_gone_joins_instead() -> None:
    state = without_node(stopped_agent(healthy(), WORKER1), WORKER1)
    assert "StartWorker" not in {step.key.verb for step in plan(state).steps}


def test_a_node_of_another_machine_is_no_proof_that_it_had_joined() -> None:
    state = edit_node(stopped_agent(healthy(), WORKER1), WORKER1, lambda n: replace(n, server_id=4711))
    assert "StartWorker" not in {step.key.verb for step in plan(state).steps}


def test_after_a_rotation_its_token_is_written_first() -> None:
    state: ClusterState = pinning(stopped_agent(healthy(), WORKER1), WORKER1, OTHER_CA)
    assert waves(state) == [[f"PinCa {WORKER1}"], [f"StartWorker {WORKER1}"]]


def test_one_beyond_the_file_is_not_started() -> None:
    state = stopped_agent(healthy(), WORKER2)
    assert "StartWorker" not in {step.key.verb for step in plan(state, a_spec(3, 1)).steps}


def test_status_tells_of_it() -> None:
    state = stopped_agent(healthy(), WORKER1)
    told = decide.report(SPEC, state, CREATE, forecast(state))
    assert told.health is Health.DEGRADED
    assert any(WORKER1 in why for why in told.because), told.because


def test_a_silent_node_of_an_agent_that_runs_stays_a_riddle() -> None:
    assert codes(plan(not_ready(healthy(), WORKER1))) == ["worker.not-ready"]
