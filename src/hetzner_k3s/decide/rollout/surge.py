"""Surge servers: workers beyond the file that are there while others of their pool are made anew.

While one waits for that, the rules are given a file whose pool has so many workers more: they are ordered and joined as
any other. When none waits any more they are beyond the file, and `prune.retire` lets them go. Which they are, their
number in the pool and the label of their order say, so a run that was cut off anywhere is gone on with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hetzner_k3s.decide.preflight.orders import network_is_full
from hetzner_k3s.decide.rollout import selection
from hetzner_k3s.decide.view import extra_servers
from hetzner_k3s.decide.view.consent_mismatch import unfit
from hetzner_k3s.decide.view.context import DecisionContext, Proposal, ServingContext, context_of
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.consents import MakeAnew, Prune, Rollout, Surge
from hetzner_k3s.model.plan import Intent, PlannedStep, Reason, Refusal, Scope, StepKey
from hetzner_k3s.model.spec import ClusterSpec, PoolSpec, WorkerSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import UnmarkSurge


def seen(
    spec: ClusterSpec, state: ClusterState, intent: Intent, in_flight: frozenset[StepKey] = frozenset()
) -> DecisionContext:
    """Look once at an observation, for all rules: with the surge servers where the rollout needs them."""
    context = context_of(spec, state, intent, in_flight)
    wider = _with_surge(context)
    return context if wider == spec else context_of(wider, state, intent, in_flight)


def wanted(
    spec: ClusterSpec, state: ClusterState, intent: Intent, in_flight: frozenset[StepKey] = frozenset()
) -> ClusterSpec:
    """Return what a run works for now: what the file says, and the surge servers where the rollout needs them."""
    return spec if intent.consents.get(Surge) is None else seen(spec, state, intent, in_flight).spec


def _with_surge(context: DecisionContext) -> ClusterSpec:
    """Return the file with the surge servers of each pool that waits, but for names that another server has."""
    if context.consents.get(Surge) is None or not isinstance(context, ServingContext):
        return context.spec
    free = [w for w in _asked_for(context) if not _is_taken(context, w.name)]
    return replace(context.spec, pools=tuple(_joined_by(pool, free) for pool in context.spec.pools))


def _joined_by(pool: PoolSpec, more: list[WorkerSpec]) -> PoolSpec:
    own = tuple(worker for worker in more if worker.pool == pool.name)
    return replace(pool, workers=(*pool.workers, *own)) if own else pool


def _asked_for(context: DecisionContext) -> Iterator[WorkerSpec]:
    """Return the surge servers of every pool of which a worker waits to be made anew, whoever has their names."""
    consent = context.consents.get(Surge)
    if consent is None:
        return
    waiting = selection.made_anew_next(context)
    for pool in context.spec.pools:
        if any(worker.name in waiting for worker in pool.workers):
            yield from _beyond(context.spec, pool, consent.number)


def _beyond(spec: ClusterSpec, pool: PoolSpec, number: int) -> Iterator[WorkerSpec]:
    """Return the workers of a pool's next numbers; none of them makes a placement group, which nobody would remove."""
    own = [worker for worker in pool.workers if not worker.surge]
    last, groups = own[-1], {worker.placement_group for worker in own}
    prefix = last.name.removesuffix(str(last.index))
    for index in range(last.index + 1, last.index + 1 + number):
        group = naming.workers_placement_group(spec.name, pool.name, naming.placement_group_index(index))
        yield replace(
            last,
            name=f"{prefix}{index}",
            index=index,
            placement_group=group if group in groups else None,
            surge=True,
        )


def is_surge(server: Server) -> bool:
    """Check whether a server was ordered as a surge server."""
    return server.labels.get(naming.LABEL_SURGE) == naming.SURGE


def _is_taken(context: DecisionContext, name: str) -> bool:
    server = context.server(name)
    ours = naming.server_labels(context.spec.name, naming.ROLE_WORKER, surge=True)
    return server is not None and not ours.items() <= server.labels.items()


def spare(context: DecisionContext) -> tuple[Server, ...]:
    """Return the surge servers of the pools that are rolled out and of which no worker is left to be made anew."""
    if context.consents.get(Surge) is None:
        return ()
    left = selection.left_to_make_anew(context)
    pools = selection.rolled_pools(context) - {w.pool for w in context.spec.workers() if w.name in left}
    return tuple(server for server in left_over(context) if pool_of(context, server) in pools)


def left_over(context: DecisionContext) -> tuple[Server, ...]:
    """Return the surge servers that are beyond the file now."""
    return tuple(s for s in extra_servers.surplus_workers(context.spec, context.view) if is_surge(s))


def pool_of(context: DecisionContext, server: Server) -> str:
    """Return the pool that a worker's name says."""
    found = naming.worker_name_pattern(context.spec.name).fullmatch(server.name)
    return found[1] if found is not None else ""


def note(context: DecisionContext, server: Server) -> str:
    """Return what a surge server beyond the file is, and how it goes."""
    pool = pool_of(context, server)
    left = f"{server.name} is a surge server of a rollout that was not ended, and is left as it is"
    if all(worker.pool != pool for worker in context.spec.workers()):
        return f"{left}: `create {Prune()}` lets it go"
    command = f"create {Rollout(pool)} {Surge('1')}"
    return f"{left}: `{command}` goes on with that and lets it go at the end, `create {Prune()}` lets it go now"


def keep_what_the_file_wants(context: ServingContext) -> Proposal | None:
    """Take the label off a surge server that the file has by now: it must not go with the next rollout."""
    own = (context.server(worker.name) for worker in context.spec.workers() if not worker.surge)
    steps = (UnmarkSurge(target=s.name, server_id=s.id) for s in own if s is not None and is_surge(s))
    return Proposal(tuple(_kept(step) for step in steps))


def _kept(step: UnmarkSurge) -> PlannedStep:
    because = "it was ordered for the time of a rollout, and the file asks for it now"
    return PlannedStep(step=step, scope=Scope.WORKER, reason=Reason.UNFINISHED, because=because)


def surge_fits(context: DecisionContext, consent: Surge) -> tuple[Refusal, ...]:
    """Refuse surge servers where no worker is made anew, whose names others have, or that the network cannot take."""
    given = [context.consents.get(kind) for kind in (Rollout, MakeAnew)]
    if not any(given):
        saw = "Surge servers are there while a rollout makes workers anew, and none was asked for."
        return (unfit(consent, saw, f"Give it with {Rollout.flag}, or with `replace`, or leave the flag away."),)
    why = _misfit(context) or _no_room(context)
    return () if why is None else (unfit(consent, *why),)


def _misfit(context: DecisionContext) -> tuple[str, str] | None:
    if selection.of_masters_alone(context):
        saw = "Only masters are meant, and they have no surge servers: they go one at a time, as the quorum allows."
        return saw, "Run the command again without that flag."
    taken = [context.server(w.name) for w in _asked_for(context) if _is_taken(context, w.name)]
    names = ", ".join(f"{server.name} (id {server.id})" for server in taken if server is not None)
    if not names:
        return None
    saw = f"A surge server would have the name of one that is there and was not ordered as one: {names}."
    return saw, (
        "Raise instance_count of its pool to have it in the file, rename it, or let it go in a run before this one. Or "
        "leave the flag away."
    )


def _no_room(context: DecisionContext) -> tuple[str, str] | None:
    missing = [w.name for w in context.spec.surge_workers() if context.server(w.name) is None]
    full = network_is_full(context) if missing else None
    if full is None:
        return None
    return f"There is no room for {', '.join(missing)}: {full}.", "Give a smaller number, or leave the flag away."
