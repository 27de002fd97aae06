"""The report that `status` shows: what every rule reads, told instead of decided upon."""

from __future__ import annotations

from collections.abc import Iterator

from hetzner_k3s.decide.identity import hosts, project
from hetzner_k3s.decide.lifecycle import token_copy
from hetzner_k3s.decide.lifecycle.workers import view_worker
from hetzner_k3s.decide.preflight import steadiness
from hetzner_k3s.decide.prune import load_balancer
from hetzner_k3s.decide.rollout import surge
from hetzner_k3s.decide.status import drift as drifting
from hetzner_k3s.decide.status import observer
from hetzner_k3s.decide.status.drift import drifted, told
from hetzner_k3s.decide.view import quorum, stale_lineage
from hetzner_k3s.decide.view.context import DecisionContext, context_of
from hetzner_k3s.decide.view.servers.contact import NotReached, reach
from hetzner_k3s.decide.view.servers.k3s import K3s
from hetzner_k3s.decide.view.servers.server_view import MEMBER, ServerView
from hetzner_k3s.decide.view.voters import healthy_ids
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import DiskFacts, HostFacts, Member, Unreachable
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.plan import Forecast, Intent, Scope
from hetzner_k3s.model.report import (
    Drift,
    Health,
    MemberReport,
    MemberState,
    NodeReport,
    Quorum,
    Report,
    ServerReport,
    SnapshotReport,
    Stranger,
)
from hetzner_k3s.model.snapshots import of_cluster
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState

NEWEST = 5
"""How many snapshots are told of: `hetzner-k3s snapshots` lists them all."""

RUNNING = frozenset({"active", "activating", "reloading"})
"""systemd's words for a k3s that runs or is about to."""

SPLIT_CODES = frozenset({"identity.split", "identity.two-lists", "identity.lineage"})
"""Refusals that say that two clusters, or a cluster and its own past, answer for one name."""


def report(spec: ClusterSpec, state: ClusterState, intent: Intent, ahead: Forecast) -> Report:
    """Return how a cluster is, from one observation and from what `create` would do about it."""
    context = context_of(spec, state, intent, frozenset())
    drift = drifted(context)
    servers = tuple(_server_reports(context))
    clusters = observer.pending(spec, state, intent, ahead)
    health, because = _health(context, clusters, servers, drift)
    return Report(
        cluster=spec.name,
        observed_at=state.observed_at,
        health=health,
        because=because,
        record=lookup.birth_record(spec, state.view),
        strangers=tuple(_strangers(context)),
        quorum=_quorum(context),
        servers=servers,
        members=tuple(_member_report(member, context) for member in context.control_plane.members),
        nodes=_nodes(context),
        file_version=str(spec.k3s_version),
        versions=_versions(servers),
        snapshots=_snapshots(context),
        not_seen=observer.not_looked_at(context),
        this_machine=observer.this_machine(spec, state, intent, ahead),
        beyond_file=_beyond_file(context, servers),
        drift=drift,
        forecast=ahead,
        tokens=token_copy.remarks(context),
        on_database=context.control_plane.on_database,
        surge=tuple(surge.note(context, server) for server in surge.left_over(context)),
    )


def _beyond_file(context: DecisionContext, servers: tuple[ServerReport, ...]) -> tuple[str, ...]:
    balancer = load_balancer.dropped(context)
    names = tuple(server.name for server in servers if not server.in_file)
    return (*names, *((f"load balancer {balancer.name}",) if balancer else ()))


def _health(
    context: DecisionContext, ahead: Forecast, servers: tuple[ServerReport, ...], drift: tuple[Drift, ...]
) -> tuple[Health, tuple[str, ...]]:
    if not isinstance(context.state.cloud, Known):
        return Health.UNKNOWN, (f"the Hetzner listing is incomplete: {context.state.cloud.why}",)
    split = tuple(refusal.saw for refusal in ahead.refusals if refusal.code in SPLIT_CODES)
    if split:
        return Health.SPLIT, split
    if others := project.masters_of_other_names(context):
        names = ", ".join(server.name for server in others)
        return Health.UNKNOWN, (f"the file does not name the masters that exist: {names}",)
    if observer.hosts_are_closed(context) and context.control_plane.gateway is None:
        return Health.UNKNOWN, ("no master let this machine in, so how the cluster is could not be looked at",)
    born = context.control_plane.record.phase is Phase.BORN
    if born and context.control_plane.gateway is None and not hosts.was_rotated(context):
        what = (
            "serves the recorded cluster"
            if context.control_plane.on_database
            else "answers as a healthy voter of the recorded cluster"
        )
        return Health.NO_QUORUM, (f"no master {what}",)
    because = (*_complaints(ahead, servers, drift), *steadiness.complaints(context))
    return (Health.DEGRADED, because) if because else (Health.HEALTHY, ())


