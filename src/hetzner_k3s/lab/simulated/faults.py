"""What can happen to a simulated world. Each fault knows whether it is possible now, what it does, and how it heals.

A fault heals the way its owner would: power comes back, packets pass again, and a machine whose data is lost is deleted
at Hetzner, as the product asks for. What the tool repairs by itself needs no healing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hetzner_k3s.lab.cloud.cloud import Incoming
from hetzner_k3s.lab.cloud.requests.fields import Body
from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.lab.simulated.world import TOKEN, World
from hetzner_k3s.model.operations.operation import K3sRole

_SETTLED_WITHIN = 600.0
_LOOK_EVERY = 0.5


class Fault(Protocol):
    """Something that goes wrong; its fields say with what."""

    def possible(self, world: World) -> bool:
        """Check whether it can happen now."""
        ...

    async def strike(self, world: World) -> None:
        """Let it happen."""
        ...

    async def heal(self, world: World) -> None:
        """Undo it as far as somebody outside the tool can and would."""
        ...


def ask(world: World, method: str, path: str, body: bytes = b"") -> dict[str, object]:
    """Do something at the emulated Hetzner as its owner, beside the tool; give the answer's body."""
    return world.cloud.handle(Incoming(method, path, TOKEN, (), body)).answer.body or {}


async def insist(world: World, method: str, path: str, done: Callable[[], bool], body: bytes = b"") -> None:
    """Ask until it is done: a server may be locked by something that the tool does, or the API may be ill.

    Raises:
        TimeoutError: it never was.
    """
    loop = asyncio.get_running_loop()
    ends, asked = loop.time() + _SETTLED_WITHIN, False
    while not done():
        if loop.time() >= ends:
            raise TimeoutError(f"{method} {path}")
        asked = asked or "error" not in ask(world, method, path, body)
        await asyncio.sleep(_LOOK_EVERY)


async def until(look: Callable[[], bool], what: str) -> None:
    """Wait for something in the world.

    Raises:
        TimeoutError: it did not come.
    """
    loop = asyncio.get_running_loop()
    ends = loop.time() + _SETTLED_WITHIN
    while not look():
        if loop.time() >= ends:
            raise TimeoutError(what)
        await asyncio.sleep(_LOOK_EVERY)


def _has_host(world: World, name: str) -> bool:
    server = world.server(name)
    return server is not None and server.id in world.site.hosts and server.status == "running"


class _OnHost:
    """A fault of one server's host."""

    name: str

    def possible(self, world: World) -> bool:
        """Check whether the server has a running host."""
        return _has_host(world, self.name)

    async def heal(self, world: World) -> None:
        """Need no healing."""


@dataclass(frozen=True)
class ServerDeleted(_OnHost):
    """Somebody deletes a server at Hetzner."""

    name: str

    async def strike(self, world: World) -> None:
        """Delete it, and wait until it is gone."""
        server = world.server(self.name)
        assert server is not None
        await insist(world, "DELETE", f"/servers/{server.id}", lambda: server.id not in world.project.servers)


@dataclass(frozen=True)
class AddressReused(_OnHost):
    """A server is deleted, and somebody else's takes its private address; heals when that one is deleted."""

    name: str

    def possible(self, world: World) -> bool:
        """Check whether the server has a running host in a network, and the other is not there yet."""
        return super().possible(world) and bool(world.host(self.name).nics) and world.server(self._stranger) is None

    @property
    def _stranger(self) -> str:
        return f"not-{self.name}"

    async def strike(self, world: World) -> None:
        """Delete the one, make the other."""
        network = next(iter(world.host(self.name).nics))
        await ServerDeleted(self.name).strike(world)
        order = {"name": self._stranger, "server_type": "cpx22", "image": "debian-13", "location": "fsn1"}
        body = json.dumps({**order, "networks": [network]}).encode()
        await insist(world, "POST", "/servers", lambda: _has_host(world, self._stranger), body)

    async def heal(self, world: World) -> None:
        """Delete the other one."""
        if world.server(self._stranger) is not None:
            await ServerDeleted(self._stranger).strike(world)


@dataclass(frozen=True)
class PoweredOff(_OnHost):
    """A server is powered off; it heals by power."""

    name: str

    async def strike(self, world: World) -> None:
        """Cut its power."""
        host = world.host(self.name)
        await insist(world, "POST", f"/servers/{host.server_id}/actions/poweroff", lambda: not host.powered)

    async def heal(self, world: World) -> None:
        """Power it on."""
        server = world.server(self.name)
        if server is not None:
            host = world.host(self.name)
            await insist(world, "POST", f"/servers/{server.id}/actions/poweron", lambda: host.ssh_up)


@dataclass(frozen=True)
class Rebooted(_OnHost):
    """A server reboots."""

    name: str

    async def strike(self, world: World) -> None:
        """Cut its power and give it back."""
        host = world.host(self.name)
        host.power_off()
        host.power_on()


class _DataLost(_OnHost):
    """A fault that costs a host its data: it heals when its owner deletes the server."""

    async def heal(self, world: World) -> None:
        """Delete the server, as the refusal says."""
        if world.server(self.name) is not None:
            await ServerDeleted(self.name).strike(world)


