"""How the steps of a restore change a state: a snapshot is kept, lies restored on a host, and is started."""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.decide.view.predictions import (
    PREDICTED_LINEAGE,
    map_kube,
    map_servers,
    node_of,
    whole_ca,
    with_facts,
    with_only_voter,
)
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.host import DiskFacts, EtcdFacts, HostFacts
from hetzner_k3s.model.identity import BirthRecord
from hetzner_k3s.model.kube import KubeView
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import KeepSnapshot, RestoreSnapshot


def with_kept_snapshot(state: ClusterState, step: KeepSnapshot) -> ClusterState:
    """Lay the kept copy of a snapshot beside it."""
    return state.with_snapshot(step.copy)


def with_restored_data(spec: ClusterSpec, state: ClusterState, step: RestoreSnapshot) -> ClusterState:
    """Lay a restored snapshot on a host, not started."""
    record = lookup.birth_record(spec, state.view)
    recorded = (record.ca or "") if isinstance(record, BirthRecord) else ""

    def bare(server: Server) -> Server:
        labels = {k: v for k, v in server.labels.items() if k != naming.LABEL_STATE}
        return replace(server, labels=labels) if server.id == step.server_id else server

    def change(facts: HostFacts) -> HostFacts:
        disk = DiskFacts(
            wal=True,
            server_ca=whole_ca(state, recorded),
            token_hash=step.token_hash,
            config_token_hash=step.token_hash,
            agent_token_hash=step.agent_hash,
            config_agent_hash=step.agent_hash,
            config_present=True,
        )
        ended = replace(facts, server_unit=replace(facts.server_unit, active="inactive"), etcd=EtcdFacts())
        return replace(ended, disk=disk, lineage=PREDICTED_LINEAGE, parent_lineage=step.parent, restoring=False)

    return with_facts(map_servers(state, bare), step.server_id, change)


def with_restored_voter(spec: ClusterSpec, state: ClusterState, server_id: int) -> ClusterState:
    """Start a restored master: it is the only member, has a new Node, and those of lost masters are gone."""
    record = lookup.birth_record(spec, state.view)
    known = record if isinstance(record, BirthRecord) else BirthRecord()
    facts = state.facts(server_id)
    lineage = (facts.lineage if facts else None) or PREDICTED_LINEAGE
    voting = with_only_voter(spec, state, server_id, known, lineage)
    ended = with_facts(voting, server_id, lambda f: replace(f, agentless=False))
    workers, own = (
        {worker.name for worker in spec.workers()},
        node_of(next(s for s in state.view.servers if s.id == server_id)),
    )

    def registered_anew(kube: KubeView) -> KubeView:
        living = (node for node in kube.nodes if node.name in workers or state.server(node.name) is not None)
        nodes = tuple(node for node in living if node.name != own.name)
        return replace(kube, nodes=(*nodes, own), node_passwords=(*(node.name for node in nodes), own.name))

    return map_kube(ended, registered_anew)
