"""`AcceptCa`: the CA hash in the birth record is renewed after the cluster's CA was rotated.

See docs/architecture.md#birth-record.
"""

from __future__ import annotations

from hetzner_k3s.decide.view.consent_mismatch import unfit
from hetzner_k3s.decide.view.context import DecisionContext, Proposal
from hetzner_k3s.model.consents import AcceptCa
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.plan import PlannedStep, Reason, Refusal, Scope
from hetzner_k3s.model.steps import RecordBirth


def acceptance_fits(context: DecisionContext, accepted: AcceptCa) -> tuple[Refusal, ...]:
    """Refuse the consent where what answers is not proven to be the recorded cluster with another CA."""
    obstacle = context.control_plane.ca_obstacle
    if obstacle is None:
        return ()
    return (
        unfit(
            accepted,
            f"It is for a cluster whose CA was rotated, and here {obstacle}.",
            "Give the first eight digits of the CA that the refusal without this flag shows, when every master answers "
            "with that one.",
        ),
    )


def renew_record(context: DecisionContext) -> Proposal | None:
    """Write the accepted CA wherever the record stands; nothing of a living control plane comes before."""
    record, accepted = context.control_plane.record, context.consents.get(AcceptCa)
    if context.control_plane.former_ca is None or accepted is None:
        return None
    step = PlannedStep(
        step=RecordBirth(target=Phase.BORN.value, record=record),
        scope=Scope.CONTROL_PLANE,
        reason=Reason.DIFFERS,
        because=f"{_proof(context)}, and its CA was {context.control_plane.former_ca[:8]} before",
        consent=accepted,
    )
    return Proposal((step,), alone=True)


def _proof(context: DecisionContext) -> str:
    if any(master.facts is not None and master.facts.serves for master in context.control_plane.all_masters):
        return "quorum, UID and lineage are the recorded ones"
    return "a run had begun to record it when it was cut off, and no master contradicts it"