def _complaints(ahead: Forecast, servers: tuple[ServerReport, ...], drift: tuple[Drift, ...]) -> list[str]:
    """Return what keeps the cluster from being healthy; what is beyond the file does not."""
    unwell = [server.name for server in servers if server.in_file and server.stage != MEMBER]
    refused = ", ".join(dict.fromkeys(refusal.code for refusal in ahead.refusals))
    ours = all(step.scope is Scope.LOCAL for wave in ahead.waves for step in wave)
    pending = 0 if ours else sum(map(len, ahead.waves))  # what this machine alone lacks is no harm to the cluster
    counted = [one for one in drift if one.code != drifting.PROVIDER_ID]  # which nothing can change: no alarm for ever
    drifted_names = ", ".join(dict.fromkeys(one.subject for one in counted))
    told_of = (
        (unwell, f"not as the file wants them: {', '.join(unwell)}"),
        (refused, f"`create` would refuse: {refused}"),
        (pending, f"`create` would take {pending} step{'' if pending == 1 else 's'}"),
        (ahead.waits, f"waiting for {', '.join(wait.what for wait in ahead.waits)}"),
        (counted, f"drifted: {drifted_names}"),
    )
    fields = ", ".join(dict.fromkeys(one.field for one in ahead.differences if one.left))
    differs = (f"not as the file says, and left as it is: {fields}",) if fields else ()
    return [*(sentence for is_so, sentence in told_of if is_so), *ahead.degraded, *differs]


def _quorum(context: DecisionContext) -> Quorum | None:
    voters = quorum.voters(context.control_plane.members)
    if not voters:
        return None
    healthy = healthy_ids(context) & {member.id for member in voters}
    return Quorum(voters=len(voters), healthy=len(healthy), needed=quorum.majority(len(voters)))


def _server_reports(context: DecisionContext) -> list[ServerReport]:
    """Tell of each server that the file wants, then of those beyond it."""
    workers = (view_worker(context, spec) for spec in context.spec.workers())
    views: list[ServerView] = [*context.control_plane.masters, *workers]
    wanted = {view.name for view in views}
    reports = [
        _server_report(context, view.name, view.spec.role, view.condition, view.detail, in_file=True) for view in views
    ]
    beyond = [s for s in lookup.owned_servers(context.spec.name, context.view) if s.name not in wanted]
    return reports + [_beyond(context, server) for server in beyond]


def _beyond(context: DecisionContext, server: Server) -> ServerReport:
    role = server.labels.get(naming.LABEL_ROLE, "")
    master = next((m for m in context.control_plane.all_masters if m.name == server.name), None)
    if master is not None:
        return _server_report(context, server.name, role, master.condition, master.detail, in_file=False)
    found = reach(server, context.state, joined=True)
    condition, detail = (found.why.value, found.detail) if isinstance(found, NotReached) else (K3s.MISSING.value, "")
    facts = context.state.facts(server.id)
    node = context.node(server.name)
    ready = node is not None and node.ready  # its unit alone stays `activating` while it waits for a cloud controller
    if facts is not None and (facts.agent_unit.active == "active" or (facts.agent_unit.runs and ready)):
        condition, detail = MEMBER, ""
    return _server_report(context, server.name, role, condition, detail, in_file=False)


def _server_report(
    context: DecisionContext, name: str, role: str, condition: str, detail: str, *, in_file: bool
) -> ServerReport:
    node = context.node(name)
    ready = None if node is None else "Ready" if node.ready else "NotReady"
    server = context.server(name)
    if server is None:
        return ServerReport(name=name, role=role, in_file=in_file, stage=condition, detail=detail, node=ready)
    facts = context.state.facts(server.id)
    return ServerReport(
        name=name,
        role=role,
        in_file=in_file,
        id=server.id,
        hetzner=server.status.value,
        address=server.public_ipv4 or next(iter(server.private_ips.values()), None),
        host=_host(server, context.state),
        stage=condition,
        detail=detail,
        version=facts.k3s_version if facts else None,
        unit=(facts.server_unit if facts.server_unit.installed else facts.agent_unit).active if facts else None,
        etcd=_etcd(facts),
        node=ready,
    )


def _host(server: Server, state: ClusterState) -> str | None:
    reading = state.hosts.get(server.id)
    if isinstance(reading, Unreachable):
        return reading.stage.value
    return None if reading is None else "answers"


