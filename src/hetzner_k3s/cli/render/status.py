"""Renders what was seen of a cluster, as a table for stdout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.errors import SshStage
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import HostFacts, Unreachable
from hetzner_k3s.model.identity import BirthRecord
from hetzner_k3s.model.kube import KubeView
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState

_HEADINGS = ("SERVER", "ID", "HETZNER", "ADDRESS", "HOST", "K3S", "ETCD", "NODE")
_NONE = "-"


def status_lines(spec: ClusterSpec, state: ClusterState) -> Iterator[str]:
    """Render one line for the cluster and a table of its servers, those that the file wants and those beyond it."""
    if not isinstance(state.cloud, Known):
        yield f"{spec.name}: what exists at Hetzner could not be listed"
        return
    yield identity_line(spec, state)
    yield from _table([_HEADINGS, *(_row(name, state, _kube(spec, state)) for name in _names(spec, state))])


def identity_line(spec: ClusterSpec, state: ClusterState) -> str:
    """Say which cluster it is: phase, CA, UID and lineage of the birth record."""
    record = lookup.birth_record(spec, state.view)
    if not isinstance(record, BirthRecord):
        return f"{spec.name}: the birth record has two values of {record.field}: {', '.join(record.values)}"
    if record.phase is None:
        return f"{spec.name}: not born yet"
    parts = (("ca", (record.ca or _NONE)[:8]), ("uid", record.uid or _NONE), ("lineage", record.lineage or _NONE))
    return f"{spec.name}: {record.phase.value}, " + ", ".join(f"{key} {value}" for key, value in parts)


def _names(spec: ClusterSpec, state: ClusterState) -> list[str]:
    existing = (server.name for server in lookup.owned_servers(spec.name, state.view))
    return list(dict.fromkeys((*(server.name for server in spec.servers()), *existing)))


def _kube(spec: ClusterSpec, state: ClusterState) -> KubeView | None:
    views = (state.kube_of(server.id) for server in lookup.owned_masters(spec.name, state.view))
    return next((view for view in views if view is not None), None)


def _row(name: str, state: ClusterState, kube: KubeView | None) -> tuple[str, ...]:
    server = state.server(name)
    if server is None:
        return (name, _NONE, "absent", _NONE, _NONE, _NONE, _NONE, _node(name, kube))
    facts = state.facts(server.id)
    return (
        name,
        str(server.id),
        server.status.value,
        server.public_ipv4 or next(iter(server.private_ips.values()), _NONE),
        _host(server, state),
        _k3s(facts),
        _etcd(facts),
        _node(name, kube),
    )


def _host(server: Server, state: ClusterState) -> str:
    reading = state.hosts.get(server.id)
    if isinstance(reading, Known):
        return "answers"
    if isinstance(reading, Unreachable):
        return "no answer" if reading.stage is SshStage.TCP else reading.stage.value
    return _NONE


def _k3s(facts: HostFacts | None) -> str:
    if facts is None:
        return _NONE
    unit = facts.server_unit if facts.server_unit.installed else facts.agent_unit
    return f"{facts.k3s_version or ''} {unit.active}".strip()


def _etcd(facts: HostFacts | None) -> str:
    if facts is None or facts.etcd.healthy is None:
        return _NONE
    if not facts.etcd.serving_voter:
        return "learner" if facts.etcd.learner else facts.etcd.reason or "unhealthy"
    return "leader" if facts.etcd.leader == facts.etcd.member_id else "voter"


def _node(name: str, kube: KubeView | None) -> str:
    node = kube.node(name) if kube else None
    if node is None:
        return _NONE
    return "Ready" if node.ready else "NotReady"


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
