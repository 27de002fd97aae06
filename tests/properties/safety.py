"""What no plan may hold, told from raw facts: a second proposal, written without the rules it judges."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from tests.properties import addons_safety, database_safety, disaster_safety, restore_safety

from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.consents import NewClusterOver, Prune, Replace, Restore, Rollout, Surge, Upgrade
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import HostFacts, HostKeyKind
from hetzner_k3s.model.identity import BirthRecord, Phase
from hetzner_k3s.model.kube import Leaving
from hetzner_k3s.model.operations.looks import SecretKind
from hetzner_k3s.model.plan import Plan, PlannedStep, Reason, StepKey
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import (
    AdoptCluster,
    AdoptLineage,
    CordonNode,
    CreateServer,
    DeleteNode,
    DeleteServer,
    DrainNode,
    FenceMember,
    ForgetBirth,
    HoldMaster,
    InitControlPlane,
    JoinControlPlane,
    ReconfigureMaster,
    ReconfigureWorker,
    RecordBirth,
    RemoveMember,
    RenewToken,
    ResetQuorum,
    RestoreSnapshot,
    RetireMember,
    StageK3s,
    StartMaster,
    StartOnDatabase,
    StartRestored,
    StartWorker,
    UnmarkMember,
    UploadSnapshot,
    WipeJoiner,
)

DANGEROUS: Final = (
    RemoveMember,
    RetireMember,
    DeleteNode,
    DeleteServer,
    InitControlPlane,
    CreateServer,
    ForgetBirth,
    UploadSnapshot,
    RestoreSnapshot,
    HoldMaster,
    FenceMember,
    ResetQuorum,
    WipeJoiner,
)

_ALONE: Final = (
    RemoveMember,
    RetireMember,
    InitControlPlane,
    RecordBirth,
    ForgetBirth,
    UploadSnapshot,
    RestoreSnapshot,
    StartRestored,
    ResetQuorum,
    WipeJoiner,
    ReconfigureMaster,
)


def dangers(plan: Plan) -> frozenset[StepKey]:
    """Give the steps that destroy, that give birth or that buy."""
    births = (p for p in plan.steps if isinstance(p.step, RecordBirth) and p.step.target == "bootstrapping")
    return frozenset(p.key for p in (*(p for p in plan.steps if isinstance(p.step, DANGEROUS)), *births))


def violations(spec: ClusterSpec, state: ClusterState, plan: Plan) -> list[str]:
    """Say what is wrong with a plan, made on a state."""
    found = [f"{p.key}: {why}" for p in plan.steps for why in _of_step(spec, state, p)]
    unasked = (p for p in plan.steps if _is_unasked(spec, state, p) or disaster_safety.is_unasked(p))
    found += [f"{p.key}: it was not consented to" for p in unasked]
    found += addons_safety.violations(state, plan)
    disruptive = [p.key for p in plan.steps if isinstance(p.step, _ALONE)]
    return found + ([f"at once: {disruptive}"] if len(disruptive) > 1 else [])


def _is_unasked(spec: ClusterSpec, state: ClusterState, planned: PlannedStep) -> bool:
    """Tell whether a step lets go what is beyond the file without the flag."""
    step = planned.step
    nobody = isinstance(step, RemoveMember) and step.target.startswith("nobody at ")
    beyond = isinstance(step, RemoveMember) and step.target not in spec.master_names and not nobody
    way_out = isinstance(step, UnmarkMember | RetireMember | CordonNode | DrainNode)
    shrinks = planned.reason is Reason.SHRINK
    if isinstance(step, ReconfigureMaster | ReconfigureWorker | StageK3s) or (
        way_out and planned.reason is Reason.DIFFERS
    ):
        return not isinstance(planned.consent, Rollout | Upgrade)
    return (beyond or way_out or shrinks) and planned.consent != Prune() and not _is_surge(spec, state, planned)


def _is_surge(spec: ClusterSpec, state: ClusterState, planned: PlannedStep) -> bool:
    """Tell whether a step lets go what was ordered for the time of a rollout, and is beyond the file."""
    server = state.server(planned.step.target)
    ordered = server is not None and server.labels.get(naming.LABEL_SURGE) == naming.SURGE
    beyond = planned.step.target not in {s.name for s in spec.servers()}
    return isinstance(planned.consent, Surge) and ordered and beyond


def _of_step(spec: ClusterSpec, state: ClusterState, planned: PlannedStep) -> Iterator[str]:
    step = planned.step
    wanted = {s.name for s in spec.servers()}
    if isinstance(step, DeleteServer) and step.target in wanted and _record(spec, state).phase is Phase.BORN:
        if isinstance(planned.consent, Rollout):
            yield from _replaced(state, step)
            return
        if planned.consent != Replace(step.target):
            yield "the file wants it, and nobody consented"
        yield from _discarding(state, step)
        return
    yield from _names_strangers(spec, state, step)
    if _needs_consent(spec, state, step) and not isinstance(planned.consent, Restore | NewClusterOver):
        yield "it needs a consent"
    check = _CHECKS.get(type(step))
    if check is not None:
        yield from check(spec, state, step)


def _needs_consent(spec: ClusterSpec, state: ClusterState, step: object) -> bool:
    """Tell whether a step goes on although a born cluster has no voter."""
    record = _record(spec, state)
    born = record.phase is Phase.BORN and record.database is None
    return isinstance(step, ForgetBirth | UploadSnapshot | RestoreSnapshot) or (born and _bought_blindly(state, step))


def _bought_blindly(state: ClusterState, step: object) -> bool:
    serving = any(f.value.serves for f in state.hosts.values() if isinstance(f, Known))
    return isinstance(step, CreateServer) and not serving


def _forgetting(spec: ClusterSpec, state: ClusterState, step: ForgetBirth) -> Iterator[str]:
    yield from (why for why in restore_safety.all_lost(spec, state))
    if step.record != _record(spec, state):
        yield "it is not the record that is there"


def _names_strangers(spec: ClusterSpec, state: ClusterState, step: object) -> Iterator[str]:
    for field in ("server_id", "via"):
        number = getattr(step, field, None)
        server = next((s for s in state.view.servers if s.id == number), None)
        if number is not None and (server is None or server.labels.get(naming.LABEL_CLUSTER) != spec.name):
            yield f"{field} {number} is not a server of ours"


def _record(spec: ClusterSpec, state: ClusterState) -> BirthRecord:
    record = lookup.birth_record(spec, state.view)
    return record if isinstance(record, BirthRecord) else BirthRecord()


def _removal(spec: ClusterSpec, state: ClusterState, step: RemoveMember) -> Iterator[str]:
    seed = state.facts(step.via)
    members = (seed.etcd.members or ()) if seed else ()
    victim = next((m for m in members if m.id == step.member_id), None)
    hosts = [f.value for f in state.hosts.values() if isinstance(f, Known)]
    if victim is None or seed is None:
        yield "the member is not in the list of the host that is to remove it"
        return
    if any(f.etcd.member_id == victim.id or victim.id in f.etcd.active_peers for f in hosts):
        yield "the member lives"
    voting = [m for m in members if not m.learner]
    healthy = {f.etcd.member_id for f in hosts if f.voter}
    left = [m for m in voting if m.id != victim.id]
    alive = sum(m.id in healthy for m in left)
    if alive * 2 <= len(left) or alive * 2 <= len(voting):
        yield f"quorum: {alive} healthy of {len(voting)}, {len(left)} left"
    if set(step.precondition.ids) != {m.id for m in members} or step.precondition.uid != seed.etcd.uid:
        yield "its context is not what the host sees"
    if not any(victim.id in s.name and s.size for f in hosts for s in f.snapshots):
        yield "no snapshot was saved"
    if victim.learner and not victim.name:
        if any(victim.address in s.private_ips.values() for s in state.view.servers):
            yield "a server holds the address of the learner"
        return
    server = state.server(step.target)
    if server is None or not _told_that_its_member_is_gone(state, server):
        yield from _name_in_use(state, step.target)
    if step.target not in spec.master_names:
        return  # nobody is to take its place; that this was consented to is asked of every plan
    if server is None or state.facts(server.id) is None:
        yield "its successor was not seen ready"


def _retirement(spec: ClusterSpec, state: ClusterState, step: RetireMember) -> Iterator[str]:
    seed, leaver = state.facts(step.via), state.facts(step.server_id)
    members = (seed.etcd.members or ()) if seed else ()
    if seed is None or leaver is None or leaver.etcd.member_id != step.member_id:
        yield "the host that is to go did not say that this is its member"
        return
    if seed.etcd.member_id == step.member_id:
        yield "it removes itself"
    healthy = {f.value.etcd.member_id for f in state.hosts.values() if isinstance(f, Known) and f.value.voter}
    left = {m.id for m in members} - {step.member_id}
    if not left or not left <= healthy or any(m.learner for m in members):
        yield "not all who would be left are healthy voters"
    if set(step.precondition.ids) != {m.id for m in members} or step.precondition.uid != seed.etcd.uid:
        yield "its context is not what the host sees"
    if step.heir not in left:
        yield "its heir does not stay"
    server = state.server(step.target)
    if server is None or server.id != step.server_id or server.labels.get("hetzner-k3s/state") == "member":
        yield "the API load balancer still sends clients there"
    called = (f"pre-prune-{step.member_id}-", f"pre-rollout-{step.server_id}-")
    if not any(s.name.startswith(called) and s.size for f in _hosts(state) for s in f.snapshots):
        yield "no snapshot was saved"


def _hosts(state: ClusterState) -> list[HostFacts]:
    return [f.value for f in state.hosts.values() if isinstance(f, Known)]


def _server_deletion(spec: ClusterSpec, state: ClusterState, step: DeleteServer) -> Iterator[str]:
    """Ask that nothing of a server that goes is in use, where the cluster itself is not being deleted."""
    if _record(spec, state).phase is Phase.DELETING:
        return
    server = next(s for s in state.view.servers if s.id == step.server_id)
    if server.name in {s.name for s in spec.servers()}:
        yield "the file wants it"
    views = [v for k in state.kube if (v := state.kube_of(k)) is not None]
    if not views or views[0].node(server.name) is not None:
        yield "its Node is there, or the API was not read"
    if any(m.name.rpartition("-")[0] == server.name or _is_of(state, server, m.id) for m in _members(state)):
        yield "it has a member"
    master = server.labels.get(naming.LABEL_ROLE) == naming.ROLE_MASTER
    if master and state.facts(server.id) is None:
        yield "its host was not looked at"


def _told_that_its_member_is_gone(state: ClusterState, server: Server) -> bool:
    """Tell whether the server that the Node stands for said itself, by its final key, that no member lives on it."""
    views = [v for k in state.kube if (v := state.kube_of(k)) is not None]
    node = views[0].node(server.name) if views else None
    facts = state.facts(server.id)
    if facts is None or facts.key is not HostKeyKind.FINAL or not views:
        return False
    silent = facts.etcd.member_id is None and (facts.disk.tombstone or facts.etcd.healthy is None)
    return (node is None or node.machine == server.id) and silent and (not facts.disk.wal or facts.disk.tombstone)


def _discarding(state: ClusterState, step: DeleteServer) -> Iterator[str]:
    """Judge the deletion of a server by `create`: it needs a consent, a snapshot, and a quorum without it."""
    facts = [f.value for f in state.hosts.values() if isinstance(f, Known)]
    if any(f.on_database for f in facts):
        if not any(f.serves for k in state.hosts if k != step.server_id and (f := state.facts(k)) is not None):
            yield "no other master serves"
        return
    voters = [f for f in facts if f.voter]
    members = voters[0].etcd.members or () if voters else ()
    own = state.facts(step.server_id)
    ours = [m for m in members if m.name.rpartition("-")[0] == step.target or (own and m.id == own.etcd.member_id)]
    voting = [m for m in members if not m.learner]
    left = {f.etcd.member_id for f in voters} - {m.id for m in ours}
    if len(left & {m.id for m in voting}) * 2 <= len(voting):
        yield f"quorum: {len(left)} healthy of {len(voting)}"
    if any(not any(m.id in s.name and s.size for f in facts for s in f.snapshots) for m in ours):
        yield "no snapshot was saved"


def _wipe(spec: ClusterSpec, state: ClusterState, step: WipeJoiner) -> Iterator[str]:
    facts, server = state.facts(step.server_id), state.server(step.target)
    voters = [f.value for f in state.hosts.values() if isinstance(f, Known) and f.value.voter]
    listed = {m.name.rpartition("-")[0] for f in voters for m in f.etcd.members or ()}
    addresses = {m.address for f in voters for m in f.etcd.members or ()}
    if facts is None or facts.voter or facts.etcd.healthy or facts.key is not HostKeyKind.FINAL:
        yield "its host was not seen without a living etcd"
    elif not voters or facts.disk.server_ca != voters[0].disk.server_ca:
        yield "its data is not of the cluster that lives"
    if step.target in listed or (server and addresses & set(server.private_ips.values())):
        yield "it is a member"
    if len(voters) * 2 <= len(spec.masters):
        yield "what lives may have been reset"


def _start(spec: ClusterSpec, state: ClusterState, step: StartMaster) -> Iterator[str]:
    facts, record = state.facts(step.server_id), _record(spec, state)
    if facts is None or not (facts.disk.wal or facts.on_database) or facts.server_unit.runs:
        yield "it was not seen stopped, with its data"
    elif not (facts.disk.server_ca or "").startswith(record.ca or "-"):
        yield "its data is not of the recorded cluster"
    if record.phase is not Phase.BORN:
        yield "the cluster is not recorded as initialized"


def _agent_start(spec: ClusterSpec, state: ClusterState, step: StartWorker) -> Iterator[str]:
    facts, kube = state.facts(step.server_id), state.kube_of(step.via)
    node = kube.node(step.target) if kube is not None else None
    if facts is None or facts.agent_unit.runs or facts.key is not HostKeyKind.FINAL:
        yield "it was not seen stopped, by its own key"
    elif not (facts.disk.agent_ca or "").startswith(_record(spec, state).ca or "-"):
        yield "its agent is not of the recorded cluster"
    if node is None or node.server_id != step.server_id:
        yield "its Node may be of another machine"


def _node_deletion(spec: ClusterSpec, state: ClusterState, step: DeleteNode) -> Iterator[str]:
    if step.target in {s.name for s in spec.servers()} or state.server(step.target) is None:
        yield from _name_in_use(state, step.target)
    else:
        yield from _not_drained(state, step)
    server = state.server(step.target)
    live = [m.name for m in _members(state) if server is not None and _is_of(state, server, m.id)]
    if live:
        yield f"the master of that name votes: {live}"
    if step.release and any(m.node == step.target for m in _members(state)):
        yield "k3s' finalizer would not remove the member of that name, which is listed"


def _not_drained(state: ClusterState, step: DeleteNode) -> Iterator[str]:
    node = next((n for k in state.kube if (v := state.kube_of(k)) and (n := v.node(step.target))), None)
    server = state.server(step.target)
    if node is not None and server is not None and node.machine not in {None, server.id}:
        yield from _name_in_use(state, step.target)
        return
    worker = server is not None and server.labels.get(naming.LABEL_ROLE) == naming.ROLE_WORKER
    if node is not None and worker and node.leaving is not Leaving.DRAINED:
        yield "pods may run on it"


def _members(state: ClusterState) -> list[Any]:
    return [m for f in state.hosts.values() if isinstance(f, Known) for m in f.value.etcd.members or ()]


def _is_of(state: ClusterState, server: Server, member_id: str) -> bool:
    facts = state.facts(server.id)
    return facts is not None and facts.etcd.member_id == member_id


def _name_in_use(state: ClusterState, name: str) -> Iterator[str]:
    """Say why what has, or had, a name could still be the machine that is spoken of."""
    views = [v for k in state.kube if (v := state.kube_of(k)) is not None]
    if not views:
        yield "the API was not read"
        return
    node, server = views[0].node(name), state.server(name)
    machine = node.machine if node else None
    facts = state.facts(server.id) if server else None
    if machine is not None and (server is None or server.id != machine):
        if any(s.id == machine for s in state.view.servers) or state.lookups.get(machine) != Known(False):
            yield f"server {machine} is not proven gone"
    elif server is not None and (facts is None or not facts.disk.empty):
        yield "the server of its name was not seen empty"


def _birth(spec: ClusterSpec, state: ClusterState, step: InitControlPlane) -> Iterator[str]:
    record = _record(spec, state)
    if record.phase is not Phase.BOOTSTRAPPING or record.seed != step.server_id:
        yield "it is not the recorded seed"
    yield from _signs_of_a_cluster(spec, state, step.server_id)


def _begun(spec: ClusterSpec, state: ClusterState, step: RecordBirth) -> Iterator[str]:
    if step.target == "bootstrapping":
        yield from _signs_of_a_cluster(spec, state, None)
        before = _record(spec, state)
        if before.phase not in {None, Phase.BOOTSTRAPPING} or before.ca or before.uid:
            yield "a birth is recorded"
        if before.seed is not None and state.lookups.get(before.seed) != Known(False):
            yield "the recorded seed is not proven gone"


def _signs_of_a_cluster(spec: ClusterSpec, state: ClusterState, seed: int | None) -> Iterator[str]:
    if not isinstance(state.cloud, Known):
        yield "the listing is incomplete"
    if state.local.kubeconfig_ca is not None:
        yield "there is a kubeconfig"
    for server in state.view.servers:
        ours = server.labels.get(naming.LABEL_CLUSTER) == spec.name or server.name in {s.name for s in spec.servers()}
        in_network = lookup.network_id(spec, state.view) in server.private_ips
        facts = state.facts(server.id)
        if server.id != seed and (ours or in_network) and (facts is None or not facts.disk.empty):
            yield f"{server.name} was not seen empty"


def _purchase(spec: ClusterSpec, state: ClusterState, step: CreateServer) -> Iterator[str]:
    record = _record(spec, state)
    if not isinstance(state.cloud, Known):
        yield "the listing is incomplete"
    if record.phase is Phase.BORN and (spec.database.digits if spec.database else None) != record.database:
        yield "its data lies elsewhere"
    if record.phase is Phase.BORN and _bought_blindly(state, step):
        on_database = record.database is not None
        yield from (database_safety.may_serve if on_database else restore_safety.all_lost)(spec, state)
    if record.phase is Phase.DELETING:
        yield "the cluster is being deleted"


def _join(spec: ClusterSpec, state: ClusterState, step: JoinControlPlane) -> Iterator[str]:
    record, seed, joiner = _record(spec, state), state.facts(step.via), state.facts(step.server_id)
    if record.phase is not Phase.BORN:
        yield "the cluster is not recorded as initialized"
    if seed is None or not seed.voter or not (seed.disk.server_ca or "").startswith(record.ca or "-"):
        yield "the master it joins through is no healthy voter of the recorded cluster"
        return
    if seed.etcd.uid != record.uid:
        yield "the master it joins through has another UID"
    if joiner is None:
        yield "its host was not looked at"
    elif joiner.disk.server_ca not in {None, seed.disk.server_ca}:
        yield "its host holds another cluster's data"
    others = [m for m in seed.etcd.members or () if m.name.rpartition("-")[0] == step.target]
    without_data = joiner is not None and (joiner.disk.empty or not joiner.disk.wal)
    if any(joiner is None or m.id != joiner.etcd.member_id for m in others if not m.learner) and without_data:
        yield "its predecessor is still a member"


def _renewal(spec: ClusterSpec, state: ClusterState, step: RenewToken) -> Iterator[str]:
    giver, taker = state.facts(step.via), state.facts(step.server_id)
    if giver is None or not giver.serves or taker is None:
        yield "its giver is no healthy voter, or its taker was not looked at"
        return
    held = giver.disk.token_hash if step.kind is SecretKind.TOKEN else giver.disk.config_token_hash
    if giver.bootstrap_keys != (held,):
        yield "its giver does not hold the one token that the datastore knows"
    if taker.disk.server_ca != giver.disk.server_ca:
        yield "its taker serves another CA"
    if step.revive and (taker.etcd.healthy is not None or taker.server_unit.active == "active"):
        yield "it would restart a k3s that runs"


def _replaced(state: ClusterState, step: DeleteServer) -> Iterator[str]:
    """Say what is wrong with deleting a server for a rollout: its member is retired, and its Node drained."""
    own = state.facts(step.server_id)
    listed = {m.id for f in _hosts(state) for m in f.etcd.members or ()}
    if own is None or (own.etcd.member_id in listed and not own.on_database):
        yield "its member is listed, or nobody knows"
    nodes = [node for kube in state.kube.values() if isinstance(kube, Known) for node in kube.value.nodes]
    if any(node.name == step.target and node.leaving is not Leaving.DRAINED for node in nodes):
        yield "its Node is not drained"


def _restart(spec: ClusterSpec, state: ClusterState, step: ReconfigureMaster) -> Iterator[str]:
    """Say what is wrong with the restart of a master: all others of the file are to vote, and nobody is half joined."""
    for name in spec.master_names:
        server = state.server(name)
        facts = state.facts(server.id) if server is not None else None
        if name != step.target and not (facts is not None and facts.serves):
            yield f"{name} does not serve meanwhile"
        if facts is not None and any(member.learner for member in facts.etcd.members or ()):
            yield "a learner is in the list"


def _adoption(spec: ClusterSpec, state: ClusterState, step: AdoptCluster) -> Iterator[str]:
    """Demand that what is recorded was told by a voter that showed this key, and that nothing else is recorded yet."""
    told = {number: met.value for number, met in state.strangers.items() if isinstance(met, Known)}
    if any(
        number not in told or told[number].key != key or told[number].contradicted for number, key in step.host_keys
    ):
        yield "a host key is recorded that nobody showed, or that the user knows another one for"
    voters = [met.facts for met in told.values() if met.facts.voter]
    if _record(spec, state).phase is Phase.BORN:
        return
    if not voters or {facts.etcd.uid for facts in voters} != {step.record.uid}:
        yield "its voters are not of the one recorded UID"
    if not all((facts.disk.server_ca or "").startswith(step.record.ca or "-") for facts in voters):
        yield "its voters are not of the one recorded CA"


_CHECKS: Final[dict[type, Callable[[ClusterSpec, ClusterState, Any], Iterator[str]]]] = {
    RemoveMember: _removal,
    RetireMember: _retirement,
    DeleteServer: _server_deletion,
    DeleteNode: _node_deletion,
    InitControlPlane: _birth,
    RecordBirth: _begun,
    RenewToken: _renewal,
    CreateServer: _purchase,
    JoinControlPlane: _join,
    ForgetBirth: _forgetting,
    UploadSnapshot: restore_safety.uploading,
    RestoreSnapshot: restore_safety.restoring,
    StartRestored: restore_safety.starting,
    StartOnDatabase: database_safety.starting,
    HoldMaster: disaster_safety.holding,
    FenceMember: disaster_safety.fencing,
    ResetQuorum: disaster_safety.reset,
    AdoptCluster: _adoption,
    AdoptLineage: disaster_safety.adoption,
    WipeJoiner: _wipe,
    StartMaster: _start,
    ReconfigureMaster: _restart,
    StartWorker: _agent_start,
}
