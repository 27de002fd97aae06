"""Which servers a rollout is for: those that the consent names and that are otherwise than the file says."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Final

from hetzner_k3s.decide.differences import differences
from hetzner_k3s.decide.preflight.orders import unfillable
from hetzner_k3s.decide.view.consent_mismatch import unfit
from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.decide.view.servers.membership import membership_of_worker
from hetzner_k3s.decide.view.voters import witnesses
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.consents import ROLLOUT_ADDONS, ROLLOUT_MASTERS, Consent, MakeAnew, Rollout, Upgrade
from hetzner_k3s.model.difference import Difference, Remedy
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.plan import Intent, PlannedStep, Reason, Refusal, Scope
from hetzner_k3s.model.spec import ClusterSpec, MasterSpec, WorkerSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import Step

BY_ROLLOUT: Final = frozenset({Remedy.RESTART, Remedy.UPGRADE, Remedy.RESIZE, Remedy.REPLACE})
BY_UPGRADE: Final = frozenset({Remedy.UPGRADE})
"""Which remedies are carried out; whoever is restarted for one gets all of the file's configuration with that."""

_ORDERING: Final = frozenset({Remedy.REPLACE, Remedy.RESIZE})
"""Which remedies Hetzner has to sell something for."""
_UNBORN: Final = "No cluster is recorded as initialized here."


def rollout_fits(context: DecisionContext, consent: Rollout) -> tuple[Refusal, ...]:
    """Refuse a rollout of what the file does not have, and of a cluster that does not exist yet."""
    if context.control_plane.record.phase is not Phase.BORN:
        return (unfit(consent, _UNBORN, "Run `create` without that flag."),)
    if consent.named == ROLLOUT_ADDONS:
        return _no_pool_is_meant(context, consent)
    if any(_covers(context, consent, spec) for spec in context.spec.servers()):
        return ()
    pools = ", ".join(dict.fromkeys(worker.pool for worker in context.spec.workers()))
    return (
        unfit(
            consent,
            f"The file has no pool and no server of the name {consent.named!r}.",
            f"Name `{ROLLOUT_MASTERS}`, a pool{f' ({pools})' if pools else ''}, a server, or "
            f"`{ROLLOUT_ADDONS}`; without a name all servers are meant.",
        ),
    )


def _no_pool_is_meant(context: DecisionContext, consent: Rollout) -> tuple[Refusal, ...]:
    """Refuse what was meant for a pool of that name, where it cannot be meant for add-ons."""
    adopted = context.control_plane.record.adopted is not None
    if adopted or all(worker.pool != consent.named for worker in context.spec.workers()):
        return ()
    saw = "That means the add-ons that hetzner-k3s 2.x applied, never a pool, and 2.x did not make this cluster."
    return (unfit(consent, saw, f"For the pool {consent.named!r} name its servers, one a run."),)


def upgrade_fits(context: DecisionContext, consent: Upgrade) -> tuple[Refusal, ...]:
    """Refuse the upgrade of a cluster that does not exist yet: nobody asked to buy one."""
    if context.control_plane.record.phase is Phase.BORN:
        return ()
    return (unfit(consent, _UNBORN, f"Write `k3s_version: {context.spec.k3s_version}` into the file, run `create`."),)


def _covers(context: DecisionContext, consent: Rollout, spec: MasterSpec | WorkerSpec) -> bool:
    if consent.named == ROLLOUT_ADDONS:
        return False
    if consent.named in {Rollout.otherwise, spec.name, spec.name.removeprefix(f"{context.spec.name}-")}:
        return True
    if isinstance(spec, MasterSpec):
        return consent.named == ROLLOUT_MASTERS
    return consent.named == spec.pool and consent.named != ROLLOUT_MASTERS


def covered(context: DecisionContext) -> Mapping[str, frozenset[Remedy]]:
    """Return what the user permitted: the names of servers, and which remedies may be carried out there."""
    rollout = context.consents.get(Rollout)
    own = (s for s in context.spec.servers() if not s.surge)  # a surge server goes before it would be another one
    if rollout is not None:
        return {s.name: BY_ROLLOUT for s in own if _covers(context, rollout, s)}
    if Upgrade() in context.consents:
        return {s.name: BY_UPGRADE for s in own}
    return {}


def of_masters_alone(context: DecisionContext) -> bool:
    """Check whether masters were named, and no worker, to be rolled out or made anew."""
    names, rollout = _rolled(context), context.consents.get(Rollout)
    whole = rollout is not None and rollout.named == rollout.otherwise
    return bool(names) and not whole and names <= {*context.spec.master_names}


def rolled_pools(context: DecisionContext) -> frozenset[str]:
    """Return the pools of which a worker is rolled out, or made anew."""
    names = _rolled(context)
    return frozenset(worker.pool for worker in context.spec.workers() if worker.name in names)


def _rolled(context: DecisionContext) -> frozenset[str]:
    anew = context.consents.get(MakeAnew)
    return frozenset(covered(context)) | ({anew.named} if anew is not None else set())


def consent_of(context: DecisionContext) -> Consent | None:
    """Return the consent that a step of a rollout is taken with."""
    given = (context.consents.get(kind) for kind in (Rollout, Upgrade, MakeAnew))
    return next(filter(None, given), None)


def made_anew(context: DecisionContext) -> str | None:
    """Return the name of the server that is to be replaced whatever it is like, as long as it is the one of then."""
    consent = context.consents.get(MakeAnew)
    server = context.server(consent.named) if consent is not None else None
    return server.name if consent and server and consent.server_id in {None, server.id} else None


