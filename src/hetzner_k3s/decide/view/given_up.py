"""What is known of a cluster that its user gives up with `NewClusterOver`: its digits, and what is left of it."""

from __future__ import annotations

from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.consents import NewClusterOver
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import HostFacts
from hetzner_k3s.model.identity import BirthRecord
from hetzner_k3s.model.snapshots import StoredSnapshot

DIGITS = 8


def digits(record: BirthRecord) -> str:
    """Return the digits by which the cluster that is given up is named: of its CA hash, else of its UID."""
    return (record.ca or record.uid or "")[:DIGITS]


def _names(given: NewClusterOver | None, value: str | None) -> bool:
    return given is not None and len(given.named) == DIGITS and (value or "").startswith(given.named)


def consented(context: DecisionContext) -> bool:
    """Check whether the user gave up the cluster that is recorded here."""
    given, record = context.consents.get(NewClusterOver), context.control_plane.record
    return _names(given, record.ca) or _names(given, record.uid)


def gives_up(context: DecisionContext, ca: str | None) -> bool:
    """Check whether what has this CA hash is of the cluster that was given up, and not of the recorded one."""
    given = context.consents.get(NewClusterOver)
    return _names(given, ca) and not _names(given, context.control_plane.record.ca)


def in_effect(context: DecisionContext) -> bool:
    """Check whether the record is gone, and something on this machine or a worker says that it was given up."""
    local = context.state.local
    known = (*local.given_up, local.kubeconfig_ca, *(facts.disk.agent_ca for _, facts in workers(context)))
    return any(gives_up(context, ca) for ca in known)


def gives_up_snapshot(context: DecisionContext, snapshot: StoredSnapshot) -> bool:
    """Check whether a snapshot is of the cluster that the user gave up, by its kube-system UID."""
    return _names(context.consents.get(NewClusterOver), snapshot.cluster_uid)


def known_by_snapshots(context: DecisionContext) -> bool:
    """Check whether S3 holds snapshots of the cluster that was given up, and the recorded one is another."""
    if consented(context) or not isinstance(context.state.snapshots, Known):
        return False
    return any(gives_up_snapshot(context, snapshot) for snapshot in context.state.snapshots.value)


def left_over(context: DecisionContext, facts: HostFacts | None) -> bool:
    """Check whether a host is a worker of the cluster that was given up."""
    return facts is not None and facts.disk.server_ca is None and gives_up(context, facts.disk.agent_ca)


def workers(context: DecisionContext) -> list[tuple[Server, HostFacts]]:
    """Return the workers that are labelled as this cluster's, with what their hosts told."""
    servers = lookup.owned_servers(context.spec.name, context.view)
    seen = [(s, context.state.facts(s.id)) for s in servers if s.labels.get(naming.LABEL_ROLE) == naming.ROLE_WORKER]
    return [(server, facts) for server, facts in seen if facts is not None]


def workers_to_rebuild(context: DecisionContext) -> str:
    """Name the workers that hold the old cluster's certificates: a new cluster does not take them as they are."""
    names = sorted(server.name for server, facts in workers(context) if facts.disk.agent_ca is not None)
    return f" Its workers would have to be deleted or rebuilt: {', '.join(names)}." if names else ""
