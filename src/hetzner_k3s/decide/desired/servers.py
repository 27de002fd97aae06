"""The servers as they were bought: type, location and image, and the release of k3s on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import Server, ServerStatus
from hetzner_k3s.model.difference import Difference, Remedy
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.hosts import first_boot
from hetzner_k3s.model.spec import MasterSpec, WorkerSpec

MASTERS: Final = "masters_pool"
WORKERS: Final = "worker_node_pools[]"
GROUP: Final = "placement group"
"""No key of the file leads to it: which group a server is in follows from its number."""


def bought_otherwise(context: DecisionContext) -> Iterator[Difference]:
    """Return where a server of the file was bought as another one than the file says now."""
    for spec in context.spec.servers():
        server = context.server(spec.name)
        if server is not None:
            yield from _as_ordered(context, spec, server)


def _as_ordered(context: DecisionContext, spec: MasterSpec | WorkerSpec, server: Server) -> Iterator[Difference]:
    pool, place = (MASTERS, "locations") if isinstance(spec, MasterSpec) else (WORKERS, "location")
    fields = (
        (f"{pool}.instance_type", spec.instance_type, (server.server_type,), _remedy_of_type(context, spec, server)),
        (f"{pool}.{place}", spec.location, (server.location,), Remedy.REPLACE),
        (f"{pool}.image", spec.image, server.image, Remedy.REPLACE),
    )
    for field, wanted, names, remedy in fields:
        seen = next(filter(None, names), "")
        # What Hetzner's answer lacks is not compared, nor an id in the file where the answer has names only.
        if seen and wanted not in names and not (wanted.isdecimal() and not any(map(str.isdecimal, names))):
            yield Difference(subject=spec.name, field=field, wanted=wanted, seen=seen, remedy=remedy)


def _remedy_of_type(context: DecisionContext, spec: MasterSpec | WorkerSpec, server: Server) -> Remedy:
    """Return how a server comes to another type: in place, where the architecture is its own and the disk fits.

    Where the catalogue was not read, Hetzner says so when it is asked (docs/facts/hetzner-api.md#change-of-type).
    """
    if not isinstance(context.state.assortment, Known):
        return Remedy.RESIZE
    now, then = map(context.state.assortment.value.server_type, (server.server_type, spec.instance_type))
    if now is None or then is None:
        return Remedy.RESIZE
    fits = now.architecture == then.architecture and then.disk >= (server.disk or 0)
    return Remedy.RESIZE if fits else Remedy.REPLACE


_WHILE_OFF: Final = (
    "Hetzner changes that only while a server is off, and `create` turns none off; one that is made anew gets it"
)


def placed_otherwise(context: DecisionContext) -> Iterator[Difference]:
    """Return which servers stand in another placement group, or have other public addresses, than the file says."""
    for spec in context.spec.servers():
        server = context.server(spec.name)
        if server is None or server.status not in {ServerStatus.RUNNING, ServerStatus.OFF}:
            continue  # what Hetzner is still making has no addresses yet
        for field, wanted, seen in (*_group(context, spec, server), *_addresses(context, server)):
            if wanted != seen:
                yield Difference(
                    subject=spec.name, field=field, wanted=wanted, seen=seen, remedy=Remedy.REPLACE, because=_WHILE_OFF
                )


def _group(context: DecisionContext, spec: MasterSpec | WorkerSpec, server: Server) -> Iterator[tuple[str, str, str]]:
    """Return wanted and present group; one that is missing is made, and servers of before stay outside of it."""
    wanted = lookup.placement_group(spec.placement_group, context.view) if spec.placement_group else None
    if wanted is not None:
        names = {group.id: group.name for group in context.view.placement_groups}
        yield GROUP, wanted.name, names.get(server.placement_group or 0, "none")


def _addresses(context: DecisionContext, server: Server) -> Iterator[tuple[str, str, str]]:
    network = context.spec.network
    for family, wanted in (("ipv4", network.public_ipv4), ("ipv6", network.public_ipv6)):
        if server.public is not None:
            texts = [
                f"a public {family.replace('ip', 'IP')} address" if is_so else "none"
                for is_so in (wanted, family in server.public)
            ]
            yield f"networking.public_network.{family}", texts[0], texts[1]


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
    for name, version in running_releases(context):
        if version != wanted:
            yield Difference(subject=name, field="k3s_version", wanted=wanted, seen=version, remedy=Remedy.UPGRADE)


def running_releases(context: DecisionContext) -> Iterator[tuple[str, str]]:
    """Return the servers of the file on which k3s runs, each with its release, as far as that is told."""
    for spec in context.spec.servers():
        server = context.server(spec.name)
        facts = context.state.facts(server.id) if server is not None else None
        if facts is not None and facts.k3s_version and (facts.server_unit.runs or facts.agent_unit.runs):
            yield spec.name, facts.k3s_version
