"""A k3s that systemd restarted a short while ago is waited for and told of: it is active between two ends, too."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.world import (
    CREATE,
    MASTER1,
    MASTER2,
    SPEC,
    WORKER1,
    edit_facts,
    forecast,
    healthy,
    plan,
)

from hetzner_k3s import decide
from hetzner_k3s.model.host import STEADY_AFTER, HostFacts, UnitFacts
from hetzner_k3s.model.report import Health, Report
from hetzner_k3s.model.state import ClusterState


def restarted(state: ClusterState, name: str, restarts: int, running_for: float | None) -> ClusterState:
    """Let systemd have restarted the k3s of a server so often, the last time so many seconds ago."""

    def change(facts: HostFacts) -> HostFacts:
        unit = UnitFacts(active="active", sub="running", restarts=restarts, running_for=running_for)
        return replace(facts, agent_unit=unit) if facts.agent_unit.installed else replace(facts, server_unit=unit)

    return edit_facts(state, name, change)


def told(state: ClusterState) -> Report:
    return decide.report(SPEC, state, CREATE, forecast(state))


@pytest.mark.parametrize("name", [MASTER1, MASTER2, WORKER1])
def test_one_that_was_restarted_a_short_while_ago_is_waited_for(name: str) -> None:
    state = restarted(healthy(), name, 3, 2.0)
    planned = plan(state)
    assert not planned.settled
    (wait,) = planned.waits
    assert name in wait.what
    assert "3 times, and it has run for 2 s" in wait.because
    assert wait.deadline > STEADY_AFTER
    ahead = forecast(state)
    assert not ahead.waves
    assert ahead.waits == (wait,)
    report = told(state)
    assert report.health is Health.DEGRADED
    assert any(name in why and "restarted lately" in why for why in report.because)


@pytest.mark.parametrize(
    ("restarts", "running_for"),
    [(0, 2.0), (1, STEADY_AFTER), (40, 86_400.0), (2, None)],
    ids=["fresh", "long enough", "many, long ago", "an age that nobody told"],
)
def test_a_counter_alone_proves_nothing(restarts: int, running_for: float | None) -> None:
    state = restarted(healthy(), MASTER2, restarts, running_for)
    assert plan(state).settled
    assert told(state).health is Health.HEALTHY


def test_one_that_waits_for_its_next_start_is_named() -> None:
    def between_starts(facts: HostFacts) -> HostFacts:
        return replace(facts, agent_unit=UnitFacts(active="activating", sub="auto-restart", restarts=1))

    state = edit_facts(healthy(), WORKER1, between_starts)
    assert any("1 time, and it waits for the next start" in wait.because for wait in plan(state).waits)
