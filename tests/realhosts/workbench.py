"""A few servers of the lab, made and reached with the product's own adapters and nothing above them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import asyncssh

from hetzner_k3s.adapters.hetzner import HetznerCloud
from hetzner_k3s.adapters.kube import K3sApi
from hetzner_k3s.adapters.ssh import SshHosts
from hetzner_k3s.adapters.system import Ed25519HostKeys, SystemClock, SystemRng
from hetzner_k3s.hosts import cloud_init
from hetzner_k3s.hosts.k3s_config import render_server
from hetzner_k3s.lab.realhosts.handle import LabHandle
from hetzner_k3s.model.cloud import Server, ServerOrder
from hetzner_k3s.model.errors import HostUnreachable
from hetzner_k3s.model.host import HostFacts, HostKeyKind
from hetzner_k3s.model.hosts.contact import HostKeyPair, HostTarget
from hetzner_k3s.model.hosts.host_config import HostAddresses
from hetzner_k3s.model.operations.configuration import Install, RotateHostKey, WriteConfig
from hetzner_k3s.model.operations.looks import Probe
from hetzner_k3s.model.operations.operation import K3sRole, Operation
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import ClusterSpec, MasterSpec, SshSpec
from hetzner_k3s.model.tokens import ClusterTokens
from hetzner_k3s.model.version import K3sVersion

from .operator_place import OperatorPlace

R = TypeVar("R")

VERSION = "v1.36.3+k3s1"
BOOT_SECONDS = 60.0


@dataclass(slots=True)
class Bench:
    """A server with its keys: `target` is how it is reached now, `final` the key that it is to get."""

    server: Server
    master: MasterSpec
    target: HostTarget
    final: HostKeyPair


class Workbench:
    """Ports on the lab, and the servers made with them."""

    def __init__(self, lab: LabHandle, folder: Path) -> None:
        self.lab = lab
        self.clock, self.rng = SystemClock(), SystemRng()
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(str(folder / "key"))
        public_key = key.export_public_key().decode().strip()
        self.spec = _spec(public_key, str(folder / "key"))
        self.place = OperatorPlace(lab)
        self.hosts = SshHosts(
            clock=self.clock, rng=self.rng, private_key_path=str(folder / "key"), public_key=public_key
        )
        self.kube = K3sApi(hosts=self.hosts, forwarder=self.hosts, clock=self.clock)
        self._network: int | None = None

    def close(self) -> None:
        self.place.run(self.kube.close())
        self.place.run(self.hosts.close())
        self.place.close()

    def perform(self, bench: Bench, operation: Operation[R]) -> R:
        """Run one host operation."""
        return self.place.run(self.hosts.perform(bench.target, operation))

    def make(self, number: int) -> Bench:
        """Make a server with both its host keys and wait until its SSH answers with the boot key."""
        return self.place.run(self._make(self.spec.masters[number - 1]))

    def make_ready(self, number: int, fence: int = 1) -> Bench:
        """Make a server, rotate its host key, install k3s and wait until its first boot is over."""
        bench = self.make(number)
        self.rotate(bench, fence)
        self.perform(bench, Install(role=K3sRole.SERVER, version=VERSION, registries=None, fence=fence))
        return bench

    def rotate(self, bench: Bench, fence: int = 1) -> None:
        """Replace the boot host key."""
        final = bench.final
        self.perform(bench, RotateHostKey(private_key=final.private_key, public_key=final.public_key, fence=fence))
        bench.target = replace(bench.target, keys={final.label: HostKeyKind.FINAL})

    def configure(self, bench: Bench, token: Secret, url: str | None, fence: int = 1) -> None:
        """Write the configuration of a master."""
        address = self.private(bench)
        interfaces = self.perform(bench, Probe()).interfaces
        addresses = HostAddresses(
            internal_ip=address,
            public_ip=bench.server.public_ipv4,
            interface=interfaces[address],
            server_id=bench.server.id,
        )
        tokens = ClusterTokens(server=token)
        config = render_server(self.spec, bench.master, addresses, tokens=tokens, server_url=url, api_addresses=())
        self.perform(bench, WriteConfig(config=config, fence=fence))

    def private(self, bench: Bench) -> str:
        """Give a server's private address."""
        return next(iter(bench.server.private_ips.values()))

    async def _make(self, master: MasterSpec) -> Bench:
        cloud = HetznerCloud(
            Secret(self.lab.token), clock=self.clock, rng=self.rng, endpoint=self.lab.operator_endpoint
        )
        boot, final = Ed25519HostKeys().generate(), Ed25519HostKeys().generate()
        key = await cloud.create_ssh_key("demo", self.spec.ssh.public_key)
        network = await cloud.create_network("demo", "10.0.0.0/16", "eu-central", {})
        order = ServerOrder(
            name=master.name,
            server_type=master.instance_type,
            image=master.image,
            location=master.location,
            labels={"cluster": "demo", "role": "master"},
            ssh_key=key.id,
            network=network.id,
            placement_group=None,
            user_data=cloud_init.user_data(self.spec, master, boot),
            ipv4=True,
            ipv6=False,
        )
        server = await cloud.create_server(order)
        target = HostTarget(
            server_id=server.id,
            name=server.name,
            address=server.public_ipv4 or "",
            port=self.spec.ssh.port,
            keys={boot.label: HostKeyKind.BOOT},
        )
        await self._answering(target)
        return Bench(server, master, target, final)

    async def _answering(self, target: HostTarget) -> HostFacts:
        ends = self.clock.monotonic() + BOOT_SECONDS
        while True:
            try:
                return await self.hosts.perform(target, Probe())
            except HostUnreachable:
                if self.clock.monotonic() > ends:
                    raise
            await self.clock.sleep(0.2)


def _spec(public_key: str, private_key_path: str) -> ClusterSpec:
    masters = tuple(
        MasterSpec(name=f"demo-master{n}", index=n, location="fsn1", instance_type="cpx22", image="debian-13")
        for n in (1, 2, 3)
    )
    return ClusterSpec(
        name="demo",
        hetzner_token=Secret("t"),
        kubeconfig_path="/nowhere",
        k3s_version=K3sVersion.parse(VERSION),
        masters=masters,
        ssh=SshSpec(private_key_path=private_key_path, public_key_path="/nowhere.pub", public_key=public_key),
    )


def manifest(kind: str, name: str, **content: Any) -> Mapping[str, object]:
    """Make a namespaced object of the core API."""
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "kube-system"}, **content}
