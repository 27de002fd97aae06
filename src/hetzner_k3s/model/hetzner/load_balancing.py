"""What the load balancer of the Kubernetes API must have, and what one lacks of it."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from fnmatch import fnmatchcase
from typing import Final

from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import BalancedService, BalancerTarget, HealthCheck, LoadBalancer
from hetzner_k3s.model.spec import API_PORT

SERVING: Final = ("200", "401")
"""What an API server that serves answers to a request for `/readyz` without a certificate: 401, or 200 where
`kube_api_server_args` admit anybody. One that starts answers 503 or 500 (docs/facts/k3s.md#readiness-from-outside).
"""

API_CHECK: Final = HealthCheck(protocol="http", port=API_PORT, path="/readyz", tls=True, statuses=SERVING)

API_SERVICE: Final = BalancedService(protocol="tcp", listen_port=API_PORT, destination_port=API_PORT, check=API_CHECK)

_STARTING: Final = ("500", "503")

_NAMES_MASTERS: Final = frozenset({naming.LABEL_CLUSTER, naming.LABEL_ROLE})
"""Labels without which a selector would also take workers, or the masters of another cluster."""


class Correction(Enum):
    """What is done to a load balancer; each is right however often it is done."""

    ATTACH = "attach it to the network"
    ADD_TARGET = "add the target"
    REPLACE_TARGET = "send to the target's other addresses"
    ADD_SERVICE = "add the service"
    CHANGE_SERVICE = "change the service"


def corrections(balancer: LoadBalancer, network_id: int | None, selector: str) -> tuple[Correction, ...]:
    """Return what makes a load balancer send TCP 6443 to the masters that serve, in order.

    Args:
        balancer: as Hetzner lists it. One without any address is being made, and one in another network is somebody's
            doing (it has at most one): about neither is anything done.
        network_id: the cluster's network, in which it sends; without one it sends to public addresses.
        selector: of the masters that joined. The one that 2.x uses, of all masters, is as good.
    """
    if is_being_made(balancer) or is_elsewhere(balancer, network_id):
        return ()
    attach = () if network_id is None or network_id in balancer.private_ips else (Correction.ATTACH,)
    targets = _of_targets(balancer, selector, private=network_id is not None)
    return (*attach, *targets, *_of_services(balancer))


def is_being_made(balancer: LoadBalancer) -> bool:
    """Check whether a load balancer has no address yet: its network is not listed before.

    See docs/facts/hetzner-api.md#load-balancers.
    """
    return balancer.public_ipv4 is None and not balancer.private_ips


def is_elsewhere(balancer: LoadBalancer, network_id: int | None) -> bool:
    """Check whether a load balancer is attached to another network than the one that the cluster has."""
    return network_id is not None and bool(balancer.private_ips) and network_id not in balancer.private_ips


def api_service(balancer: LoadBalancer) -> BalancedService | None:
    """Return the service on the port of the Kubernetes API."""
    return next((service for service in balancer.services if service.listen_port == API_PORT), None)


def covers_masters(target: BalancerTarget, selector: str) -> bool:
    """Check whether a target takes every server that a selector of masters does, and no other kind of server."""
    theirs, ours = _requirements(target.name), _requirements(selector)
    keys = {key for key, _, _ in (requirement.partition("=") for requirement in theirs)}
    return target.kind == "label_selector" and (theirs == ours or (theirs < ours and keys >= _NAMES_MASTERS))


def heeds_membership(balancer: LoadBalancer, selector: str) -> bool:
    """Check whether a master is sent to no more once it is not labelled as a member: 2.x' target takes all masters."""
    covering = (target for target in balancer.targets if covers_masters(target, selector))
    return all(_requirements(target.name) == _requirements(selector) for target in covering)


def _requirements(selector: str) -> frozenset[str]:
    return frozenset(part.replace("==", "=").replace(" ", "") for part in selector.split(","))


def _of_targets(balancer: LoadBalancer, selector: str, *, private: bool) -> tuple[Correction, ...]:
    if any(target.private is private and covers_masters(target, selector) for target in balancer.targets):
        return ()
    otherwise = any(target.kind == "label_selector" and target.name == selector for target in balancer.targets)
    return (Correction.REPLACE_TARGET if otherwise else Correction.ADD_TARGET,)


def is_checked_well(service: BalancedService) -> bool:
    """Check whether a service tells a master that serves from one that starts, or nothing was told of how it checks.

    How often it looks at a target is its owner's affair, and so are further statuses.
    """
    check = service.check
    if check is None:
        return True
    tells_apart = all(_admits(check, code) for code in SERVING) and not any(_admits(check, code) for code in _STARTING)
    return tells_apart and replace(check, statuses=SERVING) == API_CHECK


def _admits(check: HealthCheck, status: str) -> bool:
    return any(fnmatchcase(status, pattern) for pattern in check.statuses)


def _serves_the_api(service: BalancedService) -> bool:
    """Check whether a service does what ours does."""
    return replace(service, check=API_SERVICE.check) == API_SERVICE and is_checked_well(service)


def _of_services(balancer: LoadBalancer) -> tuple[Correction, ...]:
    service = api_service(balancer)
    if service is not None and _serves_the_api(service):
        return ()
    return (Correction.ADD_SERVICE if service is None else Correction.CHANGE_SERVICE,)
