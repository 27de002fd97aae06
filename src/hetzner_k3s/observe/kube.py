"""Reads the Kubernetes API through one healthy master: the others serve the same store."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.errors import HostError, KubeError
from hetzner_k3s.model.facts import Known, Reading, Unknown
from hetzner_k3s.model.hosts.contact import HostTarget, host_target
from hetzner_k3s.model.kube import KubeView
from hetzner_k3s.model.kubernetes import addons
from hetzner_k3s.model.kubernetes.addons_of_2x import OF_2X, AddonFound
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.observe.origins import is_adopted
from hetzner_k3s.ports import Ports


async def read(ports: Ports, spec: ClusterSpec, state: ClusterState) -> dict[int, Reading[KubeView]]:
    """Read through the first master that answers, those with an active unit first."""
    readings: dict[int, Reading[KubeView]] = {}
    for server in _candidates(spec, state):
        reading = await _view(ports, spec, state, server)
        readings[server.id] = reading
        if isinstance(reading, Known):
            break
    return readings


def _candidates(spec: ClusterSpec, state: ClusterState) -> list[Server]:
    """List the masters to read through; one that was restored and has no agent yet still shows the lost ones' Nodes."""
    seen = ((s, state.facts(s.id)) for s in lookup.owned_masters(spec.name, state.view))
    voters = [(server, facts) for server, facts in seen if facts is not None and facts.serves and not facts.agentless]
    voters.sort(key=lambda pair: (pair[1].server_unit.active != "active", pair[0].id))
    return [server for server, _ in voters]


async def _view(ports: Ports, spec: ClusterSpec, state: ClusterState, server: Server) -> Reading[KubeView]:
    target = host_target(spec, server, lookup.internal_ips(spec, state.view))
    if target is None:
        return Unknown("it has no address", ports.clock.now())
    try:
        view = await ports.kube.view(target)
    except (KubeError, HostError) as error:
        return Unknown(str(error), ports.clock.now())
    dependents = await _dependents(ports, spec, target, view)
    of_2x = await _of_2x(ports, spec, target) if is_adopted(spec, state) else {}
    return Known(replace(view, dependents=dependents, of_2x=of_2x))


async def _of_2x(ports: Ports, spec: ClusterSpec, target: HostTarget) -> dict[str, AddonFound]:
    """Read what there is of the add-ons that 2.x applies and the file asks for; what cannot be read is left out."""
    wanted = [chart for chart in OF_2X if addons.wanted(spec)[chart]]
    readings = await asyncio.gather(*(_addon_of_2x(ports, target, chart) for chart in wanted))
    return {chart: found for chart, found in zip(wanted, readings, strict=True) if found is not None}


async def _addon_of_2x(ports: Ports, target: HostTarget, chart: str) -> AddonFound | None:
    with suppress(KubeError, HostError):
        return await ports.kube.addon_of_2x(target, chart)
    return None


async def _dependents(
    ports: Ports, spec: ClusterSpec, target: HostTarget, view: KubeView
) -> dict[str, tuple[str, ...]]:
    """Read what needs the charts that the file switched off; what cannot be read is left out."""
    needed: dict[str, tuple[str, ...]] = {}
    for chart in addons.switched_off(spec, view.addons):
        with suppress(KubeError, HostError):
            needed[chart] = await ports.kube.dependents(target, chart)
    return needed
