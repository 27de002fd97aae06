"""Which servers a rollout is for: those that the consent names and that are otherwise than the file says."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

from hetzner_k3s.decide.differences import differences
from hetzner_k3s.decide.view.consent_mismatch import unfit
from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model.consents import ROLLOUT_MASTERS, Consent, Rollout, Upgrade
from hetzner_k3s.model.difference import Difference, Remedy
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.plan import Refusal
from hetzner_k3s.model.spec import MasterSpec, WorkerSpec

BY_ROLLOUT: Final = frozenset({Remedy.RESTART, Remedy.UPGRADE, Remedy.RESIZE, Remedy.REPLACE})
BY_UPGRADE: Final = frozenset({Remedy.UPGRADE})
"""Which remedies are carried out; whoever is restarted for one gets all of the file's configuration with that."""


def rollout_fits(context: DecisionContext, consent: Rollout) -> tuple[Refusal, ...]:
    """Refuse a rollout of what the file does not have, and of a cluster that does not exist yet."""
    if context.control_plane.record.phase is not Phase.BORN:
        return (unfit(consent, "No cluster is recorded as initialized here.", "Run `create` without that flag."),)
    if any(_covers(consent, spec) for spec in context.spec.servers()):
        return ()
    pools = ", ".join(dict.fromkeys(worker.pool for worker in context.spec.workers()))
    return (
        unfit(
            consent,
            f"The file has no pool and no server of the name {consent.named!r}.",
            f"Name `{ROLLOUT_MASTERS}`, a pool{f' ({pools})' if pools else ''}, or a server; without a name all are "
            "meant.",
        ),
    )


def _covers(consent: Rollout, spec: MasterSpec | WorkerSpec) -> bool:
    if consent.named in {Rollout.otherwise, spec.name}:
        return True
    if isinstance(spec, MasterSpec):
        return consent.named == ROLLOUT_MASTERS
    return consent.named == spec.pool and consent.named != ROLLOUT_MASTERS


def covered(context: DecisionContext) -> Mapping[str, frozenset[Remedy]]:
    """Return what the user permitted: the names of servers, and which remedies may be carried out there."""
    rollout = context.consents.get(Rollout)
    if rollout is not None:
        return {s.name: BY_ROLLOUT for s in context.spec.servers() if _covers(rollout, s)}
    if Upgrade() in context.consents:
        return {s.name: BY_UPGRADE for s in context.spec.servers()}
    return {}


def consent_of(context: DecisionContext) -> Consent | None:
    """Return the consent that a step of a rollout is taken with."""
    return context.consents.get(Rollout) or context.consents.get(Upgrade)


def waiting(context: DecisionContext) -> Mapping[str, frozenset[Remedy]]:
    """Return what a rollout has yet to do: the name of each server, and which remedies it waits for."""
    permitted = covered(context)
    found: dict[str, set[Remedy]] = {}
    for one in differences(context) if permitted else ():
        if one.remedy in permitted.get(one.subject, ()) and _obstacle(context, one) is None:
            found.setdefault(one.subject, set()).add(one.remedy)
    return {name: frozenset(remedies) for name, remedies in found.items()}


def _obstacle(context: DecisionContext, one: Difference) -> str | None:
    """Return why a difference is left although its remedy is permitted: a server that must not be deleted."""
    server = context.server(one.subject)
    if one.remedy is not Remedy.REPLACE or server is None:
        return None
    if server.protected:
        return "it takes another server, and this one is protected against deletion at Hetzner"
    if context.spec.master_names == (one.subject,):
        return "it takes another server, and the data of the only master would go with this one"
    return None


def told(context: DecisionContext) -> tuple[Difference, ...]:
    """Return all differences; those that this run carries out are not left as they are."""
    permitted = covered(context)
    return tuple(_told(context, one, one.remedy in permitted.get(one.subject, ())) for one in differences(context))


def _told(context: DecisionContext, one: Difference, permitted: bool) -> Difference:
    if not permitted:
        return one
    obstacle = _obstacle(context, one)
    return dataclasses.replace(one, because=obstacle or one.because, rolled_out=obstacle is None)
