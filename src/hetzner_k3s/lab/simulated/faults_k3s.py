"""What happens to a cluster that no machine is lost of: clocks, a full datastore, a token that somebody rotates."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from hetzner_k3s.lab.k3s.trust import tokens
from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.lab.simulated.k3s import k3s_files
from hetzner_k3s.lab.simulated.world import World
from hetzner_k3s.model.operations.operation import K3sRole

_SKEW = 300.0
_BETWEEN_RESTARTS = 60.0


def _host(world: World, name: str) -> Host | None:
    server = world.server(name)
    host = world.site.hosts.get(server.id) if server is not None else None
    return host if host is not None and host.powered else None


@dataclass(frozen=True)
class ClockSkewed:
    """The clock of a server's host, and of whatever is made in its place, is minutes ahead; heals when it is set."""

    name: str

    def possible(self, world: World) -> bool:
        """Check whether it is right until now."""
        return self.name not in world.site.skew

    async def strike(self, world: World) -> None:
        """Set it wrong."""
        world.site.skew[self.name] = _SKEW

    async def heal(self, world: World) -> None:
        """Set it right."""
        world.site.skew.pop(self.name, None)


@dataclass(frozen=True)
class DatastoreFull:
    """A master's etcd has no space left, and says so; heals when its owner makes room."""

    name: str

    def possible(self, world: World) -> bool:
        """Check whether it has an etcd."""
        host = _host(world, self.name)
        return host is not None and host.disk.drive.data is not None

    async def strike(self, world: World) -> None:
        """Raise the alarm."""
        world.site.alarms[self.name] = ("NOSPACE",)

    async def heal(self, world: World) -> None:
        """Clear it."""
        world.site.alarms.pop(self.name, None)


@dataclass(frozen=True)
class TokenRotated:
    """Somebody rotates the token on a master; heals when its owner ends it as k3s asks: token, restart, the next."""

    name: str

    @property
    def _password(self) -> str:
        return f"rotated on {self.name}"

    def possible(self, world: World) -> bool:
        """Check whether k3s serves there and on most masters: nobody rotates a token in the seconds of a birth."""
        host = _host(world, self.name)
        masters = [h for h in world.site.hosts.values() if K3sRole.SERVER in h.units]
        serving = [h for h in masters if h.server is not None and h.server.api_ready and h.server.member().healthy]
        return host in serving and 2 * len(serving) > len(masters)

    async def strike(self, world: World) -> None:
        """Seal the datastore anew; of the files only this host's follow."""
        host = _host(world, self.name)
        assert host is not None
        await rotate(world, host, self._password)

    async def heal(self, world: World) -> None:
        """Write the new token into every master's config.yaml, then restart k3s on one after the other.

        In this order: of two members the one whose peer is restarted ends too, and comes back with what its file says.
        """
        rotated = [host for host in world.site.hosts.values() if self._is_told(host)]
        for host in rotated:
            _write_token(host, self._password)
            host.disk.server.pop("PasswdFile", None)  # where it is older than the rotation, k3s asks for that too
        for host in rotated:
            unit = host.units[K3sRole.SERVER]
            unit.stop()
            if not host.disk.held:  # systemd starts no unit that is masked
                unit.start()
            await asyncio.sleep(_BETWEEN_RESTARTS)

    def _is_told(self, host: Host) -> bool:
        """Check whether the datastore on its disk is sealed with the new token; its k3s may have ended over that."""
        data = host.disk.drive.data
        return data is not None and tokens.storage_key(self._password) in data.keys and K3sRole.SERVER in host.units


def _write_token(host: Host, password: str) -> None:
    """Write the token where a master has it: beside the unit of 2.x, else into `config.yaml`."""
    if host.disk.server_environment:
        host.disk.server_environment["K3S_TOKEN"] = password
    else:
        host.disk.config = _with_token(host, password)


def _with_token(host: Host, password: str) -> str:
    kept = [line for line in (host.disk.config or "").splitlines() if not line.startswith("token:")]
    token = tokens.full(host.disk.server_ca or b"", password)
    return "\n".join([f'token: "{token}"', *kept, ""])


async def rotate(world: World, host: Host, password: str) -> None:
    """Rotate the cluster's token on one master: datastore and that host follow, the other hosts do not."""
    assert host.disk.token is not None
    assert host.server is not None
    etcd = host.server.member()
    old = tokens.parse(host.disk.token).password
    found = await etcd.get(tokens.storage_key(old))
    if not found.entries or old == password:
        return
    k3s_files.write_passwd(host.disk, password, world.clock.now())
    sealed = k3s_files.unseal({tokens.storage_key(old): found.entries[0].value}, old)
    sealed["PasswdFile"] = host.disk.server["PasswdFile"]
    await etcd.put(tokens.storage_key(password), k3s_files.seal(sealed, password), 0)
    await etcd.delete(tokens.storage_key(old), found.entries[0].mod_revision)
    host.disk.token = tokens.full(host.disk.server_ca or b"", password)
