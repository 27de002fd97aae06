"""What stands in the way of a deletion: all of it is told before anything is gone.

Hetzner refuses to delete what is protected or in use, and would say so halfway; and a firewall that protects somebody
else's server could only be deleted by opening that server to the internet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from hetzner_k3s.decide.lifecycle.deletion.belongings import Going, going
from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import LoadBalancer
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.plan import Refusal


def nothing_protected(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse while something that would be deleted is protected against that."""
    found = list(_protected(context))
    if not found:
        return ()
    return (
        Refusal(
            code="delete.protected",
            saw=f"Protected against deletion at Hetzner: {', '.join(found)}.",
            why="Somebody said that it must not be deleted, and --force does not lift that. "
            + (_NOTHING_MORE if _has_begun(context) else _NOTHING_YET),
            you_can=_lift(context, found[0]) + _without_flags(context),
        ),
    )


_NOTHING_YET = "This run deleted nothing, since half a cluster is of no use to anybody."
_NOTHING_MORE = "The deletion has begun and parts may be gone already; nothing more is deleted until that is settled."


def _has_begun(context: DecisionContext) -> bool:
    """Check whether a deletion was recorded, by this run or an earlier one: then there is no whole cluster to keep."""
    return context.control_plane.record.phase is Phase.DELETING


def _lift(context: DecisionContext, found: str) -> str:
    lift = "Lift" if _has_begun(context) else "Keep the cluster; or lift"
    command = _disable_protection(found)
    return f"{lift} the protection in the Hetzner console (or with `{command}`) and {_again(context)}."


def _again(context: DecisionContext) -> str:
    return "run `delete` again" + (", with the same flags" if _has_begun(context) else "")


def _protected(context: DecisionContext) -> Iterator[str]:
    """Name what is protected, as `kind name (id)`."""
    for server in lookup.owned_servers(context.spec.name, context.view):
        if server.protected:
            yield f"server {server.name} (id {server.id})"
    network, balancer = lookup.deletable_network(context.spec, context.view), _balancer(context)
    if network is not None and network.protected:
        yield f"network {network.name} (id {network.id})"
    if balancer is not None and balancer.protected:
        yield f"load balancer {balancer.name} (id {balancer.id})"
    for made in _protected_and_going(context):
        yield f"{made.kind.replace('_', ' ')} {made.resource.name} (id {made.resource.id})"


def _protected_and_going(context: DecisionContext) -> list[Going]:
    return [made for made in going(context) if made.resource.protected]


def _without_flags(context: DecisionContext) -> str:
    flags = sorted({str(made.consent) for made in _protected_and_going(context)})
    return f" What Kubernetes made stays without {' and '.join(flags)}." if flags else ""


def _disable_protection(found: str) -> str:
    """Return hcloud's command for a protected resource; of a server both protections go together."""
    kind, _, name = found.rpartition(" (")[0].rpartition(" ")
    return f"hcloud {kind.replace(' ', '-')} disable-protection {name} delete{' rebuild' if kind == 'server' else ''}"


def nothing_used_by_others(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse while a server that stays uses something that would be deleted, and name that server."""
    found = [used for used in _uses(context) if used]
    if not found:
        return ()
    return (
        Refusal(
            code="delete.in-use",
            saw=f"Servers without the label {naming.LABEL_CLUSTER}={context.spec.name}, which therefore stay, use what "
            f"would be deleted: {'; '.join(found)}.",
            why="Hetzner deletes no firewall or placement group that is in use, and to take a firewall off somebody's "
            "server would open that server to the internet. "
            f"{_NOTHING_MORE if _has_begun(context) else 'This run deleted nothing;'} --force does not change that.",
            you_can="Give such a server a firewall of its own, take it off what is named above (for a placement group "
            f"it has to be off), and {_again(context)}.",
        ),
    )


def _uses(context: DecisionContext) -> Iterator[str]:
    firewall, balancer = lookup.firewall(context.spec, context.view), _balancer(context)
    if firewall is not None and lookup.is_owned(context.spec.name, firewall.labels):
        yield _used(context, f"firewall {firewall.name} is on", firewall.servers)
    if balancer is not None:
        yield _used(context, f"load balancer {balancer.name} sends to", balancer.servers)
    for group in lookup.deletable_groups(context.spec, context.view):
        yield _used(context, f"placement group {group.name} holds", group.servers)


def _used(context: DecisionContext, use: str, servers: Collection[int]) -> str:
    """Return a sentence about the servers of others, empty where there are none."""
    goes = {server.id for server in lookup.owned_servers(context.spec.name, context.view)}
    names = {server.id: server.name for server in context.view.servers}
    stays = [f"{names[number]} (id {number})" for number in sorted(servers) if number in names and number not in goes]
    return f"{use} {', '.join(stays)}" if stays else ""


def _balancer(context: DecisionContext) -> LoadBalancer | None:
    return lookup.deletable_load_balancer(context.spec, context.view)
