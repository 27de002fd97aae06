"""Load balancers as they should run now: targets resolved to addresses, brought to the machines."""

from __future__ import annotations

from collections.abc import Iterator

from hetzner_k3s.lab.cloud.effects.machines import BalancerService, BalancerSpec, BalancerTarget
from hetzner_k3s.lab.cloud.kernel import Call, MachineFailedError, Process
from hetzner_k3s.lab.cloud.project import Project
from hetzner_k3s.lab.cloud.records import LoadBalancer, Server, ServerTarget, Target


def servers_of(project: Project, target: Target) -> list[Server]:
    """Return the servers a target stands for, by id."""
    if isinstance(target, ServerTarget):
        return [target.server]
    return [project.servers[number] for number in sorted(target.match.matched) if number in project.servers]


def address_of(balancer: LoadBalancer, server: Server, use_private_ip: bool) -> str | None:
    """Return the address of a server for a load balancer, None when there is none (yet)."""
    if not use_private_ip:
        return server.ipv4.ip if server.ipv4 else None
    place = server.attachment(balancer.attachment.network) if balancer.attachment else None
    return str(place.ip) if place is not None and place.ready else None


def spec_of(project: Project, balancer: LoadBalancer) -> BalancerSpec:
    """Return what a load balancer should do now."""
    place = balancer.attachment
    public = balancer.ipv4 if balancer.public_interface else None
    private = str(place.ip) if place is not None and place.ready else None
    return BalancerSpec(
        balancer_id=balancer.id,
        name=balancer.name,
        addresses=tuple(address for address in (public, private) if address),
        services=tuple(
            BalancerService(service.listen_port, service.destination_port, service.health_check)
            for service in balancer.services
        ),
        targets=tuple(dict.fromkeys(_targets(project, balancer))),
    )


def _targets(project: Project, balancer: LoadBalancer) -> Iterator[BalancerTarget]:
    for target in balancer.targets:
        for server in servers_of(project, target):
            address = address_of(balancer, server, target.use_private_ip)
            if address is not None and server.has_machine:
                yield BalancerTarget(server.id, address)


def settle(project: Project, balancer: LoadBalancer) -> None:
    """Bring a load balancer to the machines if it is to do something else than before."""
    if not balancer.made:
        return
    spec = spec_of(project, balancer)
    if spec != balancer.pushed:
        balancer.pushed = spec
        project.world.timeline.start(push(project, balancer))


def settle_all(project: Project) -> None:
    """Settle every load balancer of a project."""
    for balancer in project.load_balancers.values():
        settle(project, balancer)


def push_call(project: Project, balancer: LoadBalancer) -> Call:
    """Make the call that runs a load balancer as it is meant at the moment of the call."""

    async def work() -> None:
        if balancer.made:
            await project.world.machines.balance(spec_of(project, balancer))

    return Call(f"load_balancer-{balancer.id}", work)


def push(project: Project, balancer: LoadBalancer) -> Process:
    """Bring a load balancer to the machines outside any action."""
    try:
        yield push_call(project, balancer)
    except MachineFailedError:
        balancer.pushed = None  # the next change tries again
