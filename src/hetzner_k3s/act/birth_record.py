"""The birth record in the labels of the cluster's resources: who carries it, reading, writing.

See docs/architecture.md#birth-record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hetzner_k3s.act.context import Context, LabelChange, Outcome
from hetzner_k3s.act.labels import merge
from hetzner_k3s.act.waiting import together
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import CloudView, Firewall, Network, PlacementGroup, Server
from hetzner_k3s.model.errors import WrongCluster
from hetzner_k3s.model.identity import BirthRecord, Phase, RecordConflict
from hetzner_k3s.model.spec import ClusterSpec


@dataclass(frozen=True, slots=True)
class Carrier:
    """A resource whose labels carry the record; `kind` is as `Cloud.merge_labels` takes it."""

    kind: str
    resource: Server | Network | PlacementGroup | Firewall


def carriers(spec: ClusterSpec, view: CloudView) -> tuple[Carrier, ...]:
    """Return what carries the record: the masters' first group, our own network and firewall, and every master."""
    shared: tuple[tuple[str, Network | PlacementGroup | Firewall | None], ...] = (
        ("placement_group", lookup.placement_group(naming.birth_record_placement_group(spec.name), view)),
        ("network", lookup.made_network(spec, view)),
        ("firewall", lookup.firewall(spec, view)),
    )
    return (
        *(Carrier(kind, resource) for kind, resource in shared if resource is not None),
        *(Carrier("server", server) for server in lookup.owned_masters(spec.name, view)),
    )


def concerned(context: Context, record: BirthRecord) -> tuple[Carrier, ...]:
    """Return the carriers that a new record is written to: masters get theirs when they are recorded as members.

    Before there is a cluster to lose, its first group suffices, and whatever carries an earlier record.
    """
    first, *others = carriers(context.spec, context.state.view)
    return (first, *(carrier for carrier in others if _is_concerned(carrier, record)))


def _is_concerned(carrier: Carrier, record: BirthRecord) -> bool:
    carries = not carrier.resource.labels.keys().isdisjoint((naming.LABEL_PHASE, naming.LABEL_STATE))
    return carries or (carrier.kind != "server" and record.phase is Phase.BORN)


def recorded(context: Context) -> BirthRecord:
    """Read the record as the union of what all carriers say.

    Raises:
        WrongCluster: two carriers contradict each other; a gate refuses that before any step, so this is a late catch.
    """
    record = lookup.birth_record(context.spec, context.state.view)
    if isinstance(record, RecordConflict):
        raise WrongCluster(
            f"the birth record has two values of {record.field}: {', '.join(record.values)}",
            hint="Run the command again to see who carries which.",
        )
    return record


async def write(
    context: Context, labels: Mapping[str, str | None], into: Sequence[Carrier] | None = None
) -> tuple[LabelChange, ...]:
    """Merge `labels` into these carriers, else into every one (None removes a label), and say what was changed.

    The placement group comes first: it alone outlives every server, so a run that is killed here leaves the record
    where the next one finds it, and what waits for the record need not wait for its copies.
    """
    found = carriers(context.spec, context.state.view) if into is None else into
    first = [await merge(context, carrier.kind, carrier.resource.id, labels) for carrier in found[:1]]
    context.learn(Outcome(labels=tuple(first)))
    return (*first, *await together(*(merge(context, c.kind, c.resource.id, labels) for c in found[1:])))
