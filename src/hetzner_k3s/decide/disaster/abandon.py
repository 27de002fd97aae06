"""A cluster that is given up for a new one of its name: `NewClusterOver`.

It is the one override of docs/architecture.md#bootstrap.

Its record goes first, so that what follows is a birth like any other, with every gate of a birth. The consent names
the old cluster by its CA hash, and lifts only what of that cluster is in the way.
"""

from __future__ import annotations

from hetzner_k3s.decide.view import all_lost, predictions
from hetzner_k3s.decide.view.consent_mismatch import unfit
from hetzner_k3s.decide.view.context import DecisionContext, Proposal, UnservedContext
from hetzner_k3s.decide.view.given_up import consented, digits, in_effect, known_by_snapshots, left_over, workers
from hetzner_k3s.model.consents import NewClusterOver
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.plan import PlannedStep, Reason, Refusal, Scope, Way
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import ForgetBirth, Step


def _workers_left(context: DecisionContext) -> tuple[str, ...]:
    old = [server.name for server, facts in workers(context) if left_over(context, facts)]
    return tuple(
        f"{name} is of the cluster that was given up: delete or rebuild it, and run `create` again" for name in old
    )


def left_behind(context: DecisionContext) -> tuple[str, ...]:
    """Return a sentence for each worker that keeps the new cluster from being what the file asks for."""
    return _workers_left(context) if context.control_plane.record.phase is Phase.BORN else ()


def notes(context: DecisionContext) -> tuple[str, ...]:
    """Return what a new cluster leaves of the old one."""
    told = () if context.control_plane.record.phase is Phase.BORN else _workers_left(context)
    s3 = context.spec.etcd.s3
    if s3 is None or not (consented(context) or in_effect(context) or known_by_snapshots(context)):
        return told
    pruned = f"the new cluster's snapshots push out the old one's in folder {s3.folder}; to keep those, name another"
    return (*told, f"{pruned} datastore.etcd.s3_folder before")


def giving_up_fits(context: DecisionContext, over: NewClusterOver) -> tuple[Refusal, ...]:
    """Refuse the consent where that cluster is not here, or may still have its data."""
    if (
        in_effect(context)
        or known_by_snapshots(context)
        or (consented(context) and all_lost.all_lost(context.control_plane))
    ):
        return ()
    if consented(context):
        kept = ", ".join(m.name for m in context.control_plane.all_masters if not all_lost.holds_no_data(m))
        saw = f"Its masters are not all lost: {kept}."
        can = "Run `create` without it to see how to bring it back."
        ways = [Way(text="To give it up all the same, delete its masters.", deletes=frozenset(_servers(context)))]
    else:
        recorded = digits(context.control_plane.record) or "none"
        saw = f"No cluster of these digits is known here; the recorded one is {recorded}."
        can = "Give the eight digits that the refusal shows, or run `create` without it."
        ways = []
    return (unfit(over, saw, can, *ways),)


def _servers(context: DecisionContext) -> list[str]:
    return [master.name for master in context.control_plane.all_masters if master.server is not None]


def forget(context: UnservedContext) -> Proposal | None:
    """Plan to forget the birth of a cluster that was given up; then a new one may be born."""
    record, over = context.control_plane.record, context.consents.get(NewClusterOver)
    if over is None or not consented(context) or not all_lost.all_lost(context.control_plane):
        return None
    planned = PlannedStep(
        step=ForgetBirth(target=digits(record), record=record, ca=_whole_ca(context)),
        scope=Scope.CONTROL_PLANE,
        reason=Reason.BIRTH,
        because="it is given up: all its masters are lost, and a new cluster of its name is wanted",
        consent=over,
    )
    return Proposal((planned,))


def _whole_ca(context: DecisionContext) -> str | None:
    """Return the whole CA hash of which the record has the beginning, as the kubeconfig or a worker knows it."""
    recorded = context.control_plane.record.ca
    known = (context.state.local.kubeconfig_ca, *(facts.disk.agent_ca for _, facts in workers(context)))
    return next((ca for ca in known if ca is not None and recorded is not None and ca.startswith(recorded)), recorded)


def predict(_spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like after a birth was forgotten."""
    return predictions.without_record(state, step) if isinstance(step, ForgetBirth) else state
