"""Whether it is recorded that a server joined: on its labels, in the birth record, on its Node."""

from __future__ import annotations

from enum import Enum

from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.identity import BirthRecord
from hetzner_k3s.model.kube import KubeNode


class Membership(Enum):
    """What the records say of a server; whether it serves, its host says (`K3s`).

    NONE: nothing says that it joined. INCOMPLETE: something does, and not all that a member has is written yet.
    RECORDED: what tells a member says that it is one.
    """

    NONE = "none"
    INCOMPLETE = "incomplete"
    RECORDED = "recorded"

    @property
    def joined(self) -> bool:
        """Check whether anything says that this very server joined, or was chosen as the seed."""
        return self is not Membership.NONE


def labelled_member(server: Server) -> bool:
    """Check whether we recorded that this server's master had joined."""
    return server.labels.get(naming.LABEL_STATE) == naming.STATE_MEMBER


def membership_of_master(server: Server, record: BirthRecord, node: KubeNode | None, *, api_read: bool) -> Membership:
    """Return what label, birth record and Node say of a master; a Node counts that carries this very server's id."""
    if labelled_member(server) and (not api_read or _carries_its_id(node, server)):
        return Membership.RECORDED
    known = labelled_member(server) or record.seed == server.id or _stands_for(node, server)
    return Membership.INCOMPLETE if known else Membership.NONE


def membership_of_worker(server: Server, node: KubeNode | None) -> Membership:
    """Return what its Node says of a worker: nothing else records one."""
    if _carries_its_id(node, server):
        return Membership.RECORDED
    return Membership.INCOMPLETE if _stands_for(node, server) else Membership.NONE


def _carries_its_id(node: KubeNode | None, server: Server) -> bool:
    """Check whether we wrote a server's id on its Node; of an adopted one the cloud controller had told it before."""
    if node is not None and node.server_id is None and naming.LABEL_ADOPTED in server.labels:
        return node.machine == server.id
    return node is not None and node.server_id == server.id


def _stands_for(node: KubeNode | None, server: Server) -> bool:
    """Check whether a Node is this server's by our annotation or, without one, by what the cloud controller wrote."""
    return node is not None and node.machine == server.id
