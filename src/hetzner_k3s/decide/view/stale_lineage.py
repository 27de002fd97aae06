"""Who belongs to the cluster and who to its past (docs/architecture.md#law-4).

After a quorum reset an old member that comes back has the same CA, UID and etcd cluster id; with enough of its kind it
lives again as the cluster it was (docs/facts/k3s.md#lineage). Only the lineage tells.
"""

from __future__ import annotations

from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.host import HostFacts
from hetzner_k3s.model.hosts.contact import InternalIps
from hetzner_k3s.model.identity import BirthRecord


def began_anew(facts: HostFacts, record: BirthRecord) -> bool:
    """Check whether this host was reset or restored out of the recorded lineage, which the record does not know yet."""
    return facts.lineage not in {None, record.lineage} and facts.parent_lineage == record.lineage


def belongs(facts: HostFacts, server: Server, record: BirthRecord) -> bool:
    """Check whether what a master holds is of the recorded lineage, or of one that was just made out of it.

    The host's own note counts more than the label of its server. Without either, or where no lineage is recorded, it is
    of the only one there is.
    """
    if record.lineage is None:
        return True
    if facts.lineage is not None:
        return facts.lineage == record.lineage or began_anew(facts, record)
    return lineage_of(facts, server) in {None, record.lineage}


def has_joined(facts: HostFacts, server: Server, gateway: HostFacts | None, internal_ips: InternalIps) -> bool:
    """Check whether a master that noted no lineage itself is in the gateway's member list, by its address.

    A reset leaves one member in that list, and only who joins is added: whatever its server's label says, its data is
    of the gateway's lineage.
    """
    address, members = internal_ips.of(server), (gateway.etcd.members if gateway is not None else None) or ()
    return facts.lineage is None and any(member.address == address for member in members)


def lineage_of(facts: HostFacts, server: Server) -> str | None:
    """Return the lineage that a master says it is of."""
    return facts.lineage or server.labels.get(naming.LABEL_LINEAGE)
