"""A kubelet as far as the cluster sees it: it registers its Node and keeps it alive by a Lease."""

from __future__ import annotations

import asyncio
import os
import platform
from pathlib import Path

import aiohttp

from hetzner_k3s.lab.k3s import logfmt
from hetzner_k3s.lab.k3s.api.client import Objects
from hetzner_k3s.lab.k3s.api.resources import LEASES, NODES, Obj
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.api.store import utc_now
from hetzner_k3s.lab.k3s.api.strategy import micro_timestamp, timestamp
from hetzner_k3s.lab.k3s.etcd.port import EtcdError
from hetzner_k3s.lab.k3s.node import node_object
from hetzner_k3s.lab.k3s.setup.flags import Flags, node_arguments
from hetzner_k3s.lab.k3s.setup.identity import Identity

HEARTBEAT = 10.0
_STATUS_EVERY = 30  # heartbeats: five minutes
_METADATA = "http://169.254.169.254/hetzner/v1/metadata"
_LEASE_NAMESPACE = "kube-node-lease"


def registration(
    command: str, flags: Flags, who: Identity, version: str, host: node_object.Host
) -> node_object.Registration:
    """Collect what a node registers with from its configuration.

    Raises:
        Fatal: with labels on which a kubelet exits.
    """
    node_object.check_labels(flags.many("node-label"))
    return node_object.Registration(
        name=who.name,
        addresses=who.addresses,
        version=version,
        server=command == "server",
        external_cloud=flags.argument("kubelet-arg", "cloud-provider") == "external"
        or (command == "server" and not flags.on("disable-cloud-controller")),
        host=host,
        labels=flags.many("node-label"),
        taints=flags.many("node-taint"),
        provider_id=flags.argument("kubelet-arg", "provider-id"),
        leaves_addresses=flags.argument("kubelet-arg", "cloud-provider") == "external",
        arguments=node_arguments(command, flags),
    )


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text().splitlines()[0]
    except (OSError, IndexError):
        return ""


def _os_image() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"


async def _metadata() -> dict[str, str]:
    """Read what Hetzner's metadata service says; an unreachable one (no Hetzner server) says nothing."""
    found: dict[str, str] = {}
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            for key in ("instance-id", "public-ipv4", "region", "availability-zone"):
                async with session.get(f"{_METADATA}/{key}") as response:
                    found |= {key: (await response.text()).strip()} if response.status == 200 else {}
    except (TimeoutError, aiohttp.ClientError, OSError):
        pass
    return found


async def this_host() -> node_object.Host:
    """Look at the machine."""
    metadata = await _metadata()
    machine = platform.machine()
    return node_object.Host(
        cpus=os.cpu_count() or 1,
        memory_kib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024,
        kernel=platform.release(),
        os_image=_os_image(),
        machine_id=_first_line("/etc/machine-id"),
        boot_id=_first_line("/proc/sys/kernel/random/boot_id"),
        architecture={"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine),
        instance_id=metadata.get("instance-id", ""),
        public_ipv4=metadata.get("public-ipv4", ""),
        region=metadata.get("region", ""),
        zone=metadata.get("availability-zone", ""),
    )


class Kubelet:
    """Keeps one Node.

    Args:
        objects: the API.
        registration: what to register.
    """

    def __init__(self, objects: Objects, registration: node_object.Registration) -> None:
        self._objects, self._registration = objects, registration
        self._name = registration.name

    async def register(self) -> Obj:
        """Create the Node or take over the one under this name; retries for ever while the API does not answer."""
        while True:
            try:
                return await self._register()
            except (ApiError, EtcdError) as problem:
                logfmt.error(f"Unable to register node with API server: {problem}")
                await asyncio.sleep(1)

    async def _register(self) -> Obj:
        found = await self._objects.find(NODES, self._name)
        if found is None:
            await self._objects.create(NODES, node_object.new(self._registration))
        else:
            await self._objects.change(NODES, self._name, "", lambda old: node_object.again(self._registration, old))
        return await self._post_status()

    async def _post_status(self) -> Obj:
        def edit(old: Obj) -> Obj:
            return old | {"status": node_object.status(self._registration, old, timestamp(utc_now()))}

        return await self._objects.change(NODES, self._name, "", edit, "status")

    async def keep_alive(self) -> None:
        """Renew the Lease every 10 s and post the status when somebody declared the node dead. Never returns.

        A deleted Node is not registered again: only a new start of k3s does that.
        """
        beats = 0
        while True:
            try:
                await self._renew()
                current = await self._objects.find(NODES, self._name)
                if current and (beats % _STATUS_EVERY == 0 or node_object.condition(current, "Ready") != "True"):
                    await self._post_status()
            except (ApiError, EtcdError) as problem:
                logfmt.error(f"Failed to update lease: {problem}")
            beats += 1
            await asyncio.sleep(HEARTBEAT)

    async def _renew(self) -> None:
        spec = {"holderIdentity": self._name, "leaseDurationSeconds": 40, "renewTime": micro_timestamp(utc_now())}
        if await self._objects.find(LEASES, self._name, _LEASE_NAMESPACE) is None:
            await self._objects.create(LEASES, {"metadata": {"name": self._name}, "spec": spec}, _LEASE_NAMESPACE)
        else:
            await self._objects.change(LEASES, self._name, _LEASE_NAMESPACE, lambda old: old | {"spec": spec})
