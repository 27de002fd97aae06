"""Small functions that each break one thing of an observation: losses, troubles, unfinished runs.

Every function takes a `ClusterState` and gives another one; nothing is mocked, since decisions read nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tests.decide.healthy import (
    CA,
    CLUSTER,
    FIRST_MASTER,
    NOW,
    OTHER_CA,
    OTHER_UID,
    REPLACEMENTS,
    VERSION,
    address_of,
    edit_etcd,
    edit_facts,
    edit_kube,
    edit_node,
    edit_server,
    member_id_of,
    member_of,
    server_id_of,
    server_named,
    server_of,
    with_listing,
    with_reading,
    with_server,
)

from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import ServerStatus
from hetzner_k3s.model.errors import SshStage
from hetzner_k3s.model.facts import Known, Unknown
from hetzner_k3s.model.host import DiskFacts, EtcdFacts, HostFacts, HostKeyKind, Snapshot, UnitFacts, Unreachable
from hetzner_k3s.model.identity import BirthRecord
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState, LocalEvidence

# --- losses -----------------------------------------------------------------------------------------------------------


def lose(state: ClusterState, name: str) -> ClusterState:
    """Delete a server at Hetzner: listing and id say so, its peers notice; its member and its Node are still there."""
    server = server_named(state, name)
    return replace(disconnected(unlisted(state, name), server.id), lookups={**state.lookups, server.id: Known(False)})


def unlisted(state: ClusterState, name: str) -> ClusterState:
    """Take a server off the listing (and so off what is looked at), without any other proof of its end."""
    server = server_named(state, name)
    left = with_listing(state, servers=tuple(s for s in state.view.servers if s.id != server.id))
    hosts = {key: reading for key, reading in state.hosts.items() if key != server.id}
    return _read_elsewhere(replace(left, hosts=hosts), server.id)


def disconnected(state: ClusterState, server_id: int) -> ClusterState:
    """Let the other masters notice that a peer is gone; if it led, another one does."""
    gone = member_id_of(server_id)

    def change(etcd: EtcdFacts) -> EtcdFacts:
        leader = etcd.member_id if etcd.leader == gone else etcd.leader
        return replace(etcd, leader=leader, active_peers=tuple(p for p in etcd.active_peers if p != gone))

    return edit_etcd(state, change)


def _read_elsewhere(state: ClusterState, server_id: int) -> ClusterState:
    """Read the API through another master that answers, if it was read through this one."""
    if server_id not in state.kube:
        return state
    reading = state.kube[server_id]
    answering = sorted(
        s.id for s in lookup.owned_masters(CLUSTER, state.view) if (f := state.facts(s.id)) is not None and f.voter
    )
    return replace(state, kube={answering[0]: reading} if answering else {})


def read_through_a_voter(state: ClusterState) -> ClusterState:
    """Let the API be read through a master that votes, or through none where none does."""
    for server_id in list(state.kube):
        facts = state.facts(server_id)
        state = state if facts is not None and facts.voter else _read_elsewhere(state, server_id)
    return state


def without_member(state: ClusterState, server_id: int) -> ClusterState:
    """Take a member off every list."""
    gone = member_id_of(server_id)

    def change(etcd: EtcdFacts) -> EtcdFacts:
        return replace(etcd, members=tuple(m for m in etcd.members or () if m.id != gone))

    return edit_etcd(state, change)


def without_node(state: ClusterState, name: str) -> ClusterState:
    """Delete a Node and its node-password secret."""
    return edit_kube(
        state,
        lambda view: replace(
            view,
            nodes=tuple(n for n in view.nodes if n.name != name),
            node_passwords=tuple(n for n in view.node_passwords if n != name),
        ),
    )


def without_quorum(state: ClusterState) -> ClusterState:
    """Let etcd answer nothing on the masters that are left, and the API neither."""
    lost = edit_etcd(
        state,
        lambda etcd: EtcdFacts(healthy=False, reason="RAFT NO LEADER", member_id=etcd.member_id),
    )
    return replace(lost, kube={})


# --- troubles ---------------------------------------------------------------------------------------------------------


def unreachable(state: ClusterState, name: str, stage: SshStage = SshStage.TCP, why: str = "no answer") -> ClusterState:
    """Let a host not be looked at; its etcd may be well (its peers are connected to it)."""
    state = with_reading(state, name, Unreachable(stage, why, NOW - 120))
    return _read_elsewhere(state, server_named(state, name).id)


def off(state: ClusterState, name: str) -> ClusterState:
    """Power a server off."""
    state = edit_server(state, name, lambda s: replace(s, status=ServerStatus.OFF))
    server_id = server_named(state, name).id
    return _read_elsewhere(disconnected(with_reading(state, name, None), server_id), server_id)


def rebuilt(state: ClusterState, name: str) -> ClusterState:
    """Rebuild a server: same id, an empty disk, and the boot key of its user data again."""
    state = with_reading(state, name, Known(HostFacts(key=HostKeyKind.BOOT, boot_finished=True)))
    server_id = server_named(state, name).id
    return _read_elsewhere(disconnected(state, server_id), server_id)


def database_deleted(state: ClusterState, name: str) -> ClusterState:
    """Delete a master's `server/db` and reboot it: the start guard keeps k3s from starting."""

    def change(facts: HostFacts) -> HostFacts:
        return replace(
            facts,
            server_unit=UnitFacts(active="failed"),
            disk=replace(facts.disk, wal=False),
            etcd=EtcdFacts(),
        )

    server_id = server_named(state, name).id
    return _read_elsewhere(disconnected(edit_facts(state, name, change), server_id), server_id)


