"""What is no longer as the file, or the rest of the cluster, would have it; told, and nothing is done about it here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from hetzner_k3s.decide.identity import ca_pins
from hetzner_k3s.decide.preflight import alarms, clocks
from hetzner_k3s.decide.repair import stale_nodes
from hetzner_k3s.decide.view.context import DecisionContext, ServingContext
from hetzner_k3s.decide.view.master_addresses import host_of, is_an_address, living_masters
from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.host import HostFacts
from hetzner_k3s.model.report import Drift

PROVIDER_ID: Final = "provider-id"


def tokens(context: DecisionContext) -> Iterator[Drift]:
    """Name the servers that would not start again: the token in their configuration is unknown to the datastore."""
    gateway = context.control_plane.gateway
    keys = gateway.facts.bootstrap_keys if gateway else ()
    agents = (gateway.facts.disk.agent_token_hash,) if gateway else ()
    for server, facts in told(context):
        given = facts.disk.config_token_hash
        known = agents if facts.disk.config_token_agent and keys else keys
        if known and given is not None and given not in known:
            saw = f"its config.yaml holds a token (hash {given}) that the datastore does not know"
            yield Drift(code="token", subject=server.name, saw=saw)


def pins(context: DecisionContext) -> Iterator[Drift]:
    """Name the workers that would not start again: their token pins another CA than the cluster's."""
    for server, facts in told(context):
        if isinstance(context, ServingContext) and ca_pins.is_due(context, server, facts):
            saw = f"its token pins the CA {(facts.disk.config_token_ca or '')[:8]}, from before a rotation"
            yield Drift(code="token", subject=server.name, saw=saw)


def server_lines(context: DecisionContext) -> Iterator[Drift]:
    """Name the servers whose configuration points to a master that is no more."""
    living = living_masters(context)
    for server, facts in told(context):
        url = facts.disk.config_server
        if url and is_an_address(url) and host_of(url) not in living:
            saw = f"its config.yaml says `server: {url}`, and no master has that address"
            yield Drift(code="server-line", subject=server.name, saw=saw)


def provider_ids(context: DecisionContext) -> Iterator[Drift]:
    """Name the Nodes that go on under the provider id of another server, as earlier releases restored them."""
    for server in lookup.owned_servers(context.spec.name, context.view):
        node = context.node(server.name)
        if node is not None and node.server_id == server.id and node.provided not in {None, server.id}:
            saw = (
                f"its Node has the provider id of server {node.provided}, as a restore by an earlier release left it: "
                "should it be NotReady for long, the cloud controller would delete that Node"
            )
            yield Drift(code=PROVIDER_ID, subject=server.name, saw=saw)


def false_claims(context: DecisionContext) -> Iterator[Drift]:
    """Name the Nodes that claim to be of a server which they cannot be of."""
    return _of_the_cluster(context, "node-claim", stale_nodes.false_claim_notes(context))


def wrong_clocks(context: DecisionContext) -> Iterator[Drift]:
    """Name the clocks that went wrong."""
    return _of_the_cluster(context, "clock", clocks.clock_notes(context))


def raised_alarms(context: DecisionContext) -> Iterator[Drift]:
    """Name etcd's alarms."""
    return _of_the_cluster(context, "alarm", alarms.alarm_notes(context))


def _of_the_cluster(context: DecisionContext, code: str, sentences: tuple[str, ...]) -> Iterator[Drift]:
    return (Drift(code=code, subject=context.spec.name, saw=sentence) for sentence in sentences)


DRIFTS: tuple[Callable[[DecisionContext], Iterator[Drift]], ...] = (
    tokens,
    pins,
    server_lines,
    provider_ids,
    wrong_clocks,
    raised_alarms,
    false_claims,
)
"""Every kind of drift that `status` tells, in this order."""


def drifted(context: DecisionContext) -> tuple[Drift, ...]:
    """Return everything that drifted."""
    return tuple(drift for kind in DRIFTS for drift in kind(context))


def told(context: DecisionContext) -> Iterator[tuple[Server, HostFacts]]:
    """Return the cluster's servers whose hosts answered, with what they told."""
    for server in lookup.owned_servers(context.spec.name, context.view):
        facts = context.state.facts(server.id)
        if facts is not None:
            yield server, facts