def _etcd(facts: HostFacts | None) -> str | None:
    if facts is None or facts.etcd.healthy is None:
        return None
    if not facts.etcd.serving_voter:
        return "learner" if facts.etcd.learner else facts.etcd.reason or "unhealthy"
    return "leader" if facts.etcd.leader == facts.etcd.member_id else "voter"


def _member_report(member: Member, context: DecisionContext) -> MemberReport:
    hosts = list(told(context))
    own = next((facts for _, facts in hosts if facts.etcd.member_id == member.id), None)
    return MemberReport(
        id=member.id,
        name=member.name,
        address=member.address,
        state=_member_state(member, own, context),
        connected=tuple(server.name for server, facts in hosts if member.id in facts.etcd.active_peers),
    )


def _member_state(member: Member, own: HostFacts | None, context: DecisionContext) -> MemberState:
    if member.learner:
        return MemberState.LEARNER
    if own is None:
        return _silent_member(member, context)
    if not own.voter:
        return MemberState.UNHEALTHY
    return MemberState.LEADER if own.etcd.leader == member.id else MemberState.VOTER


def _silent_member(member: Member, context: DecisionContext) -> MemberState:
    if any(dead.member.id == member.id for dead in context.dead):
        return MemberState.DEAD
    server = context.server(member.node)
    facts = context.state.facts(server.id) if server else None
    return MemberState.ERASED if facts is not None and not facts.disk.wal else MemberState.UNREACHABLE


def _nodes(context: DecisionContext) -> tuple[NodeReport, ...]:
    return tuple(
        NodeReport(name=node.name, ready=node.ready, control_plane=node.control_plane, server_id=node.machine)
        for node in sorted(context.nodes.values(), key=lambda node: node.name)
    )


def _strangers(context: DecisionContext) -> Iterator[Stranger]:
    """Name the servers with our labels that hold another cluster's data, or the past's, as far as their hosts told."""
    record = context.control_plane.record
    for server, facts in told(context):
        ca, uid = facts.disk.server_ca or facts.disk.agent_ca, facts.uid
        if ca and record.ca and not ca.startswith(record.ca) and not _was_rotated(context, facts):
            yield Stranger(server=server.name, saw=f"its disk holds CA {ca[:8]}")
        if uid and record.uid and uid != record.uid:
            yield Stranger(server=server.name, saw=f"its datastore has kube-system UID {uid}")
        if facts.disk.wal and not stale_lineage.belongs(facts, server, record):
            lineage = stale_lineage.lineage_of(facts, server)
            yield Stranger(server=server.name, saw=f"its data is of lineage {lineage}, the cluster's past")


def _was_rotated(context: DecisionContext, facts: HostFacts) -> bool:
    """Check whether a host holds a CA from before a rotation, or one that the recorded CA was rotated into."""
    gateway = context.control_plane.gateway
    master = gateway.facts.disk if gateway else DiskFacts()
    if facts.disk.server_ca is not None:
        return facts.disk.knows_ca(context.control_plane.record.ca) or facts.disk.shares_ca(master)
    return facts.disk.trusts(master)


def _versions(servers: tuple[ServerReport, ...]) -> dict[str, tuple[str, ...]]:
    running = [(s.version, s.name) for s in servers if s.version is not None and s.unit in RUNNING]
    return {
        version: tuple(name for its, name in running if its == version)
        for version in sorted({version for version, _ in running})
    }


def _snapshots(context: DecisionContext) -> tuple[SnapshotReport, ...]:
    found = [*_local_snapshots(context), *_stored_snapshots(context)]
    return tuple(sorted(found, key=lambda one: (-one.created, one.name, one.where))[:NEWEST])


def _local_snapshots(context: DecisionContext) -> Iterator[SnapshotReport]:
    for server, facts in told(context):
        for found in facts.snapshots:
            yield _snapshot(context, found.name, server.name, found.created, found.size)


def _stored_snapshots(context: DecisionContext) -> Iterator[SnapshotReport]:
    """Return those in S3 that carry the cluster's UID."""
    listed = context.state.snapshots
    stored = listed.value if isinstance(listed, Known) else ()
    for found in of_cluster(stored, context.control_plane.record.uid):
        yield _snapshot(context, found.name, f"S3 {found.folder}/", found.created, found.size)


def _snapshot(context: DecisionContext, name: str, where: str, created: float, size: int) -> SnapshotReport:
    age = max(0.0, context.state.cluster_time - created)
    return SnapshotReport(name=name, where=where, created=created, age=age, size=size)
