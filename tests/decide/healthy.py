"""A wish, nothing at all, and a healthy cluster, made by hand.

Names: masters `prod-master1…`, workers `prod-pool-small-worker1…`; server ids 101… and 201…; the private address of a
server ends in its place in the file, masters first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from hetzner_k3s.decide.desired.firewall import firewall_rules
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import (
    BalancerTarget,
    CloudView,
    Firewall,
    LoadBalancer,
    Network,
    PlacementGroup,
    Server,
    ServerStatus,
    SshKey,
)
from hetzner_k3s.model.consents import Consents, Prune, Rollout, Surge, Upgrade
from hetzner_k3s.model.facts import Known, Reading
from hetzner_k3s.model.hetzner.load_balancing import API_SERVICE
from hetzner_k3s.model.host import DiskFacts, EtcdFacts, HostFacts, HostKeyKind, HostReading, Member, UnitFacts
from hetzner_k3s.model.identity import BirthRecord, Phase
from hetzner_k3s.model.kube import Credentials, KubeNode, KubeView
from hetzner_k3s.model.plan import Intent, Verb
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import ClusterSpec, MasterSpec, PoolSpec, SshSpec, WorkerSpec
from hetzner_k3s.model.state import ClusterState, LocalEvidence
from hetzner_k3s.model.tokens import HeldTokens
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
ROLLOUT: Final = Intent(verb=Verb.CREATE, addons=ADDONS, consents=Consents.of(Rollout("all")))
SURGING: Final = Intent(verb=Verb.CREATE, addons=ADDONS, consents=Consents.of(Rollout("all"), Surge("1")))
UPGRADE: Final = Intent(verb=Verb.CREATE, addons=ADDONS, consents=Consents.of(Upgrade()))
PRUNE: Final = Intent(verb=Verb.CREATE, addons=ADDONS, consents=Consents.of(Prune()))
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
                services=(API_SERVICE,),
                targets=(BalancerTarget(kind="label_selector", name=naming.members_selector(spec.name), private=True),),
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
        placement_group=group_of(spec, name),
    )


def group_of(spec: ClusterSpec, name: str) -> int | None:
    """Give the id of the placement group that a server of the file belongs to."""
    ids = {group.name: 20 + place for place, group in enumerate(spec.placement_groups())}
    return next((ids[s.placement_group] for s in spec.servers() if s.name == name and s.placement_group), None)


def member_id_of(server_id: int) -> str:
    """Give the etcd member id of the master on a server: as etcd's own ids, told apart by their first digits."""
    return str((server_id << 48) + 7)


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
        credentials=Credentials(token=spec.hetzner_token, network=spec.network_name),
    )


KEPT = HeldTokens(server="f" * 12, ca=CA)
"""The token of a healthy cluster, as this machine keeps it; made like those from before there were agent tokens."""


def kubeconfig_of(spec: ClusterSpec, state: ClusterState) -> LocalEvidence:
    """Let this machine hold the kubeconfig that fits."""
    urls = {m: f"https://{server_named(state, m).public_ipv4}:6443" for m in spec.master_names}
    if spec.api_load_balancer:
        urls[spec.name] = "https://198.51.100.40:6443"
    return LocalEvidence(kubeconfig_ca=CA, kubeconfig_servers=urls, open_birth=True, kept=(KEPT,))


def server_named(state: ClusterState, name: str) -> Server:
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
    return with_server(state, change(server_named(state, name)))


def with_reading(state: ClusterState, name: str, reading: HostReading | None) -> ClusterState:
    """Change what the host of this name tells; None: it was not looked at."""
    server_id = server_named(state, name).id
    others = {key: value for key, value in state.hosts.items() if key != server_id}
    return replace(state, hosts=others if reading is None else {**others, server_id: reading})


def edit_facts(state: ClusterState, name: str, change: Callable[[HostFacts], HostFacts]) -> ClusterState:
    """Change the facts of the host of this name."""
    facts = state.facts(server_named(state, name).id)
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
