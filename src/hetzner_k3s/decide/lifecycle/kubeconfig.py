"""The kubeconfig on the operator's machine: written when it is missing or points elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hetzner_k3s.decide.desired import host_config
from hetzner_k3s.decide.view import predictions
from hetzner_k3s.decide.view.context import DecisionContext, Proposal, ServingContext, context_of
from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.hosts.contact import InternalIps
from hetzner_k3s.model.plan import Intent, PlannedStep, Reason, Scope, Verb
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
    known = _known(servers := _api_urls(context))
    return (context.gateway.facts.disk.server_ca, known) if len(known) == len(servers) else None


def access(spec: ClusterSpec, state: ClusterState) -> WriteKubeconfig | None:
    """Return the kubeconfig of the masters that are there, for whoever asks; None where no healthy master serves."""
    context = context_of(spec, state, Intent(verb=Verb.CREATE), frozenset())
    if not isinstance(context, ServingContext) or not (servers := _known(_api_urls(context))):
        return None
    return WriteKubeconfig(
        target=spec.kubeconfig_path,
        via=context.gateway.server.id,
        servers=servers,
        current=spec.name if spec.name in servers else next(iter(servers)),
    )


def _known(urls: Mapping[str, str | None]) -> dict[str, str]:
    return {name: url for name, url in urls.items() if url is not None}


def _api_urls(context: DecisionContext) -> dict[str, str | None]:
    """Return the API URL of each context as 2.6 names them, None while it is unknown.

    See docs/facts/compatibility.md#kubeconfig.

    The load balancer has one as soon as no client is refused there because a master's certificate lacks its address.
    """
    private = context.spec.ssh.use_private_ip or not context.spec.network.public_ipv4
    internal_ips = context.control_plane.internal_ips
    masters = context.control_plane.masters
    urls = {master.name: _url(_address(master.server, internal_ips, private)) for master in masters}
    if context.spec.api_load_balancer:
        balancer = lookup.load_balancer(context.spec, context.view)
        if balancer is None:
            return {**urls, context.spec.name: None}
        inside = next(iter(balancer.private_ips.values()), None)
        address = (inside if private else balancer.public_ipv4) or inside
        if address is not None and host_config.all_certificates_hold(context, address):
            urls[context.spec.name] = _url(address)
    return urls


def _address(server: Server | None, internal_ips: InternalIps, private: bool) -> str | None:
    if server is None:
        return None
    return internal_ips.of(server) if private else server.public_ipv4


def _url(address: str | None) -> str | None:
    return None if address is None else f"https://{address}:{API_PORT}"


def predict(_spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what this machine holds after the kubeconfig was written."""
    if not isinstance(step, WriteKubeconfig):
        return state
    facts = state.facts(step.via)
    ca = facts.disk.server_ca if facts else predictions.PREDICTED_CA
    local = replace(state.local, kubeconfig_ca=ca, kubeconfig_servers=dict(step.servers))
    return replace(state, local=local)
