"""Which servers a rollout is for: those that the consent names and that are otherwise than the file says."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

from hetzner_k3s.decide.differences import differences
from hetzner_k3s.decide.view.consent_mismatch import unfit
from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model.consents import ROLLOUT_MASTERS, Rollout
from hetzner_k3s.model.difference import Difference, Remedy
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.plan import Refusal
from hetzner_k3s.model.spec import ClusterSpec, MasterSpec, ServerSpec, WorkerSpec

CARRIED_OUT: Final = frozenset({Remedy.RESTART})
"""The remedies that a rollout carries out."""


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


def covered(spec: ClusterSpec, consent: Rollout | None) -> Mapping[str, ServerSpec]:
    """Return the servers of the file that the consent names; none without it."""
    return {} if consent is None else {s.name: s for s in spec.servers() if _covers(consent, s)}


def waiting(context: DecisionContext) -> Mapping[str, frozenset[Remedy]]:
    """Return what a rollout has yet to do: the name of each server, and which remedies it waits for."""
    servers = covered(context.spec, context.consents.get(Rollout))
    found: dict[str, set[Remedy]] = {}
    for one in differences(context) if servers else ():
        if one.subject in servers and one.remedy in CARRIED_OUT:
            found.setdefault(one.subject, set()).add(one.remedy)
    return {name: frozenset(remedies) for name, remedies in found.items()}


def told(context: DecisionContext) -> tuple[Difference, ...]:
    """Return all differences; those that this run carries out are not left as they are."""
    servers = covered(context.spec, context.consents.get(Rollout))
    return tuple(
        dataclasses.replace(one, rolled_out=one.subject in servers and one.remedy in CARRIED_OUT)
        for one in differences(context)
    )
