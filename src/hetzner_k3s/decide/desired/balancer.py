"""The API's load balancer: its network, its target, its service and its check, compared by what they mean."""

from __future__ import annotations

from collections.abc import Iterator

from hetzner_k3s.decide.desired.host_config import LOAD_BALANCER
from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import BalancedService, LoadBalancer, Network
from hetzner_k3s.model.difference import Difference, Remedy
from hetzner_k3s.model.hetzner import load_balancing
from hetzner_k3s.model.hetzner.load_balancing import API_CHECK, API_SERVICE, Correction


def balanced_otherwise(context: DecisionContext) -> Iterator[Difference]:
    """Return what the load balancer that the file asks for lacks; one that is missing is made, so it is none here."""
    balancer, network = lookup.load_balancer(context.spec, context.view), lookup.network(context.spec, context.view)
    awaits = lookup.lacks_network(context.spec, context.view)
    if not context.spec.api_load_balancer or balancer is None or awaits:
        return
    number = network.id if network is not None else None
    if network is not None and load_balancing.is_elsewhere(balancer, network.id):
        yield _elsewhere(balancer, network)
    for correction in load_balancing.corrections(balancer, number, naming.members_selector(context.spec.name)):
        wanted, seen = _words(correction, context, balancer, network)
        yield Difference(subject=balancer.name, field=LOAD_BALANCER, wanted=wanted, seen=seen, remedy=Remedy.APPLY)


def _elsewhere(balancer: LoadBalancer, network: Network) -> Difference:
    (other, *_) = balancer.private_ips
    return Difference(
        subject=balancer.name,
        field=LOAD_BALANCER,
        wanted=f"network {network.name}",
        seen=f"another network (id {other})",
        remedy=Remedy.REPLACE,
        because="Hetzner has it in one network at most; detach it there and run `create` again",
    )


def _words(
    correction: Correction, context: DecisionContext, balancer: LoadBalancer, network: Network | None
) -> tuple[str, str]:
    """Return what the file asks for and what is there, each as text."""
    selector, service = naming.members_selector(context.spec.name), load_balancing.api_service(balancer)
    by, other = ("private", "public") if network is not None else ("public", "private")
    match correction:
        case Correction.ATTACH:
            return f"network {context.spec.network_name}", "no network"
        case Correction.ADD_TARGET:
            return f"target {selector} by {by} addresses", "no target for the masters"
        case Correction.REPLACE_TARGET:
            return f"target {selector} by {by} addresses", f"it by {other} ones"
        case _:
            return _services(service)


def _services(service: BalancedService | None) -> tuple[str, str]:
    """Return the service that the API needs and the one that is there; the health checks where these differ."""
    if service is None:
        return _described(API_SERVICE), "no service on its port"
    if load_balancing.is_checked_well(service):
        return _described(API_SERVICE), _described(service)
    return f"{_described(API_SERVICE)}, {_checked(API_SERVICE)}", f"{_described(service)}, {_checked(service)}"


def _described(service: BalancedService) -> str:
    proxied = " with PROXY protocol" if service.proxy_protocol else ""
    return f"{service.protocol} {service.listen_port} -> {service.destination_port}{proxied}"


def _checked(service: BalancedService) -> str:
    """Return how a service checks its targets, as in "checked by https 6443/readyz (200, 401)"."""
    check = service.check or API_CHECK
    if check.protocol != "http":
        return f"checked by {check.protocol} {check.port}"
    wanted = ", ".join((*check.statuses, *([f'"{check.response}"'] if check.response else [])))
    return f"checked by {'https' if check.tls else 'http'} {check.port}{check.path} ({wanted})"
