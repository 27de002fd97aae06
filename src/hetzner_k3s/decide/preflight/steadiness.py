"""A k3s that systemd restarted a short while ago may end again: nothing is called well until it has stayed up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hetzner_k3s.decide.view.context import DecisionContext, Proposal
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import STEADY_AFTER, HostFacts, HostReading, UnitFacts
from hetzner_k3s.model.plan import Wait
from hetzner_k3s.model.state import ClusterState

_DEADLINE = 2 * STEADY_AFTER
"""Seconds given to it: one that is restarted meanwhile begins anew, one that always ends is told of."""


def await_steady(context: DecisionContext) -> Proposal | None:
    """Wait until every k3s that has joined has stayed up for a while since systemd restarted it.

    One that has not joined yet, or is not well, has its own rules.
    """
    joined = {master.name for master in context.control_plane.masters if master.serves}
    joined |= {node.name for node in context.nodes.values() if node.ready and not node.control_plane}
    waits = tuple(
        Wait(
            what=f"k3s on {name} to stay up for {STEADY_AFTER:.0f} s",
            because=_told(unit),
            deadline=_DEADLINE,
            idle=True,
        )
        for name, unit in _unsteady(context)
        if name in joined
    )
    return Proposal(waits=waits) if waits else None


def complaints(context: DecisionContext) -> tuple[str, ...]:
    """Name each k3s that was restarted a short while ago, for `status`."""
    return tuple(f"k3s on {name} was restarted lately: {_told(unit)}" for name, unit in _unsteady(context))


def _unsteady(context: DecisionContext) -> Iterator[tuple[str, UnitFacts]]:
    for wanted in context.spec.servers():
        server = context.server(wanted.name)
        facts = context.state.facts(server.id) if server is not None else None
        for unit in (facts.server_unit, facts.agent_unit) if facts is not None else ():
            if unit.unsteady:
                yield wanted.name, unit


def _told(unit: UnitFacts) -> str:
    times = f"{unit.restarts} time{'' if unit.restarts == 1 else 's'}"
    now = "it waits for the next start" if unit.running_for is None else f"it has run for {unit.running_for:.0f} s"
    return f"systemd has restarted it {times}, and {now}; `journalctl -u k3s -u k3s-agent` there says why"


def stayed_up(state: ClusterState) -> ClusterState:
    """Return what the world looks like when whatever is active has stayed so."""
    return replace(state, hosts={number: _steady(reading) for number, reading in state.hosts.items()})


def _steady(reading: HostReading) -> HostReading:
    facts = reading.value if isinstance(reading, Known) else None
    if facts is None or not (facts.server_unit.unsteady or facts.agent_unit.unsteady):
        return reading
    return Known(_with_units(facts))


def _with_units(facts: HostFacts) -> HostFacts:
    return replace(facts, server_unit=_kept(facts.server_unit), agent_unit=_kept(facts.agent_unit))


def _kept(unit: UnitFacts) -> UnitFacts:
    return replace(unit, active="active", sub="running", running_for=STEADY_AFTER) if unit.unsteady else unit
