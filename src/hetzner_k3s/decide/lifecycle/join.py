"""Joining masters: at bootstrap all at once, afterwards one at a time.

k3s queues learners itself (docs/facts/k3s.md#join-queue).
"""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.decide.desired import internet
from hetzner_k3s.decide.lifecycle.provision import prepare
from hetzner_k3s.decide.preflight.versions import running_version
from hetzner_k3s.decide.prune import permission
from hetzner_k3s.decide.prune.load_balancer import addresses_that_go
from hetzner_k3s.decide.view import predictions, quorum
from hetzner_k3s.decide.view.context import DecisionContext, Proposal, ServingContext
from hetzner_k3s.decide.view.control_plane import MasterView
from hetzner_k3s.decide.view.master_addresses import host_of, is_an_address, living_masters
from hetzner_k3s.decide.view.servers.k3s import K3s
from hetzner_k3s.decide.view.servers.membership import labelled_member
from hetzner_k3s.decide.view.voters import healthy_ids, witnessed_ids
from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.host import DiskFacts
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope, Wait
from hetzner_k3s.model.spec import API_PORT, ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import InstallK3s, JoinControlPlane, MarkMember, Step

SETTLE_DEADLINE = 120.0
"""Seconds given to a learner, a sick voter or an apiserver to come to rest before a run gives up."""


def prepare_masters(context: DecisionContext) -> Proposal | None:
    """Make the masters' servers; beside a loss only look at those that are there, since a repair decides the rest."""
    because = "the file asks for it"
    steps = (prepare(context, m, because) for m in context.control_plane.masters if _free(m, context))
    return Proposal(tuple(step for planned in steps for step in planned))


def _free(master: MasterView, context: DecisionContext) -> bool:
    if master.name in {lost.master for lost in context.dead}:
        return False
    settled = not context.repairable and not any(stray.transient for stray in context.stray)
    return settled or master.awaits_first_contact


def join_masters(context: ServingContext) -> Proposal | None:
    """Join what is ready, record what has joined."""
    marks = marked(context)
    joins, waits = _joins(context)
    return Proposal(marks + joins, waits) if marks or joins or waits else None


def marked(context: ServingContext) -> tuple[PlannedStep, ...]:
    """Plan to record what has joined, through the healthy master that there is."""
    return tuple(step for m in context.control_plane.masters if (step := _mark(context, m)) is not None)


def _wait(what: str, because: str) -> Wait:
    return Wait(what=what, because=because, deadline=SETTLE_DEADLINE)


def _joins(context: ServingContext) -> tuple[tuple[PlannedStep, ...], tuple[Wait, ...]]:
    ready = ((m, m.server) for m in context.control_plane.masters if m.server and m.may_join_now)
    joiners = [(master, server) for master, server in ready if internet.is_let_in(context, server)]
    if not joiners:
        return (), ()
    if _control_plane_is_being_born(context):
        return tuple(_join(context, master, server) for master, server in joiners), ()
    if _another_join_ends(context, joiners):
        return (), ()
    first, server = min(joiners, key=lambda j: (j[0].k3s is not K3s.JOINING, j[0].spec.index))
    own = context.control_plane.internal_ips.of(server)
    others = tuple(m for m in context.control_plane.members if m.address != own)  # its own, unstarted one k3s adopts
    verdict = quorum.can_add(others, healthy_ids(context) | witnessed_ids(context))
    if first.k3s is not K3s.JOINING and not verdict.ok:
        wait = _wait(f"the control plane to settle before {first.name} joins", verdict.because)
        return (), (replace(wait, otherwise=permission.in_the_way_of_joining(context)),)
    if first.facts is not None and first.facts.disk.server_by_flags:
        return (_reinstall(context, first, server),), ()
    return (_join(context, first, server),), ()


def _another_join_ends(context: DecisionContext, joiners: list[tuple[MasterView, Server]]) -> bool:
    """Check whether a master that is a voter by now is still being joined: one joins at a time."""
    waiting = {master.name for master, _ in joiners}
    return any(key.kind is JoinControlPlane and key.target not in waiting for key in context.in_flight)


