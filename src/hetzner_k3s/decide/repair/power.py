"""Power comes first: what is off or stopped is started before anything is judged; what Hetzner changes is waited for.

A quorum came back by itself when a lost member was simply started again (docs/facts/etcd.md#quorum), so a server that
is off is never replaced, and nothing else is done to a cluster whose masters are not all at work yet.
"""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.decide.view import all_lost
from hetzner_k3s.decide.view.context import DecisionContext, Proposal
from hetzner_k3s.decide.view.control_plane import MasterView
from hetzner_k3s.decide.view.predictions import map_kube, map_servers, with_facts, with_ready_node
from hetzner_k3s.decide.view.servers.contact import Barrier
from hetzner_k3s.decide.view.servers.k3s import K3s
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import Server, ServerStatus
from hetzner_k3s.model.consents import Replace
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import EtcdFacts, HostFacts, Member, UnitFacts
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope, Wait
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import PowerOn, StartMaster, Step

CHANGE_DEADLINE = 300.0
"""Seconds given to Hetzner to start, stop, rebuild, migrate or delete a server."""


def power_on(context: DecisionContext) -> Proposal | None:
    """Power on every master that is off, start every k3s that was stopped, all at once; else no proposal."""
    if not awaited(context):
        return None
    off = [m.server for m in _counted(context) if m.server and m.barrier is Barrier.OFF and belongs(context, m)]
    changing = [m.server for m in _counted(context) if m.server and m.barrier is Barrier.CHANGING]
    via = context.control_plane.gateway.server if context.control_plane.gateway else None
    stopped = [m.server for m in _counted(context) if m.server and m.k3s is K3s.STOPPED and belongs(context, m)]
    return Proposal(
        steps=(
            *(powering(server, Scope.CONTROL_PLANE, via, joined=True) for server in off),
            *(_starting(server) for server in stopped),
        ),
        waits=tuple(map(rest, changing)),
    )


def _counted(context: DecisionContext) -> tuple[MasterView, ...]:
    """Return the masters of the file; without a quorum those beyond it too, since their votes may bring it back."""
    return context.control_plane.masters if context.control_plane.gateway else context.control_plane.all_masters


def awaited(context: DecisionContext) -> frozenset[str]:
    """Name the masters that are about to come (or, where Hetzner deletes one, to go): none is judged before."""
    coming = {key.target for key in context.in_flight if key.kind in {PowerOn, StartMaster}}
    return frozenset(
        m.name
        for m in _counted(context)
        if m.barrier is Barrier.CHANGING or m.name in coming or (m.at_rest and belongs(context, m))
    )


def belongs(context: DecisionContext, master: MasterView) -> bool:
    """Check whether a master is, for all that is known, a member of the cluster that lives.

    Where a quorum answers and lists no member of its name, it is a former one: its old data must not come to life.
    One that its user wants to discard gets no power; a restored one is started by the restore, which looks whose it is.
    """
    restored = all_lost.restored_master(context.control_plane)
    if Replace(master.name) in context.consents or (restored is not None and restored.name == master.name):
        return False
    return context.control_plane.gateway is None or context.control_plane.lists(master.name)


def powering(server: Server, scope: Scope, via: Server | None, *, joined: bool) -> PlannedStep:
    """Plan to power a server on."""
    return PlannedStep(
        step=PowerOn(target=server.name, server_id=server.id, joined=joined, via=via.id if via else None),
        scope=scope,
        reason=Reason.LOST,
        because="Hetzner shows it as off: with its disk it comes back by itself",
    )


def notes(context: DecisionContext) -> tuple[str, ...]:
    """Tell that a rollout cannot be foreseen yet: whether a quorum comes back with its masters is not known."""
    if context.control_plane.gateway is not None or not context.intent.may_exchange or not awaited(context):
        return ()
    names = ", ".join(sorted(awaited(context)))
    return (
        f"no master serves, so what was asked for can be seen only when this run has brought back {names}: the same "
        "command then shows and does the rest",
    )


def _starting(server: Server) -> PlannedStep:
    return PlannedStep(
        step=StartMaster(target=server.name, server_id=server.id),
        scope=Scope.CONTROL_PLANE,
        reason=Reason.UNFINISHED,
        because="its k3s is stopped and its data is there: started, it goes on as the member it is",
    )


