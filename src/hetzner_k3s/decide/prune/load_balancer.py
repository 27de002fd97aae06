"""The API's load balancer when the file asks for none any more: named, and deleted with `Prune`."""

from __future__ import annotations

from collections.abc import Iterator

from hetzner_k3s.decide.view.context import DecisionContext, Proposal
from hetzner_k3s.decide.view.master_addresses import host_of
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import LoadBalancer
from hetzner_k3s.model.consents import Prune
from hetzner_k3s.model.hetzner.load_balancing import covers_masters
from hetzner_k3s.model.host import DiskFacts
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope
from hetzner_k3s.model.spec import API_PORT
from hetzner_k3s.model.steps import DeleteResource


def dropped(context: DecisionContext) -> LoadBalancer | None:
    """Return the load balancer of an initialized cluster whose file asks for none."""
    if context.spec.api_load_balancer or context.control_plane.record.phase is not Phase.BORN:
        return None
    return lookup.deletable_load_balancer(context.spec, context.view)


def notes(context: DecisionContext) -> tuple[str, ...]:
    """Name a load balancer that is beyond the file, and what keeps it."""
    balancer = dropped(context)
    if balancer is None:
        return ()
    name, why = f"load balancer {balancer.name} is beyond the file and", _not_ours_alone(context, balancer)
    if Prune() not in context.consents:
        return (f"{name} is left as it is{f', with {Prune()} too: {why}' if why else ''}",)
    if why is not None:
        return (f"{name} stays all the same: {why}",)
    users = tuple(_users(context, balancer))
    return (f"{name} stays as long as its address is named by {', '.join(users)}",) if users else ()


def remove_load_balancer(context: DecisionContext) -> Proposal | None:
    """Plan to delete it with `Prune`, once neither the kubeconfig here nor a host of the cluster names it."""
    balancer = dropped(context)
    if balancer is None or Prune() not in context.consents or _not_ours_alone(context, balancer):
        return None
    if any(_users(context, balancer)) or not all(master.serves for master in context.control_plane.masters):
        return None
    step = DeleteResource(target=balancer.name, kind="load_balancer", resource_id=balancer.id)
    address = f"; a kubeconfig elsewhere that names {balancer.public_ipv4} must be made anew"
    because = f"it is beyond the file{address if balancer.public_ipv4 else ''}"
    return Proposal(
        (PlannedStep(step=step, scope=Scope.INFRASTRUCTURE, reason=Reason.SHRINK, because=because, consent=Prune()),)
    )


def addresses_that_go(context: DecisionContext) -> frozenset[str]:
    """Return the addresses at which nobody is found when `Prune` has let the load balancer go."""
    balancer = dropped(context)
    if balancer is None or Prune() not in context.consents or _not_ours_alone(context, balancer):
        return frozenset()
    return _addresses(balancer)


def _addresses(balancer: LoadBalancer) -> frozenset[str]:
    return frozenset({*balancer.private_ips.values(), *filter(None, [balancer.public_ipv4])})


def _not_ours_alone(context: DecisionContext, balancer: LoadBalancer) -> str | None:
    """Return why Hetzner or somebody else's use of it forbids to delete it."""
    if balancer.protected:
        return "it is protected against deletion at Hetzner"
    others = tuple(_others(context, balancer))
    return f"somebody else uses it: {', '.join(others)}" if others else None


def _others(context: DecisionContext, balancer: LoadBalancer) -> Iterator[str]:
    """Name services and targets that it was not made with."""
    for service in balancer.services:
        if service.listen_port != API_PORT:
            yield f"service {service.protocol} {service.listen_port} -> {service.destination_port}"
    for target in balancer.targets:
        if not covers_masters(target, naming.members_selector(context.spec.name)):
            yield f"target {target.kind} {target.name}".rstrip()


def _users(context: DecisionContext, balancer: LoadBalancer) -> Iterator[str]:
    """Name who goes to the API by the load balancer's address, as far as is known here."""
    local, addresses = context.state.local, _addresses(balancer)
    if {host_of(url) for url in local.kubeconfig_servers.values()} & addresses:
        yield context.spec.kubeconfig_path
    for server in lookup.owned_servers(context.spec.name, context.view):
        facts = context.state.facts(server.id)
        if facts is not None and _goes_by(facts.disk, addresses):
            yield server.name


def _goes_by(disk: DiskFacts, addresses: frozenset[str]) -> bool:
    """Check whether a host's configuration names one of these, or its agent has learned of no other."""
    learned = {host_of(entry) for entry in disk.agent_servers}
    return host_of(disk.config_server or "") in addresses or (bool(learned) and learned <= addresses)
