"""A cluster as hetzner-k3s 2.x makes it: begun here by `create`, then made what that tool would have left.

See docs/facts/k3s.md#made-by-2x and docs/facts/compatibility.md#resources.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping

from hetzner_k3s.lab.k3s.api.resources import CONFIGMAPS, NODES, Obj
from hetzner_k3s.lab.k3s.trust import tokens
from hetzner_k3s.lab.simulated.hosts import config_file
from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.lab.simulated.world import World
from hetzner_k3s.model.hosts.contact import host_key_label
from hetzner_k3s.model.naming import LABEL_PREFIX
from hetzner_k3s.model.spec import KubernetesNetworkSpec

from . import invariants, manifests_of_2x, mischief
from .clusters import CLUSTER
from .story import Story
from .tokens_at_hand import born_without_agent_token

_REST = 20.0


async def as_2x_made_it(story: Story) -> None:
    """Make a story's cluster one of 2.x, and take the picture of before anew."""
    await make_of_2x(story.world)
    story.before = invariants.picture(story.world)


async def make_of_2x(world: World) -> None:
    """Make a cluster of ours one of 2.x: nothing of it is restarted, and this machine remembers nothing of it."""
    await born_without_agent_token(world)
    await _addons_by_kubectl(world)
    first, *others = sorted(mischief.masters(world), key=lambda host: host.name)
    url = f"https://{first.addresses[0]}:6443"
    _master(first, "--cluster-init")
    for host in others:
        _master(host, f"--server={url}")
    for host in _workers(world):
        _worker(host, url)
    for host in world.site.hosts.values():
        host.disk.host_key = host_key_label(f"made by the image of {host.name}".encode())
    _labels(world)
    world.laptop.kubeconfig = None
    world.laptop.births.clear()
    await asyncio.sleep(_REST)


def ca8(world: World) -> str:
    """Return the digits by which the cluster is adopted."""
    disk = mischief.masters(world)[0].disk
    return tokens.ca_hash(disk.server_ca or b"")[:8]


def disks(world: World) -> Mapping[str, str]:
    """Return a digest of what lies on each host and is anybody's to write, by its name."""
    return {host.name: _digest(host) for host in world.site.hosts.values()}


def _digest(host: Host) -> str:
    disk = host.disk
    told = (
        *(disk.config, disk.registries, disk.unit_arguments, disk.server_environment, disk.agent_environment),
        *(disk.host_key, disk.token, disk.kubeconfig, disk.k3s_version, disk.units, disk.held, disk.lineage),
        *(disk.operation, disk.fence, sorted(disk.snapshots), disk.failed_commands, sorted(disk.server)),
        *(unit.starts for unit in host.units.values()),
        *(unit.facts().main_pid for unit in host.units.values() if unit.facts().active == "active"),
    )
    return hashlib.sha256(repr(told).encode()).hexdigest()


def _workers(world: World) -> list[Host]:
    return [host for host in world.site.hosts.values() if host.server is None and host.units]


def _master(host: Host, how: str) -> None:
    settings = config_file.read(host.disk.config or "")
    host.disk.unit_arguments = (*_flags(settings), how)
    host.disk.server_environment = {"K3S_TOKEN": tokens.parse(host.disk.token or "").password}
    host.disk.config = None


def _worker(host: Host, url: str) -> None:
    settings = config_file.read(host.disk.config or "")
    host.disk.unit_arguments = tuple(_flags(settings))
    host.disk.agent_environment = {"K3S_TOKEN": str(settings["token"]), "K3S_URL": url}
    host.disk.config = None


def _flags(settings: Mapping[str, object]) -> Iterator[str]:
    for name, value in settings.items():
        if name in {"token", "server", "agent-token"}:
            continue
        for one in value if isinstance(value, list) else [value]:
            yield f"--{name}={str(one).lower() if isinstance(one, bool) else one}"


def _labels(world: World) -> None:
    """Leave the labels that 2.x gives: of a network, a firewall and a load balancer none at all."""
    project = world.project
    bare = (*project.networks.values(), *project.firewalls.values(), *project.load_balancers.values())
    for resource in bare:
        resource.labels = {}
    for carrier in (*project.servers.values(), *project.placement_groups.values()):
        carrier.labels = {key: value for key, value in carrier.labels.items() if not key.startswith(LABEL_PREFIX)}
    assert all(server.labels["cluster"] == CLUSTER for server in project.servers.values())


async def _addons_by_kubectl(world: World) -> None:
    """Have the add-ons be what their manifests make, as 2.x applies them, and nothing in the cluster be ours."""
    store = mischief.store(world)
    await manifests_of_2x.apply_instead_of_charts(store, KubernetesNetworkSpec().cluster_cidr)
    for name in ("hetzner-k3s", "hetzner-k3s-history"):
        await store.delete(CONFIGMAPS, name, "kube-system")
    nodes, _ = await store.list(NODES)
    for node in nodes:
        await store.change(NODES, node["metadata"]["name"], "", _not_ours)


def _not_ours(node: Obj) -> Obj:
    metadata = dict(node["metadata"])
    for kind in ("labels", "annotations"):
        metadata[kind] = {k: v for k, v in (metadata.get(kind) or {}).items() if "hetzner-k3s" not in k}
    return node | {"metadata": metadata}
