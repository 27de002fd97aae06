"""How a step changes a state, for the forecast. Values that only the world can give are made up and say so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import Firewall, Network, PlacementGroup, Server
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import DiskFacts, EtcdFacts, HostFacts, HostKeyKind, Member, Snapshot, UnitFacts
from hetzner_k3s.model.identity import BirthRecord, Identity
from hetzner_k3s.model.kube import KubeNode, KubeView
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import ForgetBirth

_Labelled = TypeVar("_Labelled", Server, PlacementGroup, Network, Firewall)

PREDICTED_CA = "0" * 64
PREDICTED_UID = "00000000-0000-0000-0000-000000000000"
PREDICTED_ADDRESS = "(its address)"
PREDICTED_TOKEN = "0" * 12
PREDICTED_AGENT_TOKEN = "1" * 12
PREDICTED_IDS = 10**15
"""Server ids that are made up begin here: above any of Hetzner's, and readable in a label as theirs are."""


def fresh_host(state: ClusterState, key: HostKeyKind = HostKeyKind.FINAL) -> HostFacts:
    """Return what a new host tells: its clock is as right as those of the others, whatever this machine's says."""
    return HostFacts(key=key, ahead=state.cluster_ahead)


def with_facts(state: ClusterState, server_id: int, change: Callable[[HostFacts], HostFacts]) -> ClusterState:
    """Change what a host tells; a host that was never looked at starts as a fresh one."""
    before = state.facts(server_id) or fresh_host(state)
    return replace(state, hosts={**state.hosts, server_id: Known(change(before))})


def with_facts_of(
    state: ClusterState, server_ids: Sequence[int], change: Callable[[HostFacts], HostFacts]
) -> ClusterState:
    """Change what many hosts tell: as `with_facts` one after another, but a thousand hosts are copied once."""
    fresh = fresh_host(state)
    changed = {number: Known(change(state.facts(number) or fresh)) for number in server_ids}
    return replace(state, hosts={**state.hosts, **changed})


def map_servers(state: ClusterState, change: Callable[[Server], Server]) -> ClusterState:
    """Change every server of the listing."""
    return state.with_view(replace(state.view, servers=tuple(change(s) for s in state.view.servers)))


def map_kube(state: ClusterState, change: Callable[[KubeView], KubeView]) -> ClusterState:
    """Change what every master's API tells."""
    kube = {k: Known(change(v.value)) if isinstance(v, Known) else v for k, v in state.kube.items()}
    return replace(state, kube=kube)


def installed(role: K3sRole, version: str) -> Callable[[HostFacts], HostFacts]:
    """Return the change that puts k3s on a host, not started."""
    unit = UnitFacts(active="inactive")

    def change(facts: HostFacts) -> HostFacts:
        base = replace(facts, boot_finished=True, k3s_version=version, disk=replace(facts.disk, unit_flag=""))
        return replace(base, server_unit=unit) if role is K3sRole.SERVER else replace(base, agent_unit=unit)

    return change


def with_record(spec: ClusterSpec, state: ClusterState, record: BirthRecord) -> ClusterState:
    """Write a birth record on everything that carries it."""
    masters = {s.name for s in lookup.owned_masters(spec.name, state.view)}
    shared = with_shared_record(spec, state, record)
    return map_servers(shared, lambda s: _labelled(s, record.labels()) if s.name in masters else s)


def with_shared_record(spec: ClusterSpec, state: ClusterState, record: BirthRecord) -> ClusterState:
    """Write a birth record on everything that carries it beside the masters."""
    labels = record.labels()
    view = state.view
    group = naming.birth_record_placement_group(spec.name)
    network = None if spec.network.existing_network_name else spec.network_name
    return state.with_view(
        replace(
            view,
            placement_groups=tuple(_labelled(g, labels) if g.name == group else g for g in view.placement_groups),
            networks=tuple(_labelled(n, labels) if n.name == network else n for n in view.networks),
            firewalls=tuple(
                _labelled(f, labels) if f.name == naming.firewall(spec.name) else f for f in view.firewalls
            ),
        )
    )


