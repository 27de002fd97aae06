"""Whether the machine that a Node stands for is gone: asked before a Node or a member of its name is touched."""

from __future__ import annotations

from dataclasses import dataclass

from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.facts import Absent, Fact, Known, Unknown
from hetzner_k3s.model.host import HostFacts, HostKeyKind
from hetzner_k3s.model.hosts.contact import InternalIps
from hetzner_k3s.model.kube import KubeNode
from hetzner_k3s.model.state import ClusterState


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedServer:
    """What has a wanted name now: the server in the listing and what its host told, as far as there are any."""

    name: str
    server: Server | None
    facts: HostFacts | None

    @property
    def empty(self) -> bool:
        """Check whether no cluster can have left anything here.

        There is no server, or its host showed an empty disk.
        """
        return self.server is None or (self.facts is not None and self.facts.disk.empty)

    @property
    def wiped(self) -> bool:
        """Check whether its own host, by its final key, shows a disk on which no cluster left anything."""
        return self.facts is not None and self.facts.key is HostKeyKind.FINAL and self.facts.disk.empty


def whereabouts(server: Server) -> str:
    """Return which machine a server is: its id, and the address it is reached at."""
    address = server.public_ipv4 or next(iter(server.private_ips.values()), None)
    return f"id {server.id}, {address}" if address else f"id {server.id}"


def fate(node: KubeNode, named: NamedServer, state: ClusterState, internal_ips: InternalIps) -> Fact[str]:
    """Return what became of a Node's machine.

    `Known` tells where it lives, `Absent` why it is gone for certain (docs/architecture.md#absence: the listing and the
    server's id both say so), `Unknown` why that could not be told.
    """
    machine = node.machine
    if machine is None:
        return _fate_without_id(node, named, state, internal_ips)
    if named.server is not None and named.server.id == machine:
        return Absent("its disk is a new one") if named.wiped else Known("it is the server of that name")
    listed = next((s for s in state.view.servers if s.id == machine), None)
    if listed is not None:
        return Known(f"server {machine} exists under the name {listed.name}")
    answer = state.lookups.get(machine, Unknown("nobody asked yet"))
    if isinstance(answer, Unknown):
        return Unknown(f"whether server {machine} still exists could not be asked ({answer.why})")
    return Known(f"server {machine} still exists although no listing shows it") if answer.value else Absent(_GONE)


def doubt(node: KubeNode, named: NamedServer, state: ClusterState, internal_ips: InternalIps) -> str | None:
    """Return what keeps a Node's machine from being proven gone; None when nothing does."""
    match fate(node, named, state, internal_ips):
        case Absent():
            return None
        case Known(where):
            return where
        case Unknown(why):
            return why


_GONE = "neither the listing nor its id shows its server"


def _fate_without_id(node: KubeNode, named: NamedServer, state: ClusterState, internal_ips: InternalIps) -> Fact[str]:
    if node.internal_ip is not None:
        holder = next((s for s in state.view.servers if internal_ips.of(s) == node.internal_ip), None)
        if holder is not None and holder.name != named.name:
            return Known(f"its address {node.internal_ip} is that of server {holder.name}")
    if named.empty:
        return Absent("no server of its name holds data")
    return Unknown("the server of its name was not seen empty")