@dataclass(frozen=True)
class Rebuilt(_DataLost):
    """A server gets a fresh disk in place."""

    name: str

    async def strike(self, world: World) -> None:
        """Rebuild it from its image."""
        host = world.host(self.name)
        before = host.disk
        body = b'{"image": "debian-13"}'
        path = f"/servers/{host.server_id}/actions/rebuild"

        def done() -> bool:
            gone = host.server_id not in world.project.servers  # the tool may let it go meanwhile
            return gone or (host.disk is not before and host.ssh_up)

        await insist(world, "POST", path, done, body)


@dataclass(frozen=True)
class DatabaseDeleted(_DataLost):
    """`server/db` is deleted while `server/tls` stays, and k3s is started again."""

    name: str

    async def strike(self, world: World) -> None:
        """Stop, delete, start."""
        host = world.host(self.name)
        unit = host.units.get(K3sRole.SERVER)
        if unit is not None:
            unit.stop()
            host.disk.remove_database()
            unit.start()


@dataclass(frozen=True)
class K3sKilled(_OnHost):
    """k3s is killed; systemd starts it again."""

    name: str

    async def strike(self, world: World) -> None:
        """Kill every k3s of the host."""
        for unit in world.host(self.name).units.values():
            if unit.running:
                unit.stop()
                unit.start()


@dataclass(frozen=True)
class SshSilent(_OnHost):
    """A host drops our SSH packets."""

    name: str

    async def strike(self, world: World) -> None:
        """Cut what is open and answer nothing more."""
        host = world.host(self.name)
        host.ssh.silent = True
        host.ssh.cut()

    async def heal(self, world: World) -> None:
        """Let packets pass."""
        for host in _hosts(world, self.name):
            host.ssh.silent = False


@dataclass(frozen=True)
class SshDenied(_OnHost):
    """A host refuses our key."""

    name: str

    async def strike(self, world: World) -> None:
        """Refuse."""
        world.host(self.name).ssh.denied = True

    async def heal(self, world: World) -> None:
        """Accept."""
        for host in _hosts(world, self.name):
            host.ssh.denied = False


@dataclass(frozen=True)
class AnswersGarbled(_OnHost):
    """A host that was broken into answers with anything but what it was asked."""

    name: str

    async def strike(self, world: World) -> None:
        """Answer so from now on."""
        world.host(self.name).ssh.garbled = True

    async def heal(self, world: World) -> None:
        """Answer as ever."""
        for host in _hosts(world, self.name):
            host.ssh.garbled = False


@dataclass(frozen=True)
class SshCut(_OnHost):
    """Every open connection to a host breaks, once."""

    name: str

    async def strike(self, world: World) -> None:
        """Break them."""
        world.host(self.name).ssh.cut()


@dataclass(frozen=True)
class Slow(_OnHost):
    """Everything on a host takes `factor` times as long."""

    name: str
    factor: float = 6.0

    async def strike(self, world: World) -> None:
        """Slow it down."""
        world.host(self.name).ssh.slow = self.factor

    async def heal(self, world: World) -> None:
        """Let it be quick again."""
        for host in _hosts(world, self.name):
            host.ssh.slow = 1.0


@dataclass(frozen=True)
class Frozen(_OnHost):
    """A host stands still; its processes go on where they were when it is thawed."""

    name: str

    async def strike(self, world: World) -> None:
        """Freeze it."""
        world.host(self.name).set_frozen(True)

    async def heal(self, world: World) -> None:
        """Thaw it."""
        for host in _hosts(world, self.name):
            host.set_frozen(False)


@dataclass(frozen=True)
class CutOff(_OnHost):
    """A host reaches no other host, but answers us."""

    name: str

    async def strike(self, world: World) -> None:
        """Cut it off from all others."""
        mine = world.host(self.name).server_id
        world.site.cut |= {frozenset((mine, other)) for other in world.site.hosts if other != mine}
        world.site.network_changed()

    async def heal(self, world: World) -> None:
        """Join the network again."""
        mine = {host.server_id for host in _hosts(world, self.name)}
        world.site.cut = {pair for pair in world.site.cut if not pair & mine}
        world.site.network_changed()


@dataclass
class ApiFault:
    """The Hetzner API misbehaves: `effect` and the rest as in `lab.cloud.faults.Fault`."""

    effect: str
    method: str = "*"
    path: str = ".*"
    code: str = "server_error"
    skip: int = 0
    times: int | None = 1
    seconds: float = 0.0
    entries: int = 1
    server_type: str = ""
    location: str = ""
    rule: int | None = field(default=None, compare=False)

    def possible(self, world: World) -> bool:  # noqa: ARG002
        """Tell that it always is."""
        return True

    async def strike(self, world: World) -> None:
        """Lay the rule."""
        body: dict[str, object] = {
            "effect": self.effect,
            "method": self.method,
            "path": self.path,
            "code": self.code,
            "skip": self.skip,
            "seconds": self.seconds,
            "entries": self.entries,
            "server_type": self.server_type,
            "location": self.location,
        }
        body |= {"always": True} if self.times is None else {"times": self.times}
        self.rule = world.cloud.faults.add(Body(body)).id

    async def heal(self, world: World) -> None:
        """Take the rule away."""
        if self.rule is not None:
            world.cloud.faults.rules.pop(self.rule, None)


def _hosts(world: World, name: str) -> Sequence[Host]:
    """Return the host of a server that may be gone by now."""
    return [host for host in world.site.hosts.values() if host.name == name]
