"""How steps change a state where the cluster's data lies in a database: a master that starts serves, and holds none."""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.decide.view.predictions import (
    PREDICTED_AGENT_TOKEN,
    PREDICTED_CA,
    PREDICTED_TOKEN,
    PREDICTED_UID,
    map_kube,
    node_of,
    whole_ca,
    with_facts,
    with_node,
    with_remembered_nodes,
)
from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import DiskFacts, EtcdFacts, HostFacts, SupervisorFacts, UnitFacts
from hetzner_k3s.model.identity import BirthRecord, Identity
from hetzner_k3s.model.kube import KubeView
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState


def with_serving_master(spec: ClusterSpec, state: ClusterState, server_id: int) -> ClusterState:
    """Have a master serve what lies in the database; the first one shows the Nodes of those that are gone, too."""
    digits = spec.database.digits if spec.database else None
    identity, (token, agent) = _identity(spec, state), _tokens(spec, state)

    def serving(facts: HostFacts) -> HostFacts:
        disk = DiskFacts(
            server_ca=identity.ca,
            token_hash=token,
            config_token_hash=token,
            config_token_ca=identity.ca,
            agent_token_hash=agent,
            config_agent_hash=agent,
            config_database=digits,
            config_present=True,
        )
        supervisor = SupervisorFacts(token_accepted=True, api_answers=True, uid=identity.uid)
        unit = UnitFacts(active="active")
        return replace(facts, server_unit=unit, disk=disk, etcd=EtcdFacts(), supervisor=supervisor)

    served = with_facts(state, server_id, serving)
    server = next(s for s in state.view.servers if s.id == server_id)
    if any(isinstance(reading, Known) for reading in served.kube.values()):
        return map_kube(
            served, lambda kube: with_node(kube, replace(kube.node(server.name) or node_of(server), ready=True))
        )
    return _first_seen(spec, served, server, identity)


def _first_seen(spec: ClusterSpec, state: ClusterState, server: Server, identity: Identity) -> ClusterState:
    """Let the API answer for the first time: at a birth with one Node, else with those of all that the file names."""
    record = lookup.birth_record(spec, state.view)
    if not isinstance(record, BirthRecord) or record.ca is None:
        kube = KubeView(uid=identity.uid, nodes=(node_of(server),), node_passwords=(server.name,))
        return replace(state, kube={server.id: Known(kube)})
    return with_remembered_nodes(spec, state, server.id, identity.uid, record.lineage)


def _identity(spec: ClusterSpec, state: ClusterState) -> Identity:
    record = lookup.birth_record(spec, state.view)
    if not isinstance(record, BirthRecord) or record.ca is None:
        return Identity(PREDICTED_CA, PREDICTED_UID)
    living = (f.value.disk.server_ca for f in state.hosts.values() if isinstance(f, Known) and f.value.serves)
    return Identity(next((ca for ca in living if ca), None) or whole_ca(state, record.ca), record.uid or PREDICTED_UID)


def _tokens(spec: ClusterSpec, state: ClusterState) -> tuple[str, str | None]:
    """Return the hashes of the token and the agents' token: of a master that serves, of the record, of a birth."""
    record = lookup.birth_record(spec, state.view)
    born = isinstance(record, BirthRecord) and record.ca is not None
    recorded = record.agent if isinstance(record, BirthRecord) and born else PREDICTED_AGENT_TOKEN
    living = (f.value.disk for f in state.hosts.values() if isinstance(f, Known) and f.value.serves)
    held = ((disk.token_hash, disk.agent_token_hash) for disk in living if disk.token_hash)
    return next(held, (PREDICTED_TOKEN, recorded))
