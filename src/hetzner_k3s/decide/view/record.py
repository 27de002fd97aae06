"""The birth record that decisions are made on: what the labels say, with a CA that its owner accepted after a rotation.

A CA hash that is not the recorded one is another cluster's, unless all else says that it is the same one: a majority of
the members answers for it, with the recorded kube-system UID, and the cluster names the recorded lineage. Even then
only the owner knows that its CA was rotated: the consent `AcceptCa` says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hetzner_k3s.decide.view import quorum
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.consents import AcceptCa
from hetzner_k3s.model.host import HostFacts
from hetzner_k3s.model.identity import BirthRecord, RecordConflict, merge_records, read_record
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState


@dataclass(frozen=True, slots=True)
class Reading:
    """The record, and what it said before the CA that was accepted; `obstacle` is why it could not be accepted."""

    record: BirthRecord | RecordConflict
    former_ca: str | None = None
    obstacle: str | None = None


def recorded(spec: ClusterSpec, state: ClusterState, accepted: AcceptCa | None) -> Reading:
    """Read the record; `accepted` is the CA that its owner says is the cluster's now."""
    record = lookup.birth_record(spec, state.view)
    if accepted is None:
        return Reading(record)
    without_ca, told = _without_ca(spec, state)
    former = sorted(ca for ca in told if not accepted.vouches_for(ca))
    if isinstance(without_ca, RecordConflict) or len(told) - len(former) > 1 or len(former) > 1:
        return Reading(record, obstacle="the labels contradict each other in more than that")
    if not former:
        return Reading(record, obstacle=None if told else "no CA is recorded yet")
    begun = next((ca for ca in told if accepted.vouches_for(ca)), None)
    if begun is not None and without_ca.lineage is not None and _nobody_contradicts(spec, state, begun):
        return Reading(replace(without_ca, ca=begun), former_ca=former[0])
    served, why = _served_ca(spec, state, without_ca, accepted)
    if served is None:
        return Reading(record, obstacle=why)
    return Reading(replace(without_ca, ca=served[: naming.CA_LABEL_DIGITS]), former_ca=former[0])


def _without_ca(spec: ClusterSpec, state: ClusterState) -> tuple[BirthRecord | RecordConflict, set[str]]:
    """Merge all that the labels say but the CA, and give its values apart: a killed run leaves two."""
    carriers = (*lookup.shared_carriers(spec, state.view), *lookup.owned_masters(spec.name, state.view))
    records = [read_record(carrier.labels) for carrier in carriers]
    return merge_records(tuple(replace(r, ca=None) for r in records)), {r.ca for r in records if r.ca}


def _nobody_contradicts(spec: ClusterSpec, state: ClusterState, begun: str) -> bool:
    """Check whether every master could be looked at, none votes, and none holds another CA than the one begun.

    The run that began to write it had asked a majority before; all masters can have been lost since, and the record
    must not contradict itself when their data is brought back. One that is silent may vote and know better.
    """
    told = [state.facts(server.id) for server in lookup.owned_masters(spec.name, state.view)]
    if any(facts is None or facts.serves for facts in told):
        return False
    return all((facts.disk.server_ca or begun).startswith(begun) for facts in told if facts is not None)


def _served_ca(
    spec: ClusterSpec, state: ClusterState, record: BirthRecord, accepted: AcceptCa
) -> tuple[str | None, str | None]:
    """Return the CA that the cluster serves if it is the accepted one and all else is as recorded, or what is not."""
    masters = lookup.owned_masters(spec.name, state.view)
    answering = [
        facts for s in masters if (facts := state.facts(s.id)) is not None and facts.disk.server_ca is not None
    ]
    voters = [facts for facts in answering if facts.serves]
    served = {facts.disk.server_ca for facts in voters}
    strangers = [f for f in answering if not any(f.disk.shares_ca(voter.disk) for voter in voters)]
    if len(served) != 1 or strangers or not _majority(voters):
        return None, "no majority of the masters answers with one and the same CA"
    (ca,) = served
    if ca is None or not accepted.vouches_for(ca):
        return None, f"the masters answer with CA {(ca or '')[:8]}"
    if {facts.uid for facts in voters} != {record.uid}:
        return None, "the kube-system UID of what answers is not the recorded one"
    views = [view for s in masters if (view := state.kube_of(s.id)) is not None]
    if not views or record.lineage is None or views[0].lineage != record.lineage:
        return None, "the cluster does not name the recorded lineage"
    return ca, None


def _majority(voters: list[HostFacts]) -> bool:
    if any(facts.on_database for facts in voters):
        return True  # they serve one database: what one of them says of it, it says for all
    members = voters[0].etcd.members if voters else None
    listed = {member.id for member in quorum.voters(members or ())}
    alive = {facts.etcd.member_id for facts in voters} & listed
    return bool(listed) and len(alive) >= quorum.majority(len(listed))
