"""The last look before a run may say "up to date": exit 0 means that the cluster lives and is what the file asks for.

Every other rule speaks of what it knows. Where none has a step, a wait or a refusal left and the cluster is still not
there, something is in a state that no rule knows, and saying nothing would be the worst answer.
"""

from __future__ import annotations

from collections.abc import Iterator

from hetzner_k3s.decide.lifecycle.workers import WorkerView, view_worker
from hetzner_k3s.decide.view import given_up
from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.decide.view.control_plane import MasterView
from hetzner_k3s.decide.view.node_machine import whereabouts
from hetzner_k3s.decide.view.servers.k3s import K3s
from hetzner_k3s.decide.view.voters import witnesses
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.plan import Refusal, Way

_SHOWN = 6
"""How many servers are named: of a thousand workers the first ones tell enough."""


def cluster_lives(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse to call a cluster up to date that was not born, or whose masters and workers have not all joined.

    What is told as degraded is left out: a voter that only we cannot look at, workers of a cluster that was given up.
    So is a surge server that could not be had: the file does not ask for it, and the run ends with that failure.
    """
    initialized = context.control_plane.record.phase is Phase.BORN
    unborn = [] if initialized else ["no initialization of this cluster is recorded as done"]
    views: list[MasterView | WorkerView] = [*_masters(context), *_workers(context)]
    missing = [view for view in views if not view.is_member]
    in_the_way = [view for view in missing if view.k3s is not K3s.READY] or missing
    seen = [*unborn, *map(_stands, in_the_way)]
    return (_unfinished(seen, [view.name for view in in_the_way]),) if seen else ()


def _masters(context: DecisionContext) -> Iterator[MasterView]:
    return (master for master in context.control_plane.masters if not witnesses(context, master))


def _workers(context: DecisionContext) -> Iterator[WorkerView]:
    wanted = (spec for spec in context.spec.workers() if not (spec.surge and spec.name in context.intent.unsold))
    workers = (view_worker(context, spec) for spec in wanted)
    return (worker for worker in workers if not given_up.left_over(context, worker.facts))


def _stands(view: MasterView | WorkerView) -> str:
    where = f" ({whereabouts(view.server)})" if view.server is not None else ""
    return f"{view.name}{where} is {view.condition}{f': {view.detail}' if view.detail else ''}"


def _unfinished(seen: list[str], names: list[str]) -> Refusal:
    more = f"; and {len(seen) - _SHOWN} more" if len(seen) > _SHOWN else ""
    return Refusal(
        code="cluster.unfinished",
        saw=f"The cluster is not what the file asks for: {'; '.join(seen[:_SHOWN])}{more}.",
        why="No rule of this tool knows what to do about that, and saying that all is well would be wrong.",
        you_can="Look at those hosts (`journalctl -u k3s`, on a worker `-u k3s-agent`) and run `create` again. If a "
        "server that never joined stays like that, delete it at Hetzner: `create` makes it anew.",
        ways=(Way(deletes=frozenset(names)),),
        transient=True,
    )
