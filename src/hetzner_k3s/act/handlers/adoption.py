"""Carries out the step that adopts a cluster of hetzner-k3s 2.x: labels and one ConfigMap, nothing else."""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.act import birth_record, journal
from hetzner_k3s.act.context import Context, LabelChange, Outcome
from hetzner_k3s.act.handlers.control_plane import lineage_object
from hetzner_k3s.act.labels import merge
from hetzner_k3s.act.waiting import together
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.errors import WrongCluster
from hetzner_k3s.model.host import HostFacts
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.identity import BirthRecord
from hetzner_k3s.model.operations.looks import Probe
from hetzner_k3s.model.steps import AdoptCluster

_LINEAGE_BYTES = 8


async def adopt_cluster(step: AdoptCluster, context: Context) -> Outcome:
    """Record the cluster, its hosts first: a run that is killed before the record is gone on with by the same flag.

    Only the lineage that the record names counts, so one that a killed run left in the ConfigMap is written over.
    """
    first = step.record.lineage is None
    record = replace(step.record, lineage=context.ports.rng.token_hex(_LINEAGE_BYTES)) if first else step.record
    servers = [(context.server(number), key) for number, key in step.host_keys]
    voters = await _voters_by_their_keys(context, servers, record)
    context.say(step.target, f"recording the host keys of {len(servers)} servers")
    changes = await together(*(merge(context, "server", s.id, _labels(s, key, record, voters)) for s, key in servers))
    if not first:
        return Outcome(labels=tuple(changes))
    context.say(step.target, "recording the cluster")
    await context.ports.kube.apply(_target(context, servers, step.via), (lineage_object(record.lineage or ""),))
    around = await _label_surroundings(context)
    masters = {server.id for server, _ in servers if server.id in voters}
    carriers = birth_record.carriers(context.spec, context.state.view)
    ours = [c for c in carriers if c.kind != "server" or c.resource.id in masters]
    written = await birth_record.write(context, record.labels(), ours)
    journal.birth_opened(context.ports.local, context.spec.name)
    return Outcome(labels=(*changes, *around, *written))


async def _voters_by_their_keys(
    context: Context, servers: list[tuple[Server, str]], record: BirthRecord
) -> frozenset[int]:
    """Ask every master once more, by the key that was shown, and return those that vote in the recorded cluster.

    Raises:
        WrongCluster: one of them is another cluster's by now.
    """
    masters = [(s, key) for s, key in servers if s.labels.get(naming.LABEL_ROLE) == naming.ROLE_MASTER]
    looks = (context.ports.hosts.perform(_by_key(context, s, key), Probe()) for s, key in masters)
    told = await together(*looks)
    for (server, _), facts in zip(masters, told, strict=True):
        if facts.voter and not _is_of(facts, record):
            raise WrongCluster(
                f"{server.name} answers with CA {(facts.disk.server_ca or '-')[:8]}, UID {facts.uid}; to be adopted is "
                f"CA {(record.ca or '-')[:8]}, UID {record.uid}",
                hint="Nothing was recorded. Look whose cluster it is.",
            )
    return frozenset(server.id for (server, _), facts in zip(masters, told, strict=True) if facts.voter)


def _is_of(facts: HostFacts, record: BirthRecord) -> bool:
    return (facts.disk.server_ca or "").startswith(record.ca or "-") and facts.uid == record.uid


def _by_key(context: Context, server: Server, key: str) -> HostTarget:
    """Return how a server is reached whose host key is this one, whatever its labels say yet."""
    return context.target_of(replace(server, labels={**server.labels, naming.LABEL_HOST_KEY: key}))


def _target(context: Context, servers: list[tuple[Server, str]], via: int) -> HostTarget:
    shown = next(((server, key) for server, key in servers if server.id == via), None)
    return _by_key(context, *shown) if shown is not None else context.target(via)


def _labels(server: Server, key: str, record: BirthRecord, voters: frozenset[int]) -> dict[str, str | None]:
    state = {naming.LABEL_STATE: naming.STATE_MEMBER} if server.id in voters else {}
    return {naming.LABEL_HOST_KEY: key, naming.LABEL_ADOPTED: record.adopted, **state}


async def _label_surroundings(context: Context) -> tuple[LabelChange, ...]:
    """Give network, firewall and load balancer the cluster's label where 2.x left it out."""
    spec, view = context.spec, context.state.view
    found = (
        ("network", lookup.made_network(spec, view)),
        ("firewall", lookup.firewall(spec, view)),
        ("load_balancer", lookup.load_balancer(spec, view)),
    )
    lacking = [(kind, one.id) for kind, one in found if one is not None and not lookup.is_owned(spec.name, one.labels)]
    label = {naming.LABEL_CLUSTER: spec.name}
    return tuple(await together(*(merge(context, kind, number, label) for kind, number in lacking)))