def rest(server: Server) -> Wait:
    """Wait until Hetzner has done what it is doing to a server."""
    return Wait(
        what=f"{server.name} to come to rest at Hetzner",
        because=f"Hetzner shows it as {server.status.value}",
        deadline=CHANGE_DEADLINE,
    )


def predict(spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like when a server has power: it is what it was before."""
    match step:
        case PowerOn():
            state = map_servers(
                state, lambda s: replace(s, status=ServerStatus.RUNNING) if s.id == step.server_id else s
            )
            return _back(spec, state, step) if step.joined else state
        case StartMaster():
            return _back(spec, with_facts(state, step.server_id, _running), step)
        case _:
            return state


def _is_worker(state: ClusterState, server_id: int) -> bool:
    return any(s.id == server_id and s.labels.get(naming.LABEL_ROLE) == naming.ROLE_WORKER for s in state.view.servers)


def _running(facts: HostFacts) -> HostFacts:
    return replace(facts, server_unit=UnitFacts(active="active"))


def _back(spec: ClusterSpec, state: ClusterState, step: PowerOn | StartMaster) -> ClusterState:
    ready = map_kube(state, lambda kube: with_ready_node(kube, step.target))
    if _is_worker(state, step.server_id):
        return _agent_again(spec, ready, step)
    model = next((f.value for f in state.hosts.values() if isinstance(f, Known) and f.value.voter), None)
    own = _member_of(step.target, model)
    return ready if model is None or own is None else _voting_again(ready, step, model, own)


def _agent_again(spec: ClusterSpec, state: ClusterState, step: PowerOn | StartMaster) -> ClusterState:
    """Let a worker tell what its Node does of its release, and of its disk what another worker tells of its own."""
    other = _likest_worker(spec, state, step.target)
    release = _release_of_node(state, step.target) or (other.k3s_version if other else None)

    def change(facts: HostFacts) -> HostFacts:
        return replace(
            facts,
            boot_finished=True,
            k3s_version=facts.k3s_version or release,
            agent_unit=UnitFacts(active="active"),
            disk=other.disk if other and not facts.disk.configured else facts.disk,
        )

    return with_facts(state, step.server_id, change)


def _release_of_node(state: ClusterState, name: str) -> str | None:
    """Return the release of k3s that the Node of this name was last of, as far as an API tells."""
    views = (view.value for view in state.kube.values() if isinstance(view, Known))
    return next((node.version for view in views if (node := view.node(name)) and node.version), None)


def _likest_worker(spec: ClusterSpec, state: ClusterState, name: str) -> HostFacts | None:
    """Return what a worker that runs tells, one of the same pool first; what its kubelet is told is not the others'."""
    pools = {worker.name: worker.pool for worker in spec.workers()}
    running = (
        (pools[s.name] == pools.get(name), facts)
        for s in state.view.servers
        if s.name in pools and s.name != name and (facts := state.facts(s.id)) is not None and facts.agent_unit.runs
    )
    of_pool, likest = max(running, key=lambda found: found[0], default=(False, None))
    alike = of_pool and spec.network.private  # without a private network each kubelet is told its own server's id
    return likest if likest is None or alike else replace(likest, disk=replace(likest.disk, config=None))


def _member_of(name: str, model: HostFacts | None) -> Member | None:
    members = (model.etcd.members or ()) if model else ()
    return next((m for m in members if m.node == name), None)


def _voting_again(state: ClusterState, step: PowerOn | StartMaster, model: HostFacts, own: Member) -> ClusterState:
    """Let a host tell that it is the member it was; what its `config.yaml` points to is guessed to be alive."""
    other = next((m for m in model.etcd.members or () if m.id != own.id), own)

    def change(facts: HostFacts) -> HostFacts:
        return replace(
            facts,
            boot_finished=True,
            k3s_version=_release_of_node(state, step.target) or model.k3s_version,
            server_unit=UnitFacts(active="active"),
            disk=replace(model.disk, config_server=f"https://{other.address}:6443"),
            etcd=_as_member(model.etcd, own),
        )

    return with_facts(state, step.server_id, change)


def _as_member(etcd: EtcdFacts, own: Member) -> EtcdFacts:
    return replace(etcd, member_id=own.id, active_peers=())
