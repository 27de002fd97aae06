"""Steps that can shut the operator out: a firewall that lets SSH in from elsewhere only, or on another port."""

from __future__ import annotations

from hetzner_k3s.decide.desired import firewall
from hetzner_k3s.decide.lifecycle import infra
from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import Firewall
from hetzner_k3s.model.consents import SkipAddressCheck
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.hetzner import access
from hetzner_k3s.model.plan import Refusal
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import EnsureFirewall


def own_addresses(state: ClusterState) -> tuple[str, ...]:
    """Return the addresses we come from: as hosts see us, or as this machine knows where none answers."""
    seen = {reading.value.seen_from or "" for reading in state.hosts.values() if isinstance(reading, Known)}
    own = state.local.public_address or ""
    return tuple(sorted(filter(access.is_address, seen))) or ((own,) if access.is_address(own) else ())


def operator_stays_in(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse to change the firewall so that our own SSH no longer passes; servers behind their private address do not
    depend on it.
    """
    step = next((s for s in infra.firewall_steps(context) if isinstance(s, EnsureFirewall)), None)
    if step is None or SkipAddressCheck() in context.consents or context.spec.ssh.use_private_ip:
        return ()
    existing = lookup.firewall(context.spec, context.view)
    if existing is not None and _closes_the_port_in_use(context, existing):
        return (_port_changed(context, existing),)
    own, port = own_addresses(context.state), context.spec.ssh.port
    shut_out = [address for address in own if not access.admits(step.rules, port, address)]
    if own:
        return (_shut_out(context, f"this machine is seen as {', '.join(shut_out)}"),) if shut_out else ()
    networks = access.sources(access.from_outside(context.spec, step.rules), port)
    if all(map(access.never_from_outside, networks)):
        return (_shut_out(context, "these are private addresses, and servers are reached at their public ones"),)
    return ()


def _closes_the_port_in_use(context: DecisionContext, existing: Firewall) -> bool:
    """Check whether the firewall is open for another port than the file's, and nobody answers on that one.

    One that is open for none was changed by hand: the port that it lacks is the file's.
    """
    answers = any(isinstance(reading, Known) for reading in context.state.hosts.values())
    opened = access.sources(access.from_outside(context.spec, existing.rules), context.spec.ssh.port)
    owned = bool(lookup.owned_servers(context.spec.name, context.view))
    return owned and not answers and not opened and bool(_other_ports(context, existing))


def _other_ports(context: DecisionContext, existing: Firewall) -> list[str]:
    """Return the TCP ports that the firewall is open for and the file does not name."""
    named = {rule.port for rule in firewall.firewall_rules(context.spec)} | {None, "any"}
    return sorted({r.port for r in existing.rules if r.protocol == "tcp" and r.port and r.port not in named})


def _port_changed(context: DecisionContext, existing: Firewall) -> Refusal:
    port, old = context.spec.ssh.port, f"port {', '.join(_other_ports(context, existing))}"
    return Refusal(
        code="ssh.port-changed",
        saw=f"The file says that SSH listens on port {port}. The firewall {existing.name} was made for {old}, and no "
        f"server answers on {port}.",
        why=f"A server gets its SSH port when it is made. Opening {port} would close {old}, where the servers listen.",
        you_can=f"Write the old port into networking.ssh.port. If you changed sshd on every server yourself, run the "
        f"command with {SkipAddressCheck()}.",
    )


def _shut_out(context: DecisionContext, because: str) -> Refusal:
    allowed = ", ".join(context.spec.firewall.ssh_networks)
    return Refusal(
        code="firewall.shuts-out",
        saw=f"The file lets SSH in only from {allowed or 'nowhere'}; {because}.",
        why="With these rules the firewall would shut this machine out of every server, and nothing could be done "
        "about them from here any more.",
        you_can="Add the address you come from to networking.allowed_networks.ssh. If you will come from an allowed "
        f"address, run the command with {SkipAddressCheck()}.",
    )
