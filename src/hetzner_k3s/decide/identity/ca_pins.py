"""Workers' tokens after the cluster's CA was rotated (docs/facts/k3s.md#ca-rotation).

A token pins the CA, and an agent reads it at its start only: with the pin of before it then waits for ever. So the pin
is written anew before that start, without a restart and without the password leaving the host.
"""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.decide.view import predictions
from hetzner_k3s.decide.view.context import DecisionContext, Proposal, ServingContext
from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.host import HostFacts, UnitFacts
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import PinCa, Step


def renew_pins(context: ServingContext) -> Proposal | None:
    """Plan the new pin on every worker of the cluster whose token holds the one of before."""
    ca, servers = context.gateway.facts.disk.server_ca, lookup.owned_servers(context.spec.name, context.view)
    if ca is None:
        return None
    seen = [(server, facts) for server in servers if (facts := context.state.facts(server.id))]
    due = [(server, facts) for server, facts in seen if is_due(context, server, facts)]
    steps = tuple(_planned(server, facts, ca, waits(context, server, facts)) for server, facts in due)
    return Proposal(steps) if steps else None


def is_due(context: ServingContext, server: Server, facts: HostFacts) -> bool:
    """Check whether a worker of this cluster holds a token that pins another CA than the cluster's of now."""
    master, node = context.gateway.facts.disk, context.node(server.name)
    if node is None or node.machine != server.id or facts.server_unit.installed:
        return False
    pinned = facts.disk.config_token_ca
    return pinned not in {None, master.server_ca} and facts.disk.trusts(master)


def waits(context: DecisionContext, server: Server, facts: HostFacts) -> bool:
    """Check whether an agent is not up: after a rotation it waits for a token that pins the new CA.

    One whose Node is Ready waits for something else, a cloud controller say, and works meanwhile.
    """
    node = context.node(server.name)
    return facts.agent_unit.active == "activating" and node is not None and not node.ready


def _planned(server: Server, facts: HostFacts, ca: str, restart: bool) -> PlannedStep:
    step = PinCa(
        target=server.name, server_id=server.id, before=facts.disk.config_token_ca or "", ca=ca, restart=restart
    )
    return PlannedStep(step=step, scope=Scope.WORKER, reason=Reason.DIFFERS, because=_WAITS if restart else _WOULD_WAIT)


_WAITS = "the CA was rotated, and its agent waits for a token that pins the new one"
_WOULD_WAIT = "the CA was rotated, and with the token in its configuration its agent would not start again"


def predict(_spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like after a worker's token pins the new CA."""
    if not isinstance(step, PinCa):
        return state

    def pinned(facts: HostFacts) -> HostFacts:
        unit = UnitFacts(active="active") if step.restart else facts.agent_unit
        return replace(facts, disk=replace(facts.disk, config_token_ca=step.ca), agent_unit=unit)

    written = predictions.with_facts(state, step.server_id, pinned)
    if not step.restart:
        return written
    return predictions.map_kube(written, lambda kube: predictions.with_ready_node(kube, step.target))