def stopped(state: ClusterState, name: str) -> ClusterState:
    """Stop k3s on a master; its data is there."""

    def change(facts: HostFacts) -> HostFacts:
        return replace(facts, server_unit=UnitFacts(active="inactive"), etcd=EtcdFacts())

    server_id = server_named(state, name).id
    return _read_elsewhere(disconnected(edit_facts(state, name, change), server_id), server_id)


def stopped_agent(state: ClusterState, name: str) -> ClusterState:
    """Stop k3s-agent on a worker that knows living masters; its Node is not heard of any more."""

    def change(facts: HostFacts) -> HostFacts:
        known = f"{address_of(FIRST_MASTER)}:6443"
        disk = replace(facts.disk, config_server=f"https://{known}", agent_servers=(known,))
        return replace(facts, agent_unit=UnitFacts(active="inactive"), disk=disk)

    return not_ready(edit_facts(state, name, change), name)


def former(state: ClusterState, name: str) -> ClusterState:
    """Let a master come back after its member was removed: its data is there, its k3s waits for ever."""
    server_id = server_named(state, name).id

    def change(facts: HostFacts) -> HostFacts:
        etcd = EtcdFacts(healthy=False, reason="RAFT NO LEADER")
        return replace(facts, server_unit=UnitFacts(active="activating"), etcd=etcd)

    waiting = edit_facts(without_member(state, server_id), name, change)
    return _read_elsewhere(disconnected(not_ready(waiting, name), server_id), server_id)


def tombstoned(state: ClusterState, name: str) -> ClusterState:
    """Remove the member of a master that runs: its etcd stops and leaves a tombstone, its k3s is of no use."""
    state = former(state, name)
    return edit_facts(
        state,
        name,
        lambda f: replace(f, server_unit=UnitFacts(active="active"), disk=replace(f.disk, tombstone=True)),
    )


def not_ready(state: ClusterState, name: str) -> ClusterState:
    """Let a Node be NotReady."""
    return edit_node(state, name, lambda node: replace(node, ready=False))


def other_identity(state: ClusterState, name: str, *, ca: str = OTHER_CA, uid: str = OTHER_UID) -> ClusterState:
    """Let a master answer as a cluster of its own."""
    server_id = server_named(state, name).id
    alone = (member_of(name, server_id),)

    def change(facts: HostFacts) -> HostFacts:
        return replace(
            facts,
            disk=replace(facts.disk, server_ca=ca),
            etcd=replace(facts.etcd, uid=uid, members=alone, leader=alone[0].id, active_peers=()),
        )

    return edit_facts(state, name, change)


# --- unfinished runs --------------------------------------------------------------------------------------------------


def booting(state: ClusterState, spec: ClusterSpec, name: str, server_id: int | None = None) -> ClusterState:
    """Add a fresh server that does not answer yet."""
    server = server_of(spec, name, server_id, joined=False)
    state = with_server(state, server)
    return with_reading(state, name, Unreachable(SshStage.TCP, "connection refused", NOW))


def with_boot_key(state: ClusterState, spec: ClusterSpec, name: str, server_id: int | None = None) -> ClusterState:
    """Add a fresh server that answers with its boot key."""
    return with_reading(booting(state, spec, name, server_id), name, Known(HostFacts(key=HostKeyKind.BOOT)))


def with_next_key(state: ClusterState, spec: ClusterSpec, name: str, server_id: int | None = None) -> ClusterState:
    """Add a fresh server whose run died between two steps of the host-key rotation."""
    state = with_reading(booting(state, spec, name, server_id), name, Known(HostFacts(key=HostKeyKind.NEXT)))
    return edit_server(
        state, name, lambda s: replace(s, labels={**s.labels, naming.LABEL_HOST_KEY_NEXT: f"next-{s.id}"})
    )


def bare(state: ClusterState, spec: ClusterSpec, name: str, server_id: int | None = None) -> ClusterState:
    """Add a fresh server with its final key, without k3s."""
    facts = HostFacts(key=HostKeyKind.FINAL, boot_finished=True)
    return with_reading(booting(state, spec, name, server_id), name, Known(facts))


def ready(state: ClusterState, spec: ClusterSpec, name: str, server_id: int | None = None) -> ClusterState:
    """Add a fresh server on which k3s can be started."""
    facts = HostFacts(key=HostKeyKind.FINAL, boot_finished=True, k3s_version=VERSION)
    facts = _with_unit(facts, spec, name, UnitFacts(active="inactive"))
    return with_reading(booting(state, spec, name, server_id), name, Known(facts))


