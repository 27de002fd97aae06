"""What a plan waits for, come true: so that a forecast shows the way beyond it, and a run may go it."""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.decide.desired.addons_of_2x import installed
from hetzner_k3s.decide.lifecycle.bootstrap import found_servers
from hetzner_k3s.decide.preflight.steadiness import stayed_up
from hetzner_k3s.decide.view import extra_servers, stale_lineage
from hetzner_k3s.decide.view.predictions import (
    PREDICTED_ADDRESS,
    fresh_host,
    map_kube,
    map_members,
    map_peers,
    with_only_voter,
)
from hetzner_k3s.decide.view.servers.membership import labelled_member
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import Server, ServerStatus
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import HostFacts, HostKeyKind, Member
from hetzner_k3s.model.identity import RecordConflict
from hetzner_k3s.model.kube import KubeNode, KubeView
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState


def come_true(spec: ClusterSpec, state: ClusterState) -> ClusterState:
    """Return what the world looks like when everything that comes by itself has come."""
    state = _charts_installed(_commands_ended(state))
    seen = _nodes_initialized(_balancer_addressed(spec, _fresh_hosts_seen(spec, _servers_rested(state))))
    up = stayed_up(_serving_after_reset(spec, seen))
    return _api_read(spec, _learners_promoted(_peers_given_up(spec, up)))


def _serving_after_reset(spec: ClusterSpec, state: ClusterState) -> ClusterState:
    """Let a master that was reset and started serve: its lineage is the one that the record does not know yet."""
    record = lookup.birth_record(spec, state.view)
    if isinstance(record, RecordConflict):
        return state
    for server in lookup.owned_masters(spec.name, state.view):
        facts = state.facts(server.id)
        if facts and stale_lineage.began_anew(facts, record) and not facts.held and state.kube_of(server.id) is None:
            return with_only_voter(spec, state, server.id, record, facts.lineage or "")
    return state


def _servers_rested(state: ClusterState) -> ClusterState:
    """Let Hetzner end what it does to servers: what is being deleted is gone, the rest runs or is off."""
    deleted = {s.id: Known(False) for s in state.view.servers if s.status is ServerStatus.DELETING}
    left = tuple(
        replace(s, status=_RESTS_AS.get(s.status, s.status)) for s in state.view.servers if s.id not in deleted
    )
    hosts = {key: reading for key, reading in state.hosts.items() if key not in deleted}
    rested = replace(state, hosts=hosts, lookups={**state.lookups, **deleted})
    return rested.with_view(replace(state.view, servers=left)) if left != state.view.servers else state


_RESTS_AS = {
    ServerStatus.INITIALIZING: ServerStatus.RUNNING,
    ServerStatus.STARTING: ServerStatus.RUNNING,
    ServerStatus.REBUILDING: ServerStatus.RUNNING,
    ServerStatus.MIGRATING: ServerStatus.RUNNING,
    ServerStatus.STOPPING: ServerStatus.OFF,
}


def _fresh_hosts_seen(spec: ClusterSpec, state: ClusterState) -> ClusterState:
    """Let hosts that boot for the first time answer; what a silent member would say, nobody can foresee."""
    unseen = (s for s in found_servers(spec, state.view) if state.facts(s.id) is None and not labelled_member(s))
    booting = Known(fresh_host(state, HostKeyKind.BOOT))
    fresh = {s.id: booting for s in unseen if s.status is ServerStatus.RUNNING}
    return replace(state, hosts={**state.hosts, **fresh})


def _commands_ended(state: ClusterState) -> ClusterState:
    """Let the commands that come after k3s end."""
    ended = {
        key: Known(replace(reading.value, commands_wait=False))
        for key, reading in state.hosts.items()
        if isinstance(reading, Known) and reading.value.commands_wait
    }
    return replace(state, hosts={**state.hosts, **ended}) if ended else state


def _nodes_initialized(state: ClusterState) -> ClusterState:
    """Let a cloud controller see every Node."""
    return map_kube(state, lambda kube: replace(kube, nodes=tuple(map(_initialized, kube.nodes))))


