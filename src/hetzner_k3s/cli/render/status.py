"""Renders the report of a cluster: tables for stdout, and the same as JSON (docs/reference/status.md)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from hetzner_k3s.cli.render.plan import forecast_rows
from hetzner_k3s.cli.render.tables import age, table
from hetzner_k3s.model.difference import left_as_it_is
from hetzner_k3s.model.identity import BirthRecord
from hetzner_k3s.model.report import CLUSTER_OF_2X, Health, MemberReport, Report, ServerReport
from hetzner_k3s.model.text.wording import size

SCHEMA = 1
"""Raised when a key of the JSON document changes its meaning or goes; new keys may come at any time."""

_SERVER = ("SERVER", "ID", "HETZNER", "ADDRESS", "HOST", "K3S", "VERSION", "ETCD", "NODE")
_MEMBER = ("MEMBER", "ADDRESS", "STATE", "CONNECTED TO IT")
_SNAPSHOT = ("SNAPSHOT", "WHERE", "AGE", "SIZE")
_SPARE_OF_SERVERS = ("ID", "VERSION", "HETZNER")
_SPARE_OF_SNAPSHOTS = ("SIZE",)
"""What a narrow terminal can do without: `--json` has all, and the line `k3s` says which versions run."""
_NONE = "-"


def status_lines(report: Report, width: int | None = None) -> Iterator[str]:
    """Render who the cluster is, how well it is and why, then its servers, members and snapshots, and what drifted.

    `width` are the characters that a terminal shows side by side, None where lines need not fit.
    """
    if report.health is Health.UNKNOWN and all(server.id is None for server in report.servers):
        yield f"{report.cluster}: what exists at Hetzner could not be listed"
        return
    yield identity_line(report)
    yield from _summary(report)
    yield ""
    yield from table([_SERVER, *(_server_row(server) for server in report.servers)], width, _SPARE_OF_SERVERS)
    if report.members:
        yield ""
        yield from table([_MEMBER, *(_member_row(member) for member in report.members)])
    if report.snapshots:
        yield ""
        rows = [(s.name, s.where, age(s.age), size(s.size)) for s in report.snapshots]
        yield from table([_SNAPSHOT, *rows], width, _SPARE_OF_SNAPSHOTS)
    if told := remarks(report):
        yield ""
        yield from told


def identity_line(report: Report) -> str:
    """Return which cluster it is: phase, CA, UID and lineage of the birth record."""
    name, record = report.cluster, report.record
    if not isinstance(record, BirthRecord):
        return f"{name}: the birth record has two values of {record.field}: {', '.join(record.values)}"
    if record.phase is None:
        of_2x = any(refusal.code == CLUSTER_OF_2X for refusal in report.forecast.refusals)
        return f"{name}: a cluster of hetzner-k3s 2.x" if of_2x else f"{name}: not initialized yet"
    parts = (("ca", (record.ca or _NONE)[:8]), ("uid", record.uid or _NONE), ("lineage", record.lineage or _NONE))
    made = f"; made by hetzner-k3s 2.x, adopted on {record.adopted}" if record.adopted else ""
    return f"{name}: {record.phase.value}, " + ", ".join(f"{key} {value}" for key, value in parts) + made


def _summary(report: Report) -> Iterator[str]:
    yield f"health  {report.health.value}"
    yield from (f"        {why}" for why in report.because)
    if (quorum := report.quorum) is not None:
        yield f"etcd    {quorum.healthy} of {quorum.voters} voters seen healthy, {quorum.needed} needed"
    if report.on_database:
        yield "data    in an external database: the masters have no etcd, and no members"
    running = "; ".join(f"{version} on {len(names)}" for version, names in report.versions.items())
    yield f"k3s     {running or 'none runs'}; the file says {report.file_version}"


def remarks(report: Report) -> tuple[str, ...]:
    """Return what is to be known beside the tables, a sentence each."""
    known = {server.name for server in report.servers}
    orphans = [node.name for node in report.nodes if node.name not in known]
    of_2x = [refusal for refusal in report.forecast.refusals if refusal.code == CLUSTER_OF_2X]
    return (
        *(f"made by 2.x: {refusal.saw} {refusal.why} {refusal.you_can}" for refusal in of_2x),
        *(f"drift: {one.subject}: {one.saw}" for one in report.drift),
        *(f"differs: {what}" for what in left_as_it_is(report.forecast.differences)),
        *(f"another cluster's: {one.server}: {one.saw}" for one in report.strangers),
        *(f"beyond the file: {name}" for name in report.beyond_file),
        *(f"surge: {what}" for what in report.surge),
        *(f"tokens: {what}" for what in report.tokens),
        *(f"not looked at: {what}" for what in report.not_seen),
        *(f"this machine: {what}" for what in report.this_machine),
        *(f"Node without a server of this cluster: {name}" for name in orphans),
    )


def _server_row(server: ServerReport) -> tuple[str, ...]:
    number = None if server.id is None else str(server.id)
    k3s = (server.unit, server.version)
    cells = (server.name, number, server.hetzner, server.address, server.host, *k3s, server.etcd, server.node)
    return tuple(cell or _NONE for cell in cells)


def _member_row(member: MemberReport) -> tuple[str, ...]:
    return (member.name or _NONE, member.address, member.state.value, ", ".join(member.connected) or _NONE)


def status_document(report: Report) -> dict[str, object]:
    """Return the report as JSON data; docs/reference/status.md says what each key means."""
    return {
        "schema": SCHEMA,
        "cluster": report.cluster,
        "observed_at": report.observed_at,
        "health": report.health.value,
        "because": list(report.because),
        "identity": _identity(report),
        "strangers": [asdict(one) for one in report.strangers],
        "datastore": "external" if report.on_database else "etcd",
        "quorum": asdict(report.quorum) if report.quorum else None,
        "servers": [asdict(server) for server in report.servers],
        "members": [{**asdict(member), "state": member.state.value} for member in report.members],
        "nodes": [asdict(node) for node in report.nodes],
        "versions": {"file": report.file_version, "running": dict(report.versions)},
        "snapshots": [asdict(snapshot) for snapshot in report.snapshots],
        "not_seen": list(report.not_seen),
        "tokens": list(report.tokens),
        "this_machine": list(report.this_machine),
        "beyond_file": list(report.beyond_file),
        "surge": list(report.surge),
        "drift": [asdict(one) for one in report.drift],
        "pending": forecast_rows(report.forecast),
    }


def _identity(report: Report) -> dict[str, object]:
    record = report.record
    if not isinstance(record, BirthRecord):
        empty = dict.fromkeys(("phase", "seed", "ca", "uid", "lineage", "adopted"))
        return {**empty, "conflict": {"field": record.field, "values": list(record.values)}}
    phase = record.phase.value if record.phase else None
    return {
        "phase": phase,
        "seed": record.seed,
        "ca": record.ca,
        "uid": record.uid,
        "lineage": record.lineage,
        "adopted": record.adopted,
        "conflict": None,
    }