def started_by_hand(state: ClusterState, spec: ClusterSpec, name: str, server_id: int | None = None) -> ClusterState:
    """Add a fresh server on which somebody started k3s: it ends at each start, and has left nothing."""
    unit = UnitFacts(active="activating", sub="auto-restart", restarts=3)
    return edit_facts(ready(state, spec, name, server_id), name, lambda f: _with_unit(f, spec, name, unit))


def _with_unit(facts: HostFacts, spec: ClusterSpec, name: str, unit: UnitFacts) -> HostFacts:
    return replace(facts, server_unit=unit) if name in spec.master_names else replace(facts, agent_unit=unit)


def joining(state: ClusterState, spec: ClusterSpec, name: str, server_id: int | None = None) -> ClusterState:
    """Add a fresh server whose k3s was started, and that is in no member list yet."""
    state = ready(state, spec, name, server_id)
    if name not in spec.master_names:
        disk = DiskFacts(config_present=True, agent_ca=CA)
        return edit_facts(state, name, lambda f: replace(f, agent_unit=UnitFacts(active="activating"), disk=disk))
    disk = DiskFacts(config_present=True, server_ca=CA, config_server=f"https://{address_of(FIRST_MASTER)}:6443")
    return edit_facts(state, name, lambda f: replace(f, server_unit=UnitFacts(active="activating"), disk=disk))


def replacement_of(name: str) -> int:
    """Give the id of the server that takes a lost one's place."""
    return server_id_of(name) + REPLACEMENTS


def unmarked(state: ClusterState, name: str) -> ClusterState:
    """Take back what a run records after a join: label, record on the server, Node annotation."""
    keep = {naming.LABEL_CLUSTER, naming.LABEL_ROLE, naming.LABEL_BOOT_KEY, naming.LABEL_HOST_KEY}
    state = edit_server(state, name, lambda s: replace(s, labels={k: v for k, v in s.labels.items() if k in keep}))
    return edit_node(state, name, lambda node: replace(node, server_id=None, provider_id=None))


def recorded(state: ClusterState, record: BirthRecord) -> ClusterState:
    """Replace the birth record wherever it stands; an empty one takes it away."""

    def change(labels: Mapping[str, str]) -> dict[str, str]:
        kept = {k: v for k, v in labels.items() if k not in naming.BIRTH_RECORD_LABELS}
        return {**kept, **record.labels()}

    view = state.view
    return with_listing(
        state,
        servers=tuple(
            replace(s, labels=change(s.labels)) if s.labels.get(naming.LABEL_ROLE) == naming.ROLE_MASTER else s
            for s in view.servers
        ),
        networks=tuple(replace(n, labels=change(n.labels)) for n in view.networks),
        firewalls=tuple(replace(f, labels=change(f.labels)) for f in view.firewalls),
        placement_groups=tuple(
            replace(g, labels=change(g.labels)) if g.labels.get(naming.LABEL_ROLE) == naming.ROLE_MASTERS_GROUP else g
            for g in view.placement_groups
        ),
    )


def forgetful(state: ClusterState) -> ClusterState:
    """Let this machine remember nothing: no kubeconfig, no journal."""
    return replace(state, local=LocalEvidence())


def unlistable(state: ClusterState) -> ClusterState:
    """Let Hetzner's listing fail after an earlier one told of the hosts."""
    return replace(state, cloud=Unknown("page 2 of 3 answered 503", NOW))


def with_snapshot(state: ClusterState, on: str, of_member: int) -> ClusterState:
    """Lay the snapshot that a repair saves on a master's disk."""
    saved = Snapshot(name=f"pre-repair-{member_id_of(of_member)}-{on}-1800000000", size=4_700_000, created=NOW)
    return edit_facts(state, on, lambda f: replace(f, snapshots=(saved,)))


def configured_otherwise(state: ClusterState, *names: str) -> ClusterState:
    """Let hosts run with another `registries.yaml` than that of the file."""
    for name in names:
        state = edit_facts(state, name, lambda facts: replace(facts, disk=replace(facts.disk, registries="0" * 12)))
    return state


def running_release(state: ClusterState, name: str, version: str) -> ClusterState:
    """Let a host run this release of k3s."""
    return edit_facts(state, name, lambda facts: replace(facts, k3s_version=version))


def bought_as(state: ClusterState, server_type: str, *names: str) -> ClusterState:
    """Let servers be of this type."""
    for name in names:
        state = edit_server(state, name, lambda server: replace(server, server_type=server_type))
    return state


def made_from(state: ClusterState, image: str, *names: str) -> ClusterState:
    """Let servers have been made from this image."""
    for name in names:
        state = edit_server(state, name, lambda server: replace(server, image=(image,)))
    return state


def ordered_as_surge(state: ClusterState, *names: str) -> ClusterState:
    """Let servers have been ordered for the time of a rollout."""
    mark = {naming.LABEL_SURGE: naming.SURGE}
    for name in names:
        state = edit_server(state, name, lambda server: replace(server, labels={**server.labels, **mark}))
    return state