def _charts_installed(state: ClusterState) -> ClusterState:
    """Let k3s install the charts that took the place of what 2.x applied."""

    def come(kube: KubeView) -> KubeView:
        of_2x = {chart: installed(chart) if chart in kube.addons else found for chart, found in kube.of_2x.items()}
        return replace(kube, of_2x=of_2x) if of_2x != kube.of_2x else kube

    return map_kube(state, come)


def _initialized(node: KubeNode) -> KubeNode:
    return replace(node, uninitialized=False) if node.uninitialized else node


def _balancer_addressed(spec: ClusterSpec, state: ClusterState) -> ClusterState:
    name = naming.api_load_balancer(spec.name)
    network = lookup.network_id(spec, state.view)
    inside = {} if network is None else {network: PREDICTED_ADDRESS}
    balancers = tuple(
        replace(b, public_ipv4=PREDICTED_ADDRESS, private_ips={**inside, **b.private_ips})
        if b.name == name and b.public_ipv4 is None
        else b
        for b in state.view.load_balancers
    )
    return state.with_view(replace(state.view, load_balancers=balancers))


def _peers_given_up(spec: ClusterSpec, state: ClusterState) -> ClusterState:
    """Let etcd notice which peers are gone; a master that only we cannot reach stays connected to them."""
    told = [reading.value.etcd for reading in state.hosts.values() if isinstance(reading, Known)]
    silent = {s.name for s in lookup.owned_masters(spec.name, state.view) if _silent(s, state)}
    living = {etcd.member_id for etcd in told}
    living |= {m.id for etcd in told for m in etcd.members or () if m.node in silent}
    return map_peers(state, lambda peers: tuple(peer for peer in peers if peer in living))


def _silent(server: Server, state: ClusterState) -> bool:
    return labelled_member(server) and server.status is ServerStatus.RUNNING and state.facts(server.id) is None


def _learners_promoted(state: ClusterState) -> ClusterState:
    return map_members(state, lambda members: tuple(replace(m, learner=False) for m in members))


def _api_read(spec: ClusterSpec, state: ClusterState) -> ClusterState:
    """Let the API answer through a voter; who has a Node is guessed from who has a member or runs an agent."""
    masters = lookup.owned_masters(spec.name, state.view)
    voters = [(s, f) for s in masters if (f := state.facts(s.id)) is not None and f.serves]
    if not voters or any(state.kube_of(s.id) for s in masters):
        return state
    server, facts = voters[0]
    view = KubeView(uid=facts.uid or "", nodes=(*_masters_nodes(spec, state, facts), *_agents_nodes(spec, state)))
    return replace(state, kube={**state.kube, server.id: Known(view)})


def _masters_nodes(spec: ClusterSpec, state: ClusterState, facts: HostFacts) -> tuple[KubeNode, ...]:
    names = (*spec.master_names, *(m.name for m in extra_servers.surplus_masters(spec, state.view)))
    named = {name: _named_after(name, facts.etcd.members or ()) or _serves(state, name) for name in names}
    return tuple(
        KubeNode(name=name, uid="predicted", ready=True, control_plane=True, server_id=_recorded(state.server(name)))
        for name, has_member in named.items()
        if has_member
    )


def _serves(state: ClusterState, name: str) -> bool:
    server = state.server(name)
    facts = state.facts(server.id) if server else None
    return facts is not None and facts.on_database and facts.serves


def _named_after(name: str, members: tuple[Member, ...]) -> bool:
    return any(m.node == name for m in members)


def _recorded(server: Server | None) -> int | None:
    return server.id if server is not None and labelled_member(server) else None


def _agents_nodes(spec: ClusterSpec, state: ClusterState) -> tuple[KubeNode, ...]:
    wanted = (s for worker in spec.workers() if (s := state.server(worker.name)) is not None)
    seen = ((s, state.facts(s.id)) for s in (*wanted, *extra_servers.surplus_workers(spec, state.view)))
    running = [s for s, facts in seen if facts is not None and facts.agent_unit.active == "active"]
    return tuple(KubeNode(name=s.name, uid="predicted", ready=True, server_id=s.id) for s in running)
