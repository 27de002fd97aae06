"""The kubeconfig on the operator's machine: written when it is missing or points elsewhere."""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.decide.desired import host_config
from hetzner_k3s.decide.view import predictions
from hetzner_k3s.decide.view.context import DecisionContext, Proposal, ServingContext
from hetzner_k3s.model import lookup
from hetzner_k3s.model.hosts.contact import private_ip
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope
from hetzner_k3s.model.spec import API_PORT, ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import Step, WriteKubeconfig


def write_kubeconfig(context: ServingContext) -> Proposal | None:
    """Plan the kubeconfig once the cluster is born and every master has its address."""
    control_plane, local, fitting = context.control_plane, context.state.local, wanted(context)
    if fitting is None or (local.kubeconfig_ca, dict(local.kubeconfig_servers)) == fitting:
        return None
    _, servers = fitting
    step = WriteKubeconfig(
        target=context.spec.kubeconfig_path,
        via=context.gateway.server.id,
        servers=servers,
        current=context.spec.name if context.spec.name in servers else control_plane.masters[0].name,
    )
    because = "it is not there yet" if local.kubeconfig_ca is None else "it names other addresses"
    return Proposal((PlannedStep(step=step, scope=Scope.LOCAL, reason=Reason.DIFFERS, because=because),))


def wanted(context: ServingContext) -> tuple[str | None, dict[str, str]] | None:
    """Return the CA hash and the API URLs that the kubeconfig should have; None while they are not known."""
    servers = _api_urls(context)
    return None if servers is None else (context.gateway.facts.disk.server_ca, servers)


def _api_urls(context: DecisionContext) -> dict[str, str] | None:
    """Return the API URL of each context as 2.6 names them, None while unknown.

    See docs/facts/compatibility.md#kubeconfig.

    The load balancer has one as soon as no client is refused there because a master's certificate lacks its address.
    """
    private = context.spec.ssh.use_private_ip or not context.spec.network.public_ipv4
    urls: dict[str, str] = {}
    for master in context.control_plane.masters:
        if master.server is None:
            return None
        address = private_ip(master.server, context.control_plane.network_id) if private else master.server.public_ipv4
        urls[master.name] = f"https://{address}:{API_PORT}"
    if context.spec.api_load_balancer:
        balancer = lookup.load_balancer(context.spec, context.view)
        if balancer is None:
            return None
        inside = next(iter(balancer.private_ips.values()), None)
        address = (inside if private else balancer.public_ipv4) or inside
        if address is not None and host_config.all_certificates_hold(context, address):
            urls[context.spec.name] = f"https://{address}:{API_PORT}"
    return urls


def predict(_spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what this machine holds after the kubeconfig was written."""
    if not isinstance(step, WriteKubeconfig):
        return state
    facts = state.facts(step.via)
    ca = facts.disk.server_ca if facts else predictions.PREDICTED_CA
    local = replace(state.local, kubeconfig_ca=ca, kubeconfig_servers=dict(step.servers))
    return replace(state, local=local)
