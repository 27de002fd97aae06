"""Former members: a host with the data of a member that no list knows any more, and the one way back for it.

k3s' leader gives a learner up that stalls for five minutes, and a member that was removed while it was away comes back
with its old data: both wait in `activating` for ever (docs/facts/k3s.md#lineage). Their data is put aside, then they
join anew.
"""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.decide.lifecycle.join import api_url
from hetzner_k3s.decide.view import quorum, stale_lineage
from hetzner_k3s.decide.view.context import DecisionContext, Proposal, ServingContext
from hetzner_k3s.decide.view.control_plane import MasterView
from hetzner_k3s.decide.view.predictions import with_facts, without_membership
from hetzner_k3s.decide.view.voters import healthy_ids, member_of
from hetzner_k3s.model.host import EtcdFacts, HostFacts
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import Step, WipeJoiner


def is_former(context: DecisionContext, master: MasterView) -> bool:
    """Check whether a master's host holds data of a member that the living cluster does not list."""
    facts, gateway = master.facts, context.control_plane.gateway
    if facts is None or gateway is None or master.server is None or not master.started_and_does_not_serve:
        return False
    address = context.control_plane.internal_ips.of(master.server)
    listed = member_of(context, master) is not None or any(m.address == address for m in context.control_plane.members)
    return facts.disk.wal and not facts.voter and facts.etcd.healthy is not True and not listed


def wipe_removed_member(context: ServingContext) -> Proposal | None:
    """Put the data of one former member aside where that is safe; no proposal when there is none."""
    for master in context.control_plane.masters:
        if may_be_wiped(context, master):
            return Proposal((_wiping(context, master),))
    return None


def may_be_wiped(context: DecisionContext, master: MasterView) -> bool:
    """Check whether a former member's data is of this cluster and cannot be the newest there is.

    With a majority of the masters that the file wants in the living list, no older list can have a quorum beside it;
    with fewer, what lives may be a reset cluster, and the host may hold what was lost in that reset.
    """
    enough = len(healthy_ids(context)) >= quorum.majority(len(context.spec.masters))
    return enough and is_of_this_cluster(context, master) and master.name not in context.joining


def is_of_this_cluster(context: DecisionContext, master: MasterView) -> bool:
    """Check whether a former member's data has the CA and the lineage of the cluster that lives."""
    facts, gateway = master.facts, context.control_plane.gateway
    if facts is None or master.server is None or gateway is None or not is_former(context, master):
        return False
    return facts.disk.shares_ca(gateway.facts.disk) and stale_lineage.belongs(
        facts, master.server, context.control_plane.record
    )


def _wiping(context: ServingContext, master: MasterView) -> PlannedStep:
    server = master.server
    if server is None:
        raise LookupError(f"{master.name} has no server")
    return PlannedStep(
        step=WipeJoiner(
            target=master.name,
            server_id=server.id,
            server_url=api_url(context, context.gateway.server),
            address=context.control_plane.internal_ips.of(server) or "",
        ),
        scope=Scope.CONTROL_PLANE,
        reason=Reason.UNFINISHED,
        because="its etcd was removed from the cluster, which lists no member of its name or address",
    )


def predict(spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like when a former member's data was put aside: it can join anew."""
    if not isinstance(step, WipeJoiner):
        return state
    return with_facts(without_membership(spec, state, step.server_id), step.server_id, _without_data)


def _without_data(facts: HostFacts) -> HostFacts:
    disk = replace(facts.disk, wal=False, tombstone=False, server_ca=None, token_hash=None)
    return replace(facts, server_unit=replace(facts.server_unit, active="inactive"), disk=disk, etcd=EtcdFacts())
