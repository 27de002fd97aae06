"""A cluster without a private network: who of it reaches whom through the internet, and where a file contradicts that.

Nodes are let in by their addresses, one by one: whoever is at another address reaches no port that is not for everybody
(docs/decisions/0014-without-a-private-network.md). So the rules follow the servers, and a lost one's address goes.
"""

from __future__ import annotations

from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import FirewallRule, Server
from hetzner_k3s.model.hetzner.access import NODES_LET_IN
from hetzner_k3s.model.naming import LABEL_ROLE, ROLE_MASTER
from hetzner_k3s.model.spec import ClusterSpec


def peers(context: DecisionContext) -> tuple[str, ...]:
    """Return the addresses (CIDR) that the firewall lets in: nodes, and the load balancer that looks for masters.

    Of a cluster that is too large for that the masters alone: etcd's ports are for nobody else, and the API of such a
    cluster is open to everybody (`config.checks.networking`).
    """
    spec, wanted = context.spec, {server.name for server in context.spec.servers()}
    ours = [s for s in context.view.servers if s.name in wanted or lookup.is_owned(spec.name, s.labels)]
    listed = ours if lets_workers_in(spec) else [s for s in ours if s.labels.get(LABEL_ROLE) == ROLE_MASTER]
    balancer = lookup.load_balancer(spec, context.view)
    addresses = (*(s.public_ipv4 for s in listed), balancer.public_ipv4 if balancer else None)
    return tuple(sorted({f"{address}/32" for address in addresses if address}))


def lets_workers_in(spec: ClusterSpec) -> bool:
    """Check whether a cluster has so few nodes that each is let in by its address."""
    return len(spec.servers()) <= NODES_LET_IN


def is_let_in(context: DecisionContext, server: Server) -> bool:
    """Check whether the other nodes' firewalls let a server in, so that it may join."""
    spec, firewall = context.spec, lookup.firewall(context.spec, context.view)
    is_master = server.labels.get(LABEL_ROLE) == ROLE_MASTER
    if spec.network.private or not (is_master or lets_workers_in(spec)):
        return True
    return firewall is not None and any(_names(rule, server) for rule in firewall.rules)


def _names(rule: FirewallRule, server: Server) -> bool:
    return rule.protocol == "tcp" and rule.port == "any" and f"{server.public_ipv4}/32" in rule.networks
