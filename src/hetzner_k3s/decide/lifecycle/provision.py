"""What brings any server, master or worker, to the point where k3s can be started on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hetzner_k3s.decide.disaster import restore
from hetzner_k3s.decide.lifecycle import external_database_access
from hetzner_k3s.decide.preflight.versions import running_version
from hetzner_k3s.decide.view import predicted_orders, predictions
from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.decide.view.servers.k3s import K3s
from hetzner_k3s.decide.view.servers.server_view import ServerView
from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import Server, ServerStatus
from hetzner_k3s.model.host import HostKeyKind
from hetzner_k3s.model.hosts.contact import ssh_address
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope
from hetzner_k3s.model.spec import ClusterSpec, MasterSpec, WorkerSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import CreateServer, InstallK3s, PowerOn, SecureHost, Step


def api_address_known(context: DecisionContext) -> bool:
    """Check whether every address that goes into the API's certificate is known."""
    if not context.spec.api_load_balancer:
        return True
    balancer = lookup.load_balancer(context.spec, context.view)
    return balancer is not None and bool(balancer.public_ipv4 or balancer.private_ips)


def can_order(context: DecisionContext, spec: MasterSpec | WorkerSpec) -> bool:
    """Check whether everything that a server's order names is there: network, key, placement group, firewall."""
    return (
        not lookup.lacks_network(context.spec, context.view)
        and lookup.ssh_key(context.spec, context.view) is not None
        and (spec.placement_group is None or lookup.placement_group(spec.placement_group, context.view) is not None)
        and lookup.firewall(context.spec, context.view) is not None
    )


def prepare(
    context: DecisionContext, wanted: ServerView, because: str, *, lost: bool = False
) -> tuple[PlannedStep, ...]:
    """Plan the next step that makes a server ready, if it is one of these: order, secure, install.

    `lost` says that it takes the place of a lost one.
    """
    step = _next_step(context, wanted)
    if step is None:
        return ()
    scope = Scope.CONTROL_PLANE if isinstance(wanted.spec, MasterSpec) else Scope.WORKER
    reason = Reason.LOST if lost else Reason.MISSING if wanted.server is None else Reason.UNFINISHED
    consent = restore.consent_for_server(context, wanted.name)
    if consent is not None:
        because = "all masters are lost, and the snapshot is to be restored on it"
    return (PlannedStep(step=step, scope=scope, reason=reason, because=because, consent=consent),)


def _next_step(context: DecisionContext, wanted: ServerView) -> Step | None:
    spec, server = wanted.spec, wanted.server
    if wanted.trouble is not None or (server is None and spec.name in context.intent.unsold):
        return None
    if server is not None and server.status is ServerStatus.OFF:
        return PowerOn(target=server.name, server_id=server.id, joined=False, via=None)
    if server is None or server.status is not ServerStatus.RUNNING or not _addressed(context, server):
        # One that is there already is adopted, and waited for until it runs.
        may_order = server is not None or can_order(context, spec)
        understood = _understood(context) or restore.consent_for_server(context, spec.name) is not None
        understood = understood or external_database_access.awaits_server(context, spec.name)
        return _order(spec) if may_order and understood else None
    if wanted.awaits_first_contact:
        return SecureHost(target=server.name, server_id=server.id)
    if wanted.k3s is K3s.MISSING:
        return InstallK3s(target=server.name, server_id=server.id, role=_role(spec), version=running_version(context))
    return None


def _order(spec: MasterSpec | WorkerSpec) -> CreateServer:
    return CreateServer(
        target=spec.name,
        server_type=spec.instance_type,
        image=spec.image,
        location=spec.location,
        placement_group=spec.placement_group,
    )


def _understood(context: DecisionContext) -> bool:
    """Check whether it is known whose Nodes there are: nothing is asked for beside a silent API."""
    return context.control_plane.kube is not None or context.control_plane.record.phase is not Phase.BORN


def _addressed(context: DecisionContext, server: Server) -> bool:
    """Check whether a server has the address we reach it by and the one its peers do."""
    internal_ips = context.control_plane.internal_ips
    return internal_ips.of(server) is not None and ssh_address(context.spec, server, internal_ips) is not None


def _role(spec: MasterSpec | WorkerSpec) -> K3sRole:
    return K3sRole.SERVER if isinstance(spec, MasterSpec) else K3sRole.AGENT


def predict(spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like after a server was ordered, secured or given k3s."""
    return predict_together(spec, state, (step,)) if isinstance(step, CreateServer | SecureHost | InstallK3s) else state


def predict_together(spec: ClusterSpec, state: ClusterState, steps: Sequence[Step]) -> ClusterState:
    """Return what the world looks like after many steps of one kind: a thousand servers are looked through once."""
    orders = [step.target for step in steps if isinstance(step, CreateServer)]
    secured = [step.server_id for step in steps if isinstance(step, SecureHost)]
    state = predicted_orders.with_servers(state, spec, orders) if orders else state
    state = predictions.with_facts_of(state, secured, lambda f: replace(f, key=HostKeyKind.FINAL)) if secured else state
    installs: dict[tuple[K3sRole, str], list[int]] = {}
    for step in steps:
        if isinstance(step, InstallK3s):
            installs.setdefault((step.role, step.version), []).append(step.server_id)
    for (role, version), server_ids in installs.items():
        state = predictions.with_facts_of(state, server_ids, predictions.installed(role, version))
    return state