def _labelled(resource: _Labelled, labels: Mapping[str, str]) -> _Labelled:
    return replace(resource, labels={**resource.labels, **labels})


def with_first_voter(spec: ClusterSpec, state: ClusterState, server_id: int) -> ClusterState:
    """Start the first master."""
    server = _server(state, server_id)
    facts = _voting(
        state,
        server_id,
        (_member(spec, state, server),),
        Identity(PREDICTED_CA, PREDICTED_UID),
        server_url=None,
        tokens=(PREDICTED_TOKEN,),
        agent=PREDICTED_AGENT_TOKEN,
    )
    kube = KubeView(uid=PREDICTED_UID, nodes=(node_of(server),), node_passwords=(server.name,))
    return replace(facts, kube={**facts.kube, server_id: Known(kube)})


PREDICTED_LINEAGE = "new lineage"
_LOST_MACHINE = 10**14
"""Ids of machines that old Nodes stand for are made up from here on."""


def with_only_voter(
    spec: ClusterSpec, state: ClusterState, server_id: int, record: BirthRecord, lineage: str = PREDICTED_LINEAGE
) -> ClusterState:
    """Make a master the only member, under a lineage that was made out of the recorded one."""
    server, before = _server(state, server_id), state.facts(server_id)
    disk = before.disk if before else DiskFacts()
    identity = Identity(disk.server_ca or PREDICTED_CA, record.uid or PREDICTED_UID)
    tokens = (disk.token_hash or PREDICTED_TOKEN,)
    agent = disk.agent_token_hash
    voting = _voting(
        state, server_id, (_member(spec, state, server),), identity, server_url=None, tokens=tokens, agent=agent
    )
    noted = with_facts(
        voting,
        server_id,
        lambda f: replace(f, held=False, log=None, lineage=lineage, parent_lineage=record.lineage),
    )
    return with_remembered_nodes(spec, noted, server_id, identity.uid, record.lineage)


def with_remembered_nodes(
    spec: ClusterSpec, state: ClusterState, server_id: int, uid: str, lineage: str | None
) -> ClusterState:
    """Let the API answer on one master, with the Nodes of all that the file names: the data remembers the lost ones."""
    nodes = tuple(_remembered(state, wanted.name, at) for at, wanted in enumerate(spec.servers()))
    lost = {n.server_id: Known(False) for n in nodes if n.server_id is not None and n.server_id >= _LOST_MACHINE}
    names = tuple(node.name for node in nodes)
    kube = KubeView(uid=uid, nodes=nodes, node_passwords=names, lineage=lineage)
    return replace(state, kube={server_id: Known(kube)}, lookups={**state.lookups, **lost})


def _remembered(state: ClusterState, name: str, at: int) -> KubeNode:
    """Return the Node that the datastore remembers of a server, or of one that was lost."""
    server = state.server(name)
    if server is None:
        return KubeNode(name=name, uid="predicted", ready=False, control_plane=False, server_id=_LOST_MACHINE + at)
    return replace(node_of(server), server_id=server.id)


def with_voter(spec: ClusterSpec, state: ClusterState, server_id: int, server_url: str) -> ClusterState:
    """Have another master join the list that the others serve."""
    server = _server(state, server_id)
    model = next(f.value for f in state.hosts.values() if isinstance(f, Known) and f.value.etcd.members)
    own = _member(spec, state, server)
    members = (*(m for m in model.etcd.members or () if not _of_one_host(m, own)), own)
    identity = Identity(model.disk.server_ca or PREDICTED_CA, model.etcd.uid or PREDICTED_UID)
    listed = map_members(state, lambda _: members)
    joined = _voting(
        listed,
        server_id,
        members,
        identity,
        server_url=server_url,
        tokens=model.etcd.bootstrap_keys,
        agent=model.disk.agent_token_hash,
    )
    return map_kube(joined, lambda kube: with_node(kube, node_of(server)))