def bound(spec: ClusterSpec, state: ClusterState, intent: Intent) -> Intent:
    """Bind the consent to replace a server to the one that was seen when it was given."""
    del spec
    consent = intent.consents.get(MakeAnew)
    server = state.server(consent.named) if consent is not None else None
    if consent is None or server is None or consent.server_id is not None:
        return intent
    return dataclasses.replace(intent, consents=intent.consents.adding(MakeAnew(consent.named, server.id)))


def make_anew_fits(context: DecisionContext, consent: MakeAnew) -> tuple[Refusal, ...]:
    """Refuse to replace what the file does not have, what is not there, and what must not be deleted.

    One that is bound fitted when it was given: by now its server may be gone.
    """
    why = _misfit(context, consent.named) if consent.server_id is None else None
    return () if why is None else (unfit(consent, *why),)


def _misfit(context: DecisionContext, name: str) -> tuple[str, str] | None:
    server = context.server(name)
    if all(spec.name != name for spec in context.spec.servers()):
        return f"The file has no server of the name {name!r}.", "Give the name of one: `hetzner-k3s status` lists them."
    if server is None:
        return f"There is no server {name}.", "Run `create`: it makes what is missing."
    if server.protected:
        return f"{name} is protected against deletion at Hetzner.", "Lift the protection, then run the command again."
    if context.spec.master_names == (name,):
        return f"{name} is the only master, and the data would go with it.", "Ask for three masters in the file first."
    if not _has_joined(context, server):
        return f"{name} has not joined yet: an earlier run was cut off.", "Run `create`: it goes on with that."
    if (silent := _unseen_master(context)) not in {None, name}:
        return f"{silent} does not answer, and nothing is replaced beside it.", f"Bring it back, or replace {silent}."
    if (why := unfillable(context, {name}).get(name)) is not None:
        return f"Another server like {name} cannot be had: {why}.", "Correct the file, or wait until Hetzner sells it."
    return None


def _has_joined(context: DecisionContext, server: Server) -> bool:
    """Check whether anything says that a server joined; where no API tells, none is taken for new."""
    if context.control_plane.kube is None:
        return True
    master = context.control_plane.master(server.name)
    recorded = membership_of_worker(server, context.node(server.name)) if master is None else master.membership
    return recorded.joined


def _unseen_master(context: DecisionContext) -> str | None:
    """Name a master that its peers say is well, and that only we cannot look at: this run brings it no nearer."""
    return next((m.name for m in context.control_plane.masters if witnesses(context, m)), None)


def planned(context: DecisionContext, step: Step, because: str, scope: Scope) -> PlannedStep:
    """Return a step of a rollout, with the consent that permits it."""
    consent = consent_of(context)
    return PlannedStep(step=step, scope=scope, reason=Reason.DIFFERS, because=because, consent=consent)


def waiting(context: DecisionContext) -> Mapping[str, frozenset[Remedy]]:
    """Return what a rollout has yet to do: the name of each server, and which remedies it waits for."""
    found: dict[str, set[Remedy]] = {}
    for one, obstacle in _obstacles(context, differences(context) if covered(context) else ()).items():
        if obstacle is None:
            found.setdefault(one.subject, set()).add(one.remedy)
    if (name := made_anew(context)) is not None:
        found.setdefault(name, set()).add(Remedy.REPLACE)
    return {name: frozenset(remedies) for name, remedies in found.items()}


def made_anew_next(context: DecisionContext) -> frozenset[str]:
    """Return the servers that wait to be made anew."""
    return frozenset(name for name, remedies in waiting(context).items() if Remedy.REPLACE in remedies)


def left_to_make_anew(context: DecisionContext) -> frozenset[str]:
    """Return the same, and those that are left for now: only what is protected is left for good."""
    permitted = covered(context)
    found = {one.subject for one in differences(context) if one.remedy is Remedy.REPLACE and one.subject in permitted}
    names = found | ({anew} if (anew := made_anew(context)) is not None else set())
    servers = ((name, context.server(name)) for name in names)
    return frozenset(name for name, server in servers if server is not None and not server.protected)


def _obstacles(context: DecisionContext, found: Iterable[Difference]) -> Mapping[Difference, str | None]:
    """Return the differences whose remedy is permitted, each with why it is left all the same, None where it is not."""
    permitted = covered(context)
    rolled = [one for one in found if one.remedy in permitted.get(one.subject, ())]
    if (silent := _unseen_master(context)) is not None:
        return dict.fromkeys(rolled, f"{silent} does not answer, and nothing is rolled out beside it")
    unsold = unfillable(context, {one.subject for one in rolled if one.remedy in _ORDERING})
    return {one: _obstacle(context, one, unsold) for one in rolled}


def _obstacle(context: DecisionContext, one: Difference, unsold: Mapping[str, str]) -> str | None:
    server = context.server(one.subject)
    if server is None or one.remedy not in _ORDERING:
        return None
    why = unsold.get(one.subject)
    if one.remedy is Remedy.RESIZE:
        return why
    if server.protected:
        why = "this one is protected against deletion at Hetzner"
    elif context.spec.master_names == (one.subject,):
        why = "the data of the only master would go with this one"
    return None if why is None else f"it takes another server, and {why}"


def told(context: DecisionContext) -> tuple[Difference, ...]:
    """Return all differences; those that this run carries out are not left as they are."""
    surge = {worker.name for worker in context.spec.surge_workers()}
    found = [one for one in differences(context) if one.subject not in surge]
    obstacles = _obstacles(context, found)
    return tuple(_told(one, obstacles[one]) if one in obstacles else one for one in found)


def _told(one: Difference, obstacle: str | None) -> Difference:
    return dataclasses.replace(one, because=obstacle or one.because, rolled_out=obstacle is None)
