"""The copy of the cluster's tokens on this machine, for the night when all masters are lost.

Workers hold the agents' token only, so beside the masters and the backups this is where the servers' one is found.
"""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.decide.view import held_tokens
from hetzner_k3s.decide.view.context import DecisionContext, Proposal, ServingContext
from hetzner_k3s.decide.view.control_plane import current_token
from hetzner_k3s.model.host import HostFacts
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import KeepTokens, Step
from hetzner_k3s.model.tokens import HeldTokens


def keep_tokens(context: ServingContext) -> Proposal | None:
    """Plan to keep the tokens here, once the cluster is born and where they are not kept yet or were rotated."""
    if is_kept(context) is not False:
        return None
    step = KeepTokens(target=context.spec.name, via=context.gateway.server.id)
    because = "beside the masters nobody here holds them, and without them no snapshot can be opened"
    return Proposal((PlannedStep(step=step, scope=Scope.LOCAL, reason=Reason.DIFFERS, because=because),))


def is_kept(context: DecisionContext) -> bool | None:
    """Check whether this machine keeps the cluster's tokens; None while no master tells which they are."""
    running = current(context)
    if running is None:
        return None
    kept = ((held.server, held.agent) for held in held_tokens.kept_here(context))
    return (running.server, running.agent) in kept


def current(context: DecisionContext) -> HeldTokens | None:
    """Return the cluster's tokens; None while no master tells which they are."""
    gateway = context.control_plane.gateway
    return _running(gateway.facts) if gateway is not None else None


def _running(facts: HostFacts) -> HeldTokens | None:
    """Return the tokens in the files of a master, if the datastore knows them."""
    disk, current = facts.disk, current_token(facts)
    if current is None or disk.token_hash != current:
        return None
    return HeldTokens(server=current, agent=disk.agent_token_hash, ca=disk.server_ca)


def remarks(context: DecisionContext) -> tuple[str, ...]:
    """Return where the servers' token should lie beside the masters and does not, and who holds it without need."""
    if context.control_plane.record.phase is not Phase.BORN:
        return ()
    return tuple(said for said in (_nowhere_else(context), _held_by_workers(context)) if said is not None)


def _nowhere_else(context: DecisionContext) -> str | None:
    if is_kept(context) is not False:
        return None
    return (
        "this machine keeps no copy of the server token, without which no snapshot can be opened once all masters are "
        "lost: `create` keeps one here, `backup` writes one"
    )


def _held_by_workers(context: DecisionContext) -> str | None:
    gateway = context.control_plane.gateway
    if gateway is None or gateway.facts.disk.agent_token_hash is not None:
        return None
    names = [spec.name for spec in context.spec.workers() if context.server(spec.name) is not None]
    who = f"{', '.join(names)} hold the server token" if names else "a worker would get the server token"
    return f"initialized without an agent token: {who}, which opens the keys of the CA"


def predict(_spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what this machine holds after the tokens were kept."""
    facts = state.facts(step.via) if isinstance(step, KeepTokens) else None
    running = _running(facts) if facts else None
    if running is None:
        return state
    return replace(state, local=replace(state.local, kept=(running, *state.local.kept)))
