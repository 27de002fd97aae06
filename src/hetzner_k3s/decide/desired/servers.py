"""The servers as they were bought: type, location and image, and the release of k3s on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.difference import Difference, Remedy
from hetzner_k3s.model.hosts import first_boot
from hetzner_k3s.model.spec import MasterSpec, ServerSpec, WorkerSpec

MASTERS: Final = "masters_pool"
WORKERS: Final = "worker_node_pools[]"


def bought_otherwise(context: DecisionContext) -> Iterator[Difference]:
    """Return where a server of the file was bought as another one than the file says now."""
    for spec in context.spec.servers():
        server = context.server(spec.name)
        if server is not None:
            yield from _as_ordered(spec, server)


def _as_ordered(spec: MasterSpec | WorkerSpec, server: Server) -> Iterator[Difference]:
    pool, place = (MASTERS, "locations") if isinstance(spec, MasterSpec) else (WORKERS, "location")
    fields = (
        (f"{pool}.instance_type", spec.instance_type, (server.server_type,), Remedy.RESIZE),
        (f"{pool}.{place}", spec.location, (server.location,), Remedy.REPLACE),
        (f"{pool}.image", spec.image, server.image, Remedy.REPLACE),
    )
    for field, wanted, names, remedy in fields:
        seen = next(filter(None, names), "")
        # What Hetzner's answer lacks is not compared, nor an id in the file where the answer has names only.
        if seen and wanted not in names and not (wanted.isdecimal() and not any(map(str.isdecimal, names))):
            yield Difference(subject=spec.name, field=field, wanted=wanted, seen=seen, remedy=remedy)


def booted_otherwise(context: DecisionContext) -> Iterator[Difference]:
    """Return which servers were made with other packages or commands; earlier releases left no word of theirs."""
    for spec in context.spec.servers():
        server = context.server(spec.name)
        label = server.labels.get(naming.LABEL_FIRST_BOOT, "") if server is not None else ""
        for field in first_boot.changed(spec.boot, label):
            yield Difference(
                subject=spec.name,
                field=field,
                wanted="something else",
                seen="what it was made with",
                remedy=Remedy.REPLACE,
                because="it acts at a server's first boot; only a server that is made anew gets it",
            )


def of_another_release(context: DecisionContext) -> Iterator[Difference]:
    """Return which servers run another k3s than the file's."""
    wanted = str(context.spec.k3s_version)
    for name, version in _running(context, context.spec.servers()):
        if version != wanted:
            yield Difference(subject=name, field="k3s_version", wanted=wanted, seen=version, remedy=Remedy.UPGRADE)


def _running(context: DecisionContext, servers: tuple[ServerSpec, ...]) -> Iterator[tuple[str, str]]:
    for spec in servers:
        server = context.server(spec.name)
        facts = context.state.facts(server.id) if server is not None else None
        if facts is not None and facts.k3s_version and (facts.server_unit.runs or facts.agent_unit.runs):
            yield spec.name, facts.k3s_version
