"""`--accept-ca`: the CA hash in the birth record is renewed after the cluster's CA was rotated.

See docs/architecture.md#birth-record.
"""

from __future__ import annotations

from hetzner_k3s.decide.view.consent_mismatch import unfit
from hetzner_k3s.decide.view.context import Basis, Opinion
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.plan import PlannedStep, Reason, Refusal, Scope
from hetzner_k3s.model.steps import RecordBirth


def acceptance_fits(basis: Basis) -> tuple[Refusal, ...]:
    """Refuse the consent where what answers is not proven to be the recorded cluster with another CA."""
    accepted, obstacle = basis.intent.consents.accept_ca, basis.plane.ca_obstacle
    if accepted is None or obstacle is None:
        return ()
    return (
        unfit(
            f"--accept-ca {accepted}",
            f"It is for a cluster whose CA was rotated, and here {obstacle}.",
            "Give the first eight digits of the CA that the refusal without this flag shows, when every master answers "
            "with that one.",
        ),
    )


def renew_record(basis: Basis) -> Opinion | None:
    """Write the accepted CA wherever the record stands; nothing of the control plane comes before."""
    record, accepted = basis.plane.record, basis.intent.consents.accept_ca
    if basis.plane.former_ca is None or accepted is None:
        return None
    step = PlannedStep(
        step=RecordBirth(target=Phase.BORN.value, record=record),
        scope=Scope.CONTROL_PLANE,
        reason=Reason.DIFFERS,
        because=f"{_proof(basis)}, and its CA was {basis.plane.former_ca[:8]} before",
        consent=f"--accept-ca {accepted}",
    )
    return Opinion((step,), alone=True)


def _proof(basis: Basis) -> str:
    if any(master.facts is not None and master.facts.serves for master in basis.plane.all_masters):
        return "quorum, UID and lineage are the recorded ones"
    return "a run had begun to record it when it was cut off, and no master contradicts it"
