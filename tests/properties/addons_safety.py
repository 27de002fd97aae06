"""What a plan must not do to the add-ons of 2.x, told from raw facts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hetzner_k3s.model import naming
from hetzner_k3s.model.consents import Rollout
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.kubernetes.addons_of_2x import AddonFound
from hetzner_k3s.model.plan import Plan, PlannedStep
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import TakeOverAddon

_WORKLOADS: Final = {"hcloud-cloud-controller-manager": 1, "hcloud-csi": 2}
"""How many workloads each of them has."""


def violations(state: ClusterState, plan: Plan) -> list[str]:
    """Say what is wrong with how a plan takes them over."""
    steps = [(p, p.step) for p in plan.steps if isinstance(p.step, TakeOverAddon)]
    wrong = [f"{p.key}: {why}" for p, step in steps for why in _of_step(state, p, step)]
    return wrong + ([f"at once: {[p.key for p, _ in steps]}"] if len(steps) > 1 else [])


def _of_step(state: ClusterState, planned: PlannedStep, step: TakeOverAddon) -> Iterator[str]:
    found = _found(state, step.target)
    if not any(naming.LABEL_ADOPTED in server.labels for server in state.view.servers):
        yield "2.x did not make this cluster"
    if found is None:
        yield "nobody read what is there"
        return
    if {name: workload.uid for name, workload in found.workloads.items()} != step.workloads:
        yield "it deletes something else than what was seen"
    if any(name.kind not in {"Deployment", "DaemonSet"} for name in step.workloads):
        yield "it deletes what holds data"
    if any(one.release is not None for one in found.workloads.values()):
        yield "it deletes what belongs to a Helm release"
    staying = [one for one in found.workloads.values() if not one.ending]
    if len(staying) == _WORKLOADS[step.target] and planned.consent != Rollout("addons"):
        yield "it runs, and nobody consented"
    if any(kept.fields.get("reclaimPolicy", "Delete") != "Delete" for kept in found.kept.values()):
        yield "the chart would change what volumes rely on"


def _found(state: ClusterState, chart: str) -> AddonFound | None:
    views = [reading.value for reading in state.kube.values() if isinstance(reading, Known)]
    return next((view.of_2x[chart] for view in views if chart in view.of_2x), None)
