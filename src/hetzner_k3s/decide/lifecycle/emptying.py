"""Emptying a Node before its machine goes, or is away: cordoned first, so that nothing new comes, then drained."""

from __future__ import annotations

from dataclasses import dataclass

from hetzner_k3s.decide.view.context import ServingContext
from hetzner_k3s.model.consents import Consent, DeleteLocalData
from hetzner_k3s.model.kube import KubeNode, Leaving
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope
from hetzner_k3s.model.steps import CordonNode, DrainNode, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Why a Node is emptied: what its two steps say, their reason and consent, and whether its disk is kept."""

    cordon: str
    drain: str
    reason: Reason
    consent: Consent | None
    disk_stays: bool = False


def emptying(context: ServingContext, node: KubeNode | None, scope: Scope, why: Why) -> PlannedStep | None:
    """Plan to cordon, then to drain a Node; None when it is drained, or there is none."""
    if node is None or node.leaving is Leaving.DRAINED:
        return None
    via = context.gateway.server.id
    step: Step
    if node.leaving is None:
        step, because = CordonNode(target=node.name, via=via), why.cordon
    else:
        may_go = why.disk_stays or DeleteLocalData() in context.consents
        within = context.intent.drain_within
        step = DrainNode(target=node.name, via=via, answers=node.ready, within=within, volumes_may_go=may_go)
        because = why.drain
    return PlannedStep(step=step, scope=scope, reason=why.reason, because=because, consent=why.consent)
