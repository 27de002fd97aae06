"""What no step of a reset or a fence may do, told from raw facts: part of the second proposal of `safety`."""

from __future__ import annotations

from collections.abc import Iterator

from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.consents import Keep, ResetQuorumFrom
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import HostFacts, LogPosition
from hetzner_k3s.model.identity import BirthRecord, Phase
from hetzner_k3s.model.plan import PlannedStep
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import AdoptLineage, FenceMember, FetchDatabase, HoldMaster, ResetQuorum


def is_unasked(planned: PlannedStep) -> bool:
    """Tell whether a step stops a master, moves its data or resets a quorum without a consent that permits it."""
    if isinstance(planned.step, ResetQuorum):
        return planned.consent != ResetQuorumFrom(planned.step.target)
    permitted = isinstance(planned.consent, ResetQuorumFrom | Keep)
    return isinstance(planned.step, HoldMaster | FetchDatabase | FenceMember) and not permitted


def _answering(spec: ClusterSpec, state: ClusterState) -> dict[int, HostFacts]:
    found = {s.id: state.facts(s.id) for s in lookup.owned_masters(spec.name, state.view)}
    return {number: facts for number, facts in found.items() if facts is not None}


def holding(spec: ClusterSpec, state: ClusterState, step: HoldMaster) -> Iterator[str]:
    """Demand that a master which is stopped is of no quorum, or of a side that another one lives beside."""
    facts = _answering(spec, state).get(step.server_id)
    if facts is None:
        yield "its host was not looked at"
        return
    if (
        facts.disk.server_ca != step.precondition.ca
        or (facts.etcd.leader if facts.etcd.healthy else None) != step.precondition.leader
    ):
        yield "its context is not what the host told"
    others = [f for number, f in _answering(spec, state).items() if number != step.server_id and f.voter]
    if facts.voter and not any(_is_other_cluster(f, facts) for f in others):
        yield "it is a voter of the only cluster that lives"


def _is_other_cluster(one: HostFacts, two: HostFacts) -> bool:
    same = (one.disk.server_ca, one.etcd.uid) == (two.disk.server_ca, two.etcd.uid)
    return not same or two.etcd.member_id not in {m.id for m in one.etcd.members or ()}


def fencing(spec: ClusterSpec, state: ClusterState, step: FenceMember) -> Iterator[str]:
    """Demand that data is moved aside only of a held host, and only while other data of the cluster is left."""
    facts = _answering(spec, state).get(step.server_id)
    if facts is None or not facts.held or facts.server_unit.active not in {"inactive", "failed"}:
        yield "its k3s was not seen stopped and masked"
    left = [f for number, f in _answering(spec, state).items() if number != step.server_id and f.disk.wal]
    if not left:
        yield "no other host has data"
    logs = [f.log for f in left if f.log is not None]
    lives = any(f.voter for f in left)
    if facts is not None and not lives and (facts.log is None or facts.log > max(logs, default=LogPosition(-1, 0))):
        yield "no log that is left goes as far"


def reset(spec: ClusterSpec, state: ClusterState, step: ResetQuorum) -> Iterator[str]:
    """Demand that whoever is made the only member is the only one left with data, and was copied off."""
    record = lookup.birth_record(spec, state.view)
    answering = _answering(spec, state)
    facts = answering.get(step.server_id)
    if facts is None or not facts.held or not facts.disk.wal or facts.disk.server_ca != step.ca:
        yield "its data was not seen, stopped and masked"
        return
    if (
        not isinstance(record, BirthRecord)
        or record.phase is not Phase.BORN
        or not step.ca.startswith(record.ca or "-")
    ):
        yield "it is not of the recorded cluster"
    if not isinstance(state.cloud, Known):
        yield "the listing is incomplete"
    if not any(r.server_id == step.server_id and r.log == facts.log for r in state.local.rescues):
        yield "its data was not copied off"
    for server in lookup.owned_masters(spec.name, state.view):
        other = answering.get(server.id)
        if server.id != step.server_id and (other is None or other.disk.wal):
            yield f"{server.name} may still hold data"
    network = lookup.network_id(spec, state.view)
    for server in state.view.servers:
        if network in server.private_ips and server.labels.get(naming.LABEL_CLUSTER) != spec.name:
            yield f"{server.name} in the network is unknown"


def adoption(spec: ClusterSpec, state: ClusterState, step: AdoptLineage) -> Iterator[str]:
    """Demand that a lineage is taken from a voter of the recorded cluster whose parent is the one recorded."""
    record, facts = lookup.birth_record(spec, state.view), state.facts(step.via)
    if not isinstance(record, BirthRecord) or facts is None or not facts.voter or facts.etcd.uid != record.uid:
        yield "no voter of the recorded cluster said so"
        return
    if facts.lineage != step.record.lineage or facts.parent_lineage not in {record.lineage, record.parent}:
        yield "its host does not say that it was made out of the recorded one"
