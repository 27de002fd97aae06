"""What a load balancer's health checks find on simulated masters."""

from __future__ import annotations

from hetzner_k3s.lab.cloud.effects.machines import BalancerSpec, HealthCheck
from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.lab.simulated.hosts.server import Server
from hetzner_k3s.lab.simulated.site import Site

API_PORT = 6443


def health(site: Site[Host], spec: BalancerSpec) -> dict[tuple[int, int], bool]:
    """Return by server id and listening port whether a target passes the check of the service there."""
    own = next(iter(spec.addresses), None)
    reached = {
        target.server_id: host
        for target in spec.targets
        if (host := site.hosts.get(target.server_id)) is not None and host.lets_in(target.address, API_PORT, own)
    }
    pairs = ((target.server_id, service) for target in spec.targets for service in spec.services)
    return {
        (number, service.listen_port): passes(reached.get(number), service.health_check) for number, service in pairs
    }


def passes(host: Host | None, check: HealthCheck) -> bool:
    """Check whether a host passes: nothing but k3s listens here, and it speaks TLS only."""
    server = host.server if host is not None and host.awake else None
    if server is None or not server.listening or check.port != API_PORT:
        return False
    if check.http is None:
        return True
    return check.http.tls and check.http.takes(_status(server)) and not check.http.response


def _status(server: Server) -> int:
    """Return what k3s answers to a request for a path of the API without a certificate, as `lab.k3s.listener` does."""
    return 401 if server.serving and server.api_ready else 503
