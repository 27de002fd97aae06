"""Who holds a cluster's tokens in a story: its owner, a laptop that was lost, workers from before agent tokens."""

from __future__ import annotations

from hetzner_k3s.lab.k3s.trust import tokens
from hetzner_k3s.lab.simulated.hosts.disk import Disk
from hetzner_k3s.lab.simulated.k3s import k3s_files
from hetzner_k3s.lab.simulated.world import World
from hetzner_k3s.model import naming
from hetzner_k3s.model.secrets import Secret

from . import mischief


def written_down(disk: Disk) -> list[Secret]:
    """Return both tokens of a master, as its owner may have copied them."""
    assert disk.token is not None
    assert disk.agent_token is not None
    return [Secret(disk.token), *([Secret(disk.agent_token)] if disk.agent_token != disk.token else [])]


def laptop_lost(world: World) -> None:
    """Take away what `create` kept on this machine."""
    world.laptop.kept_tokens.clear()


async def born_without_agent_token(world: World) -> None:
    """Let the cluster be as those that were initialized before there were agent tokens, none of them restarted."""
    masters = [host for host in world.site.hosts.values() if host.server is not None and host.disk.token]
    password = tokens.parse(masters[0].disk.token or "").password
    for host in masters:
        assert host.server is not None
        k3s_files.write_passwd(host.disk, password, 0.0, agent=password)
        host.server.passwords["node"] = (password, host.server.passwords["node"][1])
        host.disk.config = without_line(host.disk, "agent-token:")
    await _sealed_anew(world, masters[0].disk, password)
    for host in world.site.hosts.values():
        if host not in masters and host.disk.config:
            host.disk.config = f'token: "{masters[0].disk.token}"\n' + without_line(host.disk, "token:")
    _forget_the_label(world)


def without_line(disk: Disk, key: str) -> str:
    """Return a host's configuration without a line."""
    kept = (line for line in (disk.config or "").splitlines() if not line.startswith(key))
    return "\n".join([*kept, ""])


async def _sealed_anew(world: World, disk: Disk, password: str) -> None:
    found = await mischief.etcd(world).get(tokens.storage_key(password))
    sealed = k3s_files.seal(disk.server, password)
    await mischief.etcd(world).put(tokens.storage_key(password), sealed, found.entries[0].mod_revision)


def _forget_the_label(world: World) -> None:
    project = world.project
    for found in (project.placement_groups, project.networks, project.firewalls, project.servers):
        for resource in found.values():
            resource.labels.pop(naming.LABEL_AGENT_TOKEN, None)
    world.laptop.kept_tokens.clear()