def _voting(
    state: ClusterState,
    server_id: int,
    members: tuple[Member, ...],
    identity: Identity,
    *,
    server_url: str | None,
    tokens: tuple[str, ...],
    agent: str | None,
) -> ClusterState:
    """Have a master vote, with the token that the datastore knows in its files, and the agents' one."""
    token = next(iter(tokens), None)
    me = f"predicted-{server_id}"

    def change(facts: HostFacts) -> HostFacts:
        return replace(
            facts,
            server_unit=UnitFacts(active="active"),
            disk=DiskFacts(
                wal=True,
                server_ca=identity.ca,
                token_hash=token,
                config_token_hash=token,
                config_token_ca=identity.ca,
                agent_token_hash=agent,
                config_agent_hash=agent,
                config_server=server_url,
                config_present=True,
            ),
            etcd=EtcdFacts(
                healthy=True, member_id=me, leader=me, members=members, bootstrap_keys=tokens, uid=identity.uid
            ),
        )

    return with_facts(state, server_id, change)


def _server(state: ClusterState, server_id: int) -> Server:
    return next(s for s in state.view.servers if s.id == server_id)


def _member(spec: ClusterSpec, state: ClusterState, server: Server) -> Member:
    address = lookup.internal_ips(spec, state.view).of(server) or ""
    return Member(
        id=f"predicted-{server.id}",
        name=f"{server.name}-predicted",
        peer_urls=(f"https://{address}:2380",),
        learner=False,
    )


def node_of(server: Server) -> KubeNode:
    """Return the Node that a server registers."""
    control_plane = server.labels.get(naming.LABEL_ROLE) == naming.ROLE_MASTER
    return KubeNode(name=server.name, uid="predicted", ready=True, control_plane=control_plane)


def _of_one_host(listed: Member, own: Member) -> bool:
    """Check whether a listed member is the one that the host had become before its join was cut off."""
    return listed.address == own.address or listed.node == own.node


def with_node(kube: KubeView, node: KubeNode) -> KubeView:
    """Put a Node in the place of the one of its name."""
    return _with_nodes(kube, (node,))


def map_members(state: ClusterState, change: Callable[[tuple[Member, ...]], tuple[Member, ...]]) -> ClusterState:
    """Change every member list that is served."""
    return map_etcd(state, lambda etcd: replace(etcd, members=change(etcd.members or ())))


def map_peers(state: ClusterState, change: Callable[[tuple[str, ...]], tuple[str, ...]]) -> ClusterState:
    """Change which peers (member ids) each etcd is connected to."""
    return map_etcd(state, lambda etcd: replace(etcd, active_peers=change(etcd.active_peers)))


def map_etcd(state: ClusterState, change: Callable[[EtcdFacts], EtcdFacts]) -> ClusterState:
    """Change what every etcd tells that serves a member list."""
    hosts = {
        key: Known(replace(f.value, etcd=change(f.value.etcd))) if isinstance(f, Known) and f.value.etcd.members else f
        for key, f in state.hosts.items()
    }
    return replace(state, hosts=hosts)


def without_member(state: ClusterState, member_id: str) -> ClusterState:
    """Take a member off every list."""
    return map_members(state, lambda members: tuple(m for m in members if m.id != member_id))


def with_snapshot(state: ClusterState, server_id: int, name: str) -> ClusterState:
    """Lay a snapshot on a master's disk."""
    node = _server(state, server_id).name
    snapshot = Snapshot(name=f"{name}-{node}-predicted", size=1, created=state.cluster_time)
    return with_facts(state, server_id, lambda f: replace(f, snapshots=(*f.snapshots, snapshot)))


