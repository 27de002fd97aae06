"""What is known about a server that does not answer, or not as it should: said with the cure that heals it."""

from __future__ import annotations

from hetzner_k3s.decide.lifecycle.access import own_addresses
from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.decide.view.control_plane import MasterView
from hetzner_k3s.decide.view.voters import member_of
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.errors import SshStage
from hetzner_k3s.model.hetzner.access import silence_explained
from hetzner_k3s.model.host import Unreachable


def known_of_silence(context: DecisionContext) -> tuple[str, str]:
    """Return what the firewall has to do with silence, and what can be done; both empty where it has nothing."""
    own = next(iter(own_addresses(context.state)), None)
    explained = silence_explained(context.spec, context.view, own)
    if explained is None:
        return "", ""
    return (
        f" {explained[0].upper()}{explained[1:]}.",
        "Add the address you come from to networking.allowed_networks.ssh and run `create` again: it sets the firewall "
        "first, whatever else is refused. ",
    )


def cure_of_silence(context: DecisionContext, server: Server) -> tuple[str, str]:
    """Return what is known beside of one silent host, and what can be done about it: a sentence with a blank after it.

    A host that answers with what nobody can read lets this machine in: neither the firewall nor SSH is in the way.
    """
    reading = context.state.hosts.get(server.id)
    if isinstance(reading, Unreachable) and reading.stage is SshStage.ANSWER:
        return "", (
            "SSH works, so look at what answers there: root's shell and what it reads at its start (.bashrc, .ssh/rc), "
            "a ForceCommand of its sshd, a full or broken disk. Where it is none of these, reboot it: "
            f"`hcloud server reboot {server.name}`. "
        )
    known, cure = known_of_silence(context)
    return known, cure or "Restore SSH access to it. "


def address_explained(context: DecisionContext, master: MasterView) -> tuple[str, str]:
    """Return where a master's member is listed when its server is elsewhere, and how it gets its address back."""
    member = member_of(context, master)
    if master.server is None or member is None or not master.not_ready:
        return "", ""
    own = context.control_plane.internal_ips.of(master.server)
    if not member.address or own == member.address:
        return "", ""
    where = " in the network" if context.spec.network.private else ""
    seen = f" Its member is listed at {member.address}, and its server has {own or 'no address'}{where}."
    return seen, attaching(context, master.server, member.address)


def attaching(context: DecisionContext, server: Server, address: str) -> str:
    """Return how a server gets an address in the cluster's network back: nothing on its disk is lost by that."""
    if not context.spec.network.private:
        return (
            f"Give it its public address back, which loses nothing: shut {server.name} down, assign the primary IP "
            f"{address} to it, and run `create` again. "
        )
    network = context.spec.network_name
    attach = f"`hcloud server attach-to-network {server.name} --network {network} --ip {address}`"
    if context.control_plane.internal_ips.of(server) is None:
        return f"Give it its address back, which loses nothing: {attach}. "
    detach = f"`hcloud server detach-from-network {server.name} --network {network}`"
    return f"Give it its address back, which loses nothing: {detach}, then {attach}. "
