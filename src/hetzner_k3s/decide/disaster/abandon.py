"""A cluster that is given up for a new one of its name: `--new-cluster-over`.

It is the one override of docs/architecture.md#bootstrap.

Its record goes first, so that what follows is a birth like any other, with every gate of a birth. The consent names
the old cluster by its CA hash, and lifts only what of that cluster is in the way.
"""

from __future__ import annotations

from hetzner_k3s.decide.view import all_lost, predictions
from hetzner_k3s.decide.view.consent_mismatch import unfit
from hetzner_k3s.decide.view.context import Basis, Opinion
from hetzner_k3s.decide.view.given_up import consented, digits, in_effect, known_by_snapshots, left_over, workers
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.plan import PlannedStep, Reason, Refusal, Scope, Way
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import ForgetBirth, Step


def _workers_left(basis: Basis) -> tuple[str, ...]:
    old = [server.name for server, facts in workers(basis) if left_over(basis, facts)]
    return tuple(
        f"{name} is of the cluster that was given up: delete or rebuild it, and run `create` again" for name in old
    )


def left_behind(basis: Basis) -> tuple[str, ...]:
    """Return a sentence for each worker that keeps the new cluster from being what the file asks for."""
    return _workers_left(basis) if basis.plane.record.phase is Phase.BORN else ()


def notes(basis: Basis) -> tuple[str, ...]:
    """Say what a new cluster leaves of the old one."""
    told = () if basis.plane.record.phase is Phase.BORN else _workers_left(basis)
    s3 = basis.spec.etcd.s3
    if s3 is None or not (consented(basis) or in_effect(basis) or known_by_snapshots(basis)):
        return told
    pruned = f"the new cluster's snapshots push out the old one's in folder {s3.folder}; to keep those, name another"
    return (*told, f"{pruned} datastore.etcd.s3_folder before")


def consent_fits(basis: Basis) -> tuple[Refusal, ...]:
    """Refuse `--new-cluster-over` where that cluster is not here, or may still have its data."""
    given = basis.intent.consents.new_cluster_over
    if (
        given is None
        or in_effect(basis)
        or known_by_snapshots(basis)
        or (consented(basis) and all_lost.all_lost(basis.plane))
    ):
        return ()
    if consented(basis):
        kept = ", ".join(m.name for m in basis.plane.all_masters if not all_lost.holds_no_data(m))
        saw = f"Its masters are not all lost: {kept}."
        can = "Run `create` without it to see how to bring it back."
        ways = [Way(text="To give it up all the same, delete its masters.", deletes=frozenset(_servers(basis)))]
    else:
        saw = f"No cluster of these digits is known here; the recorded one is {digits(basis.plane.record) or 'none'}."
        can = "Give the eight digits that the refusal shows, or run `create` without it."
        ways = []
    return (unfit(f"--new-cluster-over {given}", saw, can, *ways),)


def _servers(basis: Basis) -> list[str]:
    return [master.name for master in basis.plane.all_masters if master.server is not None]


def forget(basis: Basis) -> Opinion | None:
    """Plan to forget the birth of a cluster that was given up; then a new one may be born."""
    record = basis.plane.record
    if record.phase is not Phase.BORN or not consented(basis) or not all_lost.all_lost(basis.plane):
        return None
    planned = PlannedStep(
        step=ForgetBirth(target=digits(record), record=record, ca=_whole_ca(basis)),
        scope=Scope.CONTROL_PLANE,
        reason=Reason.BIRTH,
        because="it is given up: all its masters are lost, and a new cluster of its name is wanted",
        consent=f"--new-cluster-over {basis.intent.consents.new_cluster_over}",
    )
    return Opinion((planned,))


def _whole_ca(basis: Basis) -> str | None:
    """Give the whole CA hash of which the record has the beginning, as the kubeconfig or a worker knows it."""
    recorded = basis.plane.record.ca
    known = (basis.state.local.kubeconfig_ca, *(facts.disk.agent_ca for _, facts in workers(basis)))
    return next((ca for ca in known if ca is not None and recorded is not None and ca.startswith(recorded)), recorded)


def predict(_spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Say what the world looks like after a birth was forgotten."""
    return predictions.without_record(state, step) if isinstance(step, ForgetBirth) else state