def without_membership(spec: ClusterSpec, state: ClusterState, server_id: int) -> ClusterState:
    """Take off a server what its labels say of data that is gone from it."""
    gone = lookup.outlived_labels(spec, state.view, _server(state, server_id))
    return without_labels(state, server_id, gone)


def without_labels(state: ClusterState, server_id: int, gone: Sequence[str]) -> ClusterState:
    """Take labels off a server."""

    def unlabelled(server: Server) -> Server:
        kept = {key: value for key, value in server.labels.items() if key not in gone}
        return replace(server, labels=kept) if server.id == server_id else server

    return map_servers(state, unlabelled)


def with_mark(state: ClusterState, server_id: int, server_url: str | None) -> ClusterState:
    """Record that a master is a member, which ends when its k3s is active and its Node is Ready."""
    server = _server(state, server_id)
    label = {naming.LABEL_STATE: naming.STATE_MEMBER}
    marked = map_servers(state, lambda s: replace(s, labels={**s.labels, **label}) if s.id == server_id else s)

    def settled(facts: HostFacts) -> HostFacts:
        unit = replace(facts.server_unit, active="active")
        named = facts.disk.config_server if server_url is None else server_url or None
        return replace(facts, server_unit=unit, disk=replace(facts.disk, config_server=named))

    return map_kube(with_facts(marked, server_id, settled), lambda kube: _with_recorded_node(kube, server))


def _with_recorded_node(kube: KubeView, server: Server) -> KubeView:
    node = kube.node(server.name) or node_of(server)
    return with_node(kube, replace(node, ready=True, server_id=server.id))


def with_ready_node(kube: KubeView, name: str) -> KubeView:
    """Let the Node of this name be Ready."""
    return replace(kube, nodes=tuple(replace(n, ready=True) if n.name == name else n for n in kube.nodes))


def with_workers(state: ClusterState, server_ids: Sequence[int]) -> ClusterState:
    """Have workers join and be recorded."""
    joined = set(server_ids)
    servers = {s.id: s for s in state.view.servers if s.id in joined}
    nodes = tuple(replace(node_of(servers[number]), server_id=number) for number in server_ids)
    active = with_facts_of(state, server_ids, lambda f: replace(f, agent_unit=UnitFacts(active="active")))
    return map_kube(active, lambda kube: _with_nodes(kube, nodes))


def _with_nodes(kube: KubeView, nodes: tuple[KubeNode, ...]) -> KubeView:
    names = {node.name for node in nodes}
    return replace(kube, nodes=(*[n for n in kube.nodes if n.name not in names], *nodes))


def without_resource(state: ClusterState, kind: str, resource_id: int) -> ClusterState:
    """Take a resource off the listing."""
    return state.with_view(state.view.without(kind, resource_id))


def without_record(state: ClusterState, step: ForgetBirth) -> ClusterState:
    """Take a birth record off everything that carries it, and remember here that its cluster was given up."""
    gone = step.record.labels().keys()
    view = state.view

    def bare(resource: _Labelled) -> _Labelled:
        return replace(resource, labels={k: v for k, v in resource.labels.items() if k not in gone})

    local = replace(
        state.local, open_birth=False, given_up=(*state.local.given_up, *filter(None, [step.ca])), kubeconfig_ca=None
    )
    stripped = replace(
        view,
        placement_groups=tuple(map(bare, view.placement_groups)),
        networks=tuple(map(bare, view.networks)),
        firewalls=tuple(map(bare, view.firewalls)),
        servers=tuple(map(bare, view.servers)),
    )
    return replace(state.with_view(stripped), local=local)


def whole_ca(state: ClusterState, recorded: str) -> str:
    """Return the CA hash of which the birth record has the beginning, as this machine or a worker knows it."""
    agents = (f.value.disk.agent_ca for f in state.hosts.values() if isinstance(f, Known))
    known = (state.local.kubeconfig_ca, *agents)
    return next((ca for ca in known if ca is not None and ca.startswith(recorded)), recorded.ljust(64, "0"))
