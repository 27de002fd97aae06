"""What is done although something is refused: it needs no host, loses nothing, and may end the refusal.

See docs/architecture.md#law-12.

A firewall that lets us in again, power for what is off, the API's load balancer, a record that its owner has renewed
or that a reset or a restore has outrun.
Only what speaks against these very steps holds them: a project, a network or a name that may not be ours; for power
and for the record also doubt about whose data it is.
"""

from __future__ import annotations

from hetzner_k3s.decide import consents
from hetzner_k3s.decide.adopt import adoption
from hetzner_k3s.decide.desired import firewall
from hetzner_k3s.decide.disaster import split_brain
from hetzner_k3s.decide.identity import ca_rotation, hosts, lineage, made_by_2x, project
from hetzner_k3s.decide.lifecycle import access, infra, join, workers
from hetzner_k3s.decide.repair import power
from hetzner_k3s.decide.view.context import DecisionContext, Gate, Move, ServingContext
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.plan import PlannedStep
from hetzner_k3s.model.steps import EnsureFirewall, EnsureLoadBalancer, PowerOn

HOLD_INFRASTRUCTURE: tuple[Gate, ...] = (
    project.listing_complete,
    project.record_agrees,
    project.not_deleting,
    project.names_are_ours,
    project.resources_are_ours,
    project.network_exists,
    access.operator_stays_in,
)

HOLD_RECORD: tuple[Gate, ...] = (
    *HOLD_INFRASTRUCTURE,
    hosts.one_identity,
    hosts.one_member_list,
    lineage.one_lineage,
    lineage.masters_of_one_lineage,
    split_brain.past_members,
    consents.consents_fit,
)

HOLD_POWER: tuple[Gate, ...] = (*HOLD_RECORD, hosts.kubeconfig_fits)

_POWER: tuple[Move, ...] = (power.power_on, join.prepare_masters, workers.bring_up_workers)


def first_aid(context: DecisionContext) -> tuple[PlannedStep, ...]:
    """Return the steps that no refusal holds back; before an initialization only its own firewall rules."""
    if made_by_2x.is_of_2x(context) or adoption.is_ending(context) or _held(context, HOLD_INFRASTRUCTURE):
        return ()
    surroundings = _surroundings(context)
    if context.control_plane.record.phase is not Phase.BORN:
        return tuple(p for p in surroundings if isinstance(p.step, EnsureFirewall) and p.step.existing is not None)
    record = () if _held(context, HOLD_RECORD) else _renewed_record(context)
    return surroundings + record + (() if _held(context, HOLD_POWER) else _powering(context))


def _renewed_record(context: DecisionContext) -> tuple[PlannedStep, ...]:
    """Plan what `AcceptCa` asks for, and what a reset or restore began.

    A record that contradicts itself would hold up the way back from a loss; one that is of the past would let the past
    count as the cluster.
    """
    begun = lineage.adopt_lineage(context) if isinstance(context, ServingContext) else None
    proposals = (ca_rotation.renew_record(context), begun)
    return tuple(planned for proposal in proposals if proposal is not None for planned in proposal.steps)


def _surroundings(context: DecisionContext) -> tuple[PlannedStep, ...]:
    proposal = infra.ensure_infrastructure(context)
    steps = proposal.steps if proposal is not None else ()
    waits = firewall.only_lets_in_who_is_gone(context)
    helps = EnsureLoadBalancer if waits else EnsureFirewall | EnsureLoadBalancer
    return tuple(planned for planned in steps if isinstance(planned.step, helps))


def _held(context: DecisionContext, gates: tuple[Gate, ...]) -> bool:
    return any(gate(context) for gate in gates)


def _powering(context: DecisionContext) -> tuple[PlannedStep, ...]:
    proposals = (move(context) for move in _POWER)
    steps = (planned for proposal in proposals if proposal is not None for planned in proposal.steps)
    return tuple({p.key: p for p in steps if isinstance(p.step, PowerOn)}.values())
