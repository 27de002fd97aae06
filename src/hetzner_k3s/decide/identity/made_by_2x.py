"""Whether what answers is a living cluster that hetzner-k3s 2.x made: recognised by its masters' disks.

Its servers have the names and labels that ours have, but no host key, no record of a bootstrap. Without this it looked
like a birth in whose way there are servers, and the way out was said to be to delete them.
"""

from __future__ import annotations

from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.decide.view.node_machine import whereabouts
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.identity import Phase


def is_of_2x(context: DecisionContext) -> bool:
    """Check whether what answers under the cluster's names is a cluster of 2.x that was not adopted yet."""
    return bool(masters_of_2x(context))


def masters_of_2x(context: DecisionContext, but: frozenset[int] = frozenset()) -> list[str]:
    """Tell of each master that 2.x installed k3s on, while no cluster is recorded, without servers of these ids."""
    if context.control_plane.record.phase is Phase.BORN:
        return []
    told = []
    for server in context.view.servers:
        origin = context.state.origins.get(server.id)
        if isinstance(origin, Known) and origin.value.by_2x and server.id not in but:
            state = "runs" if origin.value.runs else "is not active"
            told.append(
                f"{server.name} ({whereabouts(server)}) starts k3s with {origin.value.flag} in its unit, which {state}"
            )
    return told
