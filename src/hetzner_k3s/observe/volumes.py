"""Asks Kubernetes which of Hetzner's volumes are its own, where their servers do not tell."""

from __future__ import annotations

import asyncio

from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.errors import HostError, KubeError
from hetzner_k3s.model.facts import Known, Reading, Unknown
from hetzner_k3s.model.hosts.contact import host_target
from hetzner_k3s.model.kube import NamedVolumes
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.observe.hosts import reachable
from hetzner_k3s.ports import Ports


async def named(ports: Ports, spec: ClusterSpec, state: ClusterState) -> dict[int, Reading[NamedVolumes]]:
    """Ask all masters at once, by the ids of their servers; nobody where no volume of a CSI driver is detached."""
    belongings = state.view.belongings
    if belongings is None or not any(v.by_csi and v.server is None for v in belongings.volumes):
        return {}
    running = {server.id for server in reachable(spec, state.view)}
    masters = [server for server in lookup.owned_masters(spec.name, state.view) if server.id in running]
    answers = await asyncio.gather(*(_named(ports, spec, state, server) for server in masters))
    return {server.id: answer for server, answer in zip(masters, answers, strict=True)}


async def _named(ports: Ports, spec: ClusterSpec, state: ClusterState, server: Server) -> Reading[NamedVolumes]:
    target = host_target(spec, server, lookup.internal_ips(spec, state.view))
    if target is None:
        return Unknown("it has no address", ports.clock.now())
    try:
        return Known(await ports.kube.named_volumes(target))
    except (KubeError, HostError) as error:
        return Unknown(str(error), ports.clock.now())