def _control_plane_is_being_born(context: DecisionContext) -> bool:
    """Check whether no master but the seed of the birth ever counted as joined, and the cluster was never reset."""
    return context.control_plane.record.parent is None and not any(
        labelled_member(m.server) and m.server.id != context.control_plane.record.seed
        for m in context.control_plane.all_masters
        if m.server
    )


def _join(context: ServingContext, master: MasterView, server: Server) -> PlannedStep:
    step = JoinControlPlane(
        target=master.name,
        server_id=server.id,
        via=context.gateway.server.id,
        server_url=api_url(context, context.gateway.server),
    )
    reason = Reason.MISSING if master.k3s is K3s.READY else Reason.UNFINISHED
    state = "is empty" if master.k3s is K3s.READY else "holds no living member"
    because = f"its host {state}, and {context.gateway.server.name} is a healthy voter"
    return PlannedStep(step=step, scope=Scope.CONTROL_PLANE, reason=reason, because=because)


def _reinstall(context: ServingContext, master: MasterView, server: Server) -> PlannedStep:
    """Plan to write our unit over that of 2.x: started without data, its flags would begin another cluster."""
    step = InstallK3s(target=master.name, server_id=server.id, role=K3sRole.SERVER, version=running_version(context))
    because = (
        f"its unit is of hetzner-k3s 2.x ({master.facts.disk.unit_flag if master.facts else ''}), and has no guard"
    )
    return PlannedStep(step=step, scope=Scope.CONTROL_PLANE, reason=Reason.UNFINISHED, because=because)


def api_url(context: DecisionContext, server: Server) -> str:
    """Return the supervisor's URL at the address by which a master's peers reach it.

    Raises:
        LookupError: it has none; such a master is sick, and no rule asks for its URL.
    """
    address = context.control_plane.internal_ips.of(server)
    if address is None:
        raise LookupError(f"{server.name} has no address at which its peers reach it")
    return f"https://{address}:{API_PORT}"


def _mark(context: ServingContext, master: MasterView) -> PlannedStep | None:
    rewrite = _better_server_url(context, master)
    if master.server is None or not (master.has_yet_to_be_recorded or rewrite is not None):
        return None
    return PlannedStep(
        step=MarkMember(
            target=master.name,
            server_id=master.server.id,
            via=context.gateway.server.id,
            record=context.control_plane.record,
            rewrite_server_url=rewrite,
        ),
        scope=Scope.CONTROL_PLANE,
        reason=Reason.UNFINISHED,
        because=_because(context) if master.has_yet_to_be_recorded else "its config.yaml names no living master",
    )


def _because(context: DecisionContext) -> str:
    return "it serves the cluster in the database" if context.control_plane.on_database else "it is a voter now"


def _better_server_url(context: DecisionContext, master: MasterView) -> str | None:
    """Return the `server:` line that a voter should have; it is written without a restart.

    See docs/facts/k3s.md#server-line.

    Only when all masters vote: a successor often gets the address that the line names already.
    """
    if (
        context.control_plane.on_database
        or master.facts is None
        or master.facts.disk.server_by_flags  # 2.x wrote its unit, and a master with data needs no such line
        or not all(m.serves for m in context.control_plane.masters)
    ):
        return None
    others = [m.server for m in context.control_plane.masters if m.server and m.name != master.name]
    if not others:
        return _without_a_dead_one(context, master.facts.disk)
    balancer = lookup.load_balancer(context.spec, context.view)
    addresses = {*balancer.private_ips.values()} - addresses_that_go(context) if balancer else set()
    living = {api_url(context, s) for s in others} | {f"https://{address}:{API_PORT}" for address in addresses}
    return None if master.facts.disk.config_server in living else api_url(context, others[0])


def _without_a_dead_one(context: DecisionContext, disk: DiskFacts) -> str | None:
    """Return the empty `server:` of a cluster's only master where its line names one that is gone, as after a prune."""
    named = disk.config_server
    living = living_masters(context) - addresses_that_go(context)
    return "" if named is not None and is_an_address(named) and host_of(named) not in living else None


def predict(spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like after a join or its record."""
    match step:
        case JoinControlPlane():
            fresh = predictions.without_membership(spec, state, step.server_id)
            return predictions.with_voter(spec, fresh, step.server_id, step.server_url)
        case MarkMember():
            return predictions.with_mark(state, step.server_id, step.rewrite_server_url)
        case _:
            return state
