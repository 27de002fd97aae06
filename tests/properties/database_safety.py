"""What no plan may hold about a cluster in an external database, told from raw facts."""

from __future__ import annotations

from collections.abc import Iterator

from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import HostFacts
from hetzner_k3s.model.identity import BirthRecord, Phase
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import StartOnDatabase


def may_serve(spec: ClusterSpec, state: ClusterState) -> Iterator[str]:
    """Say which masters may serve what lies in the database although none tells so."""
    for server in lookup.owned_masters(spec.name, state.view):
        facts = state.facts(server.id)
        if naming.LABEL_STATE in server.labels and (facts is None or not facts.disk.empty):
            yield f"{server.name} may serve"


def starting(spec: ClusterSpec, state: ClusterState, step: StartOnDatabase) -> Iterator[str]:
    """Say why a master must not be started on the database."""
    found = lookup.birth_record(spec, state.view)
    record = found if isinstance(found, BirthRecord) else BirthRecord()
    facts = state.facts(step.server_id)
    if record.phase is not Phase.BORN or spec.database is None or record.database != spec.database.digits:
        yield "no cluster is recorded as initialized in that database"
    if facts is None or facts.serves or facts.disk.wal or facts.disk.server_ca not in {None, _ca_of(state, record)}:
        yield "its host was not seen without another cluster's data"
    giver = state.facts(step.via) if step.via is not None else None
    if step.via is not None and (giver is None or not giver.serves or giver.uid != record.uid):
        yield "its giver does not serve the recorded cluster"
    if step.via is None and any(f.serves for f in _hosts(state)):
        yield "a master serves, and is not asked for the token"
    if step.via is None and step.token_hash is None:
        yield "it would make a token of its own"


def _hosts(state: ClusterState) -> list[HostFacts]:
    return [f.value for f in state.hosts.values() if isinstance(f, Known)]


def _ca_of(state: ClusterState, record: BirthRecord) -> str | None:
    known = (ca for f in _hosts(state) for ca in (f.disk.server_ca, f.disk.agent_ca) if ca)
    return next((ca for ca in known if ca.startswith(record.ca or "-")), None)
