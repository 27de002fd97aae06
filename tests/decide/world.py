"""Observations made by hand: a wish, a healthy cluster, and small functions that each break one thing.

Every function takes a `ClusterState` and gives another one; nothing is mocked, since decisions read nothing else.
Names: masters `prod-master1…`, workers `prod-pool-small-worker1…`; server ids 101… and 201…; the private address of a
server ends in its place in the file, masters first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from hetzner_k3s import decide
from hetzner_k3s.decide.infra import firewall_rules
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import (
    CloudView,
    Firewall,
    LoadBalancer,
    Network,
    PlacementGroup,
    Server,
    ServerStatus,
    SshKey,
)
from hetzner_k3s.model.consents import Consents
from hetzner_k3s.model.errors import SshStage
from hetzner_k3s.model.facts import Known, Reading, Unknown
from hetzner_k3s.model.host import (
    DiskFacts,
    EtcdFacts,
    HostFacts,
    HostKeyKind,
    HostReading,
    Member,
    Snapshot,
    UnitFacts,
    Unreachable,
)
from hetzner_k3s.model.identity import BirthRecord, Phase
from hetzner_k3s.model.kube import KubeNode, KubeView
from hetzner_k3s.model.plan import Forecast, Intent, Plan, PlannedStep, StepKey, Verb
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import ClusterSpec, MasterSpec, PoolSpec, SshSpec, WorkerSpec
from hetzner_k3s.model.state import ClusterState, LocalEvidence
from hetzner_k3s.model.version import K3sVersion

CLUSTER: Final = "prod"
VERSION: Final = "v1.36.3+k3s1"
CA: Final = "ab12" * 16
UID: Final = "6c2170f8-0000-4000-8000-000000000001"
OTHER_CA: Final = "cd34" * 16
OTHER_UID: Final = "3481062c-0000-4000-8000-000000000002"
LINEAGE: Final = "1111222233334444"
NOW: Final = 1_800_000_000.0
NETWORK: Final = 7
PUBLIC_KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDeUdLJrxLYw0tZ1xkV8fJ3Q1y0x3bJfGmZkR2w9kq3S someone"
ADDONS: Final = {"hcloud-ccm": "digest-1"}
CREATE: Final = Intent(verb=Verb.CREATE, addons=ADDONS)
PRUNE: Final = Intent(verb=Verb.CREATE, addons=ADDONS, consents=Consents(prune=True))
DELETE: Final = Intent(verb=Verb.DELETE)
NO_RECORD: Final = BirthRecord()

FIRST_MASTER: Final = 101
FIRST_WORKER: Final = 201
REPLACEMENTS: Final = 1_000_000
"""What a replacement's server id lies above its predecessor's."""

MASTER1: Final = "prod-master1"
MASTER2: Final = "prod-master2"
MASTER3: Final = "prod-master3"
WORKER1: Final = "prod-pool-small-worker1"
WORKER2: Final = "prod-pool-small-worker2"

# --- the wish ---------------------------------------------------------------------------------------------------------


def a_spec(masters: int = 3, workers: int = 2, load_balancer: bool = True) -> ClusterSpec:
    """Make the wish for a cluster with one pool."""
    return ClusterSpec(
        name=CLUSTER,
        hetzner_token=Secret("t"),
        kubeconfig_path="/home/someone/kubeconfig",
        k3s_version=K3sVersion.parse(VERSION),
        masters=tuple(_master_spec(index) for index in range(1, masters + 1)),
        ssh=SshSpec(private_key_path=None, public_key_path="~/.ssh/id.pub", public_key=PUBLIC_KEY),
        pools=(a_pool(workers),),
        api_load_balancer=load_balancer and masters > 1,
    )


def _master_spec(index: int) -> MasterSpec:
    return MasterSpec(
        name=naming.master_name(CLUSTER, index),
        index=index,
        location="fsn1",
        instance_type="cpx22",
        image="debian-13",
        placement_group=naming.masters_placement_group(CLUSTER, 1),
    )


def a_pool(workers: int) -> PoolSpec:
    """Make a static pool `small`."""
    return PoolSpec(
        name="small",
        instance_type="cpx22",
        location="fsn1",
        image="debian-13",
        count=workers,
        workers=tuple(
            WorkerSpec(
                name=naming.worker_name(CLUSTER, "small", index),
                index=index,
                location="fsn1",
                instance_type="cpx22",
                image="debian-13",
                placement_group=naming.workers_placement_group(CLUSTER, "small", naming.placement_group_index(index)),
                pool="small",
            )
            for index in range(1, workers + 1)
        ),
    )


SPEC: Final = a_spec()

# --- nothing, and everything well -------------------------------------------------------------------------------------


def nothing() -> ClusterState:
    """Look at an empty project from a machine that remembers nothing."""
    return ClusterState(observed_at=NOW, cloud=Known(CloudView()))


def healthy(spec: ClusterSpec = SPEC) -> ClusterState:
    """Look at a cluster that is as the file wants it."""
    masters, workers = spec.masters, spec.workers()
    members = tuple(member_of(m.name, FIRST_MASTER + i) for i, m in enumerate(masters))
    servers = tuple(server_of(spec, s.name) for s in spec.servers())
    view = surroundings(spec, record=born_record())
    state = ClusterState(
        observed_at=NOW,
        cloud=Known(replace(view, servers=tuple(sorted(servers, key=lambda s: s.id)))),
        hosts={
            **{s: Known(voter_facts(spec, s, members)) for s in range(FIRST_MASTER, FIRST_MASTER + len(masters))},
            **{s: Known(agent_facts()) for s in range(FIRST_WORKER, FIRST_WORKER + len(workers))},
        },
        kube={FIRST_MASTER: Known(kube_of(spec))},
    )
    return replace(state, local=kubeconfig_of(spec, state))


def born_record() -> BirthRecord:
    """Give the birth record of the healthy cluster."""
    return BirthRecord(phase=Phase.BORN, seed=FIRST_MASTER, ca=CA[: naming.CA_LABEL_DIGITS], uid=UID, lineage=LINEAGE)


def surroundings(spec: ClusterSpec, record: BirthRecord = NO_RECORD) -> CloudView:
    """List everything but servers."""
    ours = {naming.LABEL_CLUSTER: spec.name}
    return CloudView(
        networks=(
            Network(id=NETWORK, name=spec.network_name, ip_range="10.0.0.0/16", labels={**ours, **record.labels()}),
        ),
        placement_groups=tuple(
            PlacementGroup(
                id=20 + i,
                name=group.name,
                labels={
                    **naming.placement_group_labels(spec.name, group.pool),
                    **(record.labels() if group.pool is None else {}),
                },
            )
            for i, group in enumerate(spec.placement_groups())
        ),
        firewalls=(
            Firewall(
                id=30,
                name=naming.firewall(spec.name),
                rules=firewall_rules(spec),
                selectors=(naming.cluster_selector(spec.name),),
                labels={**ours, **record.labels()},
            ),
        ),
        load_balancers=(
            LoadBalancer(
                id=40,
                name=naming.api_load_balancer(spec.name),
                public_ipv4="198.51.100.40",
                private_ips={NETWORK: "10.0.9.40"},
                selectors=(naming.members_selector(spec.name),),
                labels=ours,
            ),
        )
        if spec.api_load_balancer
        else (),
        ssh_keys=(SshKey(id=50, name=spec.ssh_key_name, fingerprint=lookup.fingerprint(PUBLIC_KEY) or ""),),
    )


def server_id_of(name: str) -> int:
    """Give the id of the server that had this name first."""
    index = int(name.rpartition("master" if "-master" in name else "worker")[2])
    return (FIRST_MASTER if "-master" in name else FIRST_WORKER) + index - 1


def address_of(server_id: int) -> str:
    """Give a server's private address; a replacement gets its predecessor's, as at Hetzner (the lowest free one)."""
    number = server_id % REPLACEMENTS
    return f"10.0.0.{number}" if number < FIRST_WORKER else f"10.0.{number // 250}.{number % 250}"


def server_of(spec: ClusterSpec, name: str, server_id: int | None = None, *, joined: bool = True) -> Server:
    """Make a running server with the labels it has after it joined, or before."""
    number = server_id_of(name) if server_id is None else server_id
    role = naming.ROLE_MASTER if name in spec.master_names else naming.ROLE_WORKER
    member = {naming.LABEL_STATE: naming.STATE_MEMBER, **born_record().labels()}
    return Server(
        id=number,
        name=name,
        status=ServerStatus.RUNNING,
        labels={
            **naming.server_labels(spec.name, role),
            naming.LABEL_BOOT_KEY: f"boot-{number}",
            naming.LABEL_HOST_KEY: f"final-{number}",
            **(member if joined and role == naming.ROLE_MASTER else {}),
        },
        public_ipv4=f"203.0.{number // 250}.{number % 250}",
        private_ips={NETWORK: address_of(number)},
    )


def member_id_of(server_id: int) -> str:
    """Give the etcd member id of the master on a server."""
    return str(9_000_000_000_000_000_000 + server_id)


def member_of(name: str, server_id: int, *, learner: bool = False) -> Member:
    """Make the etcd member of a master."""
    return Member(
        id=member_id_of(server_id),
        name=f"{name}-0{server_id:07x}",
        peer_urls=(f"https://{address_of(server_id)}:2380",),
        learner=learner,
    )


def voter_facts(spec: ClusterSpec, server_id: int, members: tuple[Member, ...]) -> HostFacts:
    """Let a host tell that it is a healthy voter of this list, led by the first."""
    me = member_id_of(server_id)
    others = [m for m in members if m.id != me]
    url = f"https://{others[0].address}:6443" if others else None
    return HostFacts(
        key=HostKeyKind.FINAL,
        boot_finished=True,
        k3s_version=str(spec.k3s_version),
        server_unit=UnitFacts(active="active", sub="running"),
        disk=DiskFacts(wal=True, server_ca=CA, token_hash="f" * 12, config_server=url, config_present=True),
        etcd=EtcdFacts(
            healthy=True,
            member_id=me,
            leader=members[0].id,
            revision=1000,
            members=members,
            bootstrap_keys=("f" * 12,),
            uid=UID,
            active_peers=tuple(m.id for m in others),
        ),
    )


def agent_facts() -> HostFacts:
    """Let a host tell that it is a healthy worker."""
    return HostFacts(
        key=HostKeyKind.FINAL,
        boot_finished=True,
        k3s_version=VERSION,
        agent_unit=UnitFacts(active="active", sub="running"),
        disk=DiskFacts(agent_ca=CA, config_present=True),
    )


def node_of(name: str, server_id: int, *, control_plane: bool) -> KubeNode:
    """Make the Ready Node of a server, with our annotation."""
    return KubeNode(
        name=name,
        uid=f"uid-{server_id}",
        ready=True,
        control_plane=control_plane,
        server_id=server_id,
        provider_id=f"hcloud://{server_id}",
        internal_ip=address_of(server_id),
    )


def kube_of(spec: ClusterSpec) -> KubeView:
    """Make what a healthy API tells."""
    names = [s.name for s in spec.servers()]
    masters = set(spec.master_names)
    return KubeView(
        uid=UID,
        nodes=tuple(node_of(n, server_id_of(n), control_plane=n in masters) for n in names),
        node_passwords=tuple(names),
        lineage=LINEAGE,
        addons=ADDONS,
    )


def kubeconfig_of(spec: ClusterSpec, state: ClusterState) -> LocalEvidence:
    """Let this machine hold the kubeconfig that fits."""
    urls = {m: f"https://{_server(state, m).public_ipv4}:6443" for m in spec.master_names}
    if spec.api_load_balancer:
        urls[spec.name] = "https://198.51.100.40:6443"
    return LocalEvidence(kubeconfig_ca=CA, kubeconfig_servers=urls, open_birth=True)


def _server(state: ClusterState, name: str) -> Server:
    server = state.server(name)
    assert server is not None, f"{name} is not in the listing"
    return server


# --- changing one thing -----------------------------------------------------------------------------------------------


def with_listing(state: ClusterState, **changes: object) -> ClusterState:
    """Change parts of the listing."""
    return state.with_view(replace(state.view, **changes))  # type: ignore[arg-type]


def with_server(state: ClusterState, server: Server) -> ClusterState:
    """Put a server into the listing, in place of one of its id."""
    rest = [s for s in state.view.servers if s.id != server.id]
    return with_listing(state, servers=tuple(sorted([*rest, server], key=lambda s: s.id)))


def edit_server(state: ClusterState, name: str, change: Callable[[Server], Server]) -> ClusterState:
    """Change the server of this name."""
    return with_server(state, change(_server(state, name)))


def with_reading(state: ClusterState, name: str, reading: HostReading | None) -> ClusterState:
    """Change what the host of this name tells; None: it was not looked at."""
    server_id = _server(state, name).id
    others = {key: value for key, value in state.hosts.items() if key != server_id}
    return replace(state, hosts=others if reading is None else {**others, server_id: reading})


def edit_facts(state: ClusterState, name: str, change: Callable[[HostFacts], HostFacts]) -> ClusterState:
    """Change the facts of the host of this name."""
    facts = state.facts(_server(state, name).id)
    assert facts is not None, f"{name} was not looked at"
    return with_reading(state, name, Known(change(facts)))


def edit_etcd(state: ClusterState, change: Callable[[EtcdFacts], EtcdFacts]) -> ClusterState:
    """Change the etcd facts of every voter."""
    hosts: dict[int, HostReading] = {}
    for server_id, reading in state.hosts.items():
        if isinstance(reading, Known) and reading.value.etcd.members:
            hosts[server_id] = Known(replace(reading.value, etcd=change(reading.value.etcd)))
        else:
            hosts[server_id] = reading
    return replace(state, hosts=hosts)


def edit_kube(state: ClusterState, change: Callable[[KubeView], KubeView]) -> ClusterState:
    """Change what the API tells."""
    kube: dict[int, Reading[KubeView]] = {
        key: Known(change(reading.value)) if isinstance(reading, Known) else reading
        for key, reading in state.kube.items()
    }
    return replace(state, kube=kube)


def edit_node(state: ClusterState, name: str, change: Callable[[KubeNode], KubeNode]) -> ClusterState:
    """Change the Node of this name."""
    return edit_kube(
        state, lambda view: replace(view, nodes=tuple(change(n) if n.name == name else n for n in view.nodes))
    )


# --- losses -----------------------------------------------------------------------------------------------------------


def lose(state: ClusterState, name: str) -> ClusterState:
    """Delete a server at Hetzner: listing and id say so, its peers notice; its member and its Node are still there."""
    server = _server(state, name)
    return replace(disconnected(unlisted(state, name), server.id), lookups={**state.lookups, server.id: Known(False)})


def unlisted(state: ClusterState, name: str) -> ClusterState:
    """Take a server off the listing (and so off what is looked at), without any other proof of its end."""
    server = _server(state, name)
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
    return _read_elsewhere(state, _server(state, name).id)


def off(state: ClusterState, name: str) -> ClusterState:
    """Power a server off."""
    state = edit_server(state, name, lambda s: replace(s, status=ServerStatus.OFF))
    server_id = _server(state, name).id
    return _read_elsewhere(disconnected(with_reading(state, name, None), server_id), server_id)


def rebuilt(state: ClusterState, name: str) -> ClusterState:
    """Rebuild a server: same id, an empty disk, and the boot key of its user data again."""
    state = with_reading(state, name, Known(HostFacts(key=HostKeyKind.BOOT, boot_finished=True)))
    server_id = _server(state, name).id
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

    server_id = _server(state, name).id
    return _read_elsewhere(disconnected(edit_facts(state, name, change), server_id), server_id)


def stopped(state: ClusterState, name: str) -> ClusterState:
    """Stop k3s on a master; its data is there."""

    def change(facts: HostFacts) -> HostFacts:
        return replace(facts, server_unit=UnitFacts(active="inactive"), etcd=EtcdFacts())

    server_id = _server(state, name).id
    return _read_elsewhere(disconnected(edit_facts(state, name, change), server_id), server_id)


def former(state: ClusterState, name: str) -> ClusterState:
    """Let a master come back after its member was removed: its data is there, its k3s waits for ever."""
    server_id = _server(state, name).id

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
    server_id = _server(state, name).id
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
    unit = UnitFacts(active="inactive")
    facts = HostFacts(key=HostKeyKind.FINAL, boot_finished=True, k3s_version=VERSION)
    role = {"server_unit": unit} if name in spec.master_names else {"agent_unit": unit}
    return with_reading(booting(state, spec, name, server_id), name, Known(replace(facts, **role)))


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


# --- asking for decisions ---------------------------------------------------------------------------------------------


def plan(state: ClusterState, spec: ClusterSpec = SPEC, intent: Intent = CREATE) -> Plan:
    """Plan with nothing in flight."""
    return decide.plan(spec, state, intent)


def forecast(state: ClusterState, spec: ClusterSpec = SPEC, intent: Intent = CREATE) -> Forecast:
    """Give the whole way."""
    return decide.forecast(spec, state, intent)


def codes(state: ClusterState, spec: ClusterSpec = SPEC, intent: Intent = CREATE) -> list[str]:
    """Give the codes of the refusals."""
    return [refusal.code for refusal in plan(state, spec, intent).refusals]


def verbs(steps: tuple[PlannedStep, ...]) -> list[str]:
    """Give steps as `Verb target`, sorted."""
    return sorted(" ".join(step.key) for step in steps)


def waves(state: ClusterState, spec: ClusterSpec = SPEC, intent: Intent = CREATE) -> list[list[str]]:
    """Give the forecast as lists of `Verb target`."""
    return [verbs(wave) for wave in forecast(state, spec, intent).waves]


def in_order(state: ClusterState, spec: ClusterSpec = SPEC, intent: Intent = CREATE) -> list[StepKey]:
    """Give the keys of the forecast's steps, wave after wave."""
    return [step.key for wave in forecast(state, spec, intent).waves for step in wave]
