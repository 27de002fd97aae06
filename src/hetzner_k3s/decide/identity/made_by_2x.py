"""A living cluster that hetzner-k3s 2.x made: recognised by its masters' disks, named, and left alone.

Its servers have the names and labels that ours have, but no host key, no record of a bootstrap. Without this it looked
like a birth in whose way there are servers, and the way out was said to be to delete them.
"""

from __future__ import annotations

from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.decide.view.node_machine import whereabouts
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.plan import Refusal
from hetzner_k3s.model.report import CLUSTER_OF_2X


def made_by_2x(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse to work beside masters on which hetzner-k3s 2.x installed k3s."""
    masters = _masters_of_2x(context)
    if not masters:
        return ()
    return (
        Refusal(
            code=CLUSTER_OF_2X,
            saw=f"'{context.spec.name}' is a cluster that hetzner-k3s 2.x made: {'; '.join(masters)}. Their token lies "
            "bare in k3s.service.env, they have no config.yaml, and no label of this tool.",
            why="This version did not make it and cannot take it over yet; a new cluster beside it would be a second "
            "one. Nothing was changed.",
            you_can="Go on managing it with hetzner-k3s 2.x, and delete none of its servers. For a new cluster choose "
            "another cluster_name.",
        ),
    )


def is_of_2x(context: DecisionContext) -> bool:
    """Check whether what answers under the cluster's names is a cluster of 2.x."""
    return bool(_masters_of_2x(context))


def _masters_of_2x(context: DecisionContext) -> list[str]:
    if context.control_plane.record.phase is Phase.BORN:
        return []
    told = []
    for server in context.view.servers:
        origin = context.state.origins.get(server.id)
        if isinstance(origin, Known) and origin.value.by_2x:
            state = "runs" if origin.value.runs else "is not active"
            told.append(
                f"{server.name} ({whereabouts(server)}) starts k3s with {origin.value.flag} in its unit, which {state}"
            )
    return told
