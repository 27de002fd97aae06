"""Looks at masters that this tool did not make: they may be a living cluster of hetzner-k3s 2.x."""

from __future__ import annotations

import asyncio

from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.errors import HostError
from hetzner_k3s.model.facts import Known, Reading, Unknown
from hetzner_k3s.model.hosts.contact import host_target
from hetzner_k3s.model.hosts.origin import Origin, ReadOrigin
from hetzner_k3s.model.identity import BirthRecord
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.observe.hosts import reachable
from hetzner_k3s.ports import Ports

_OURS = (naming.LABEL_BOOT_KEY, naming.LABEL_HOST_KEY, naming.LABEL_HOST_KEY_NEXT)


async def look(ports: Ports, spec: ClusterSpec, state: ClusterState) -> dict[int, Reading[Origin]]:
    """Return how k3s was installed on each master without a host key of ours, while no birth is recorded.

    Nobody vouches for such a host, so it is asked one question that carries no secret; its answer is only named.
    """
    if lookup.birth_record(spec, state.view) != BirthRecord():
        return {}
    wanted = [s for s in reachable(spec, state.view) if _is_a_strangers_master(s)]
    readings = await asyncio.gather(*(_ask(ports, spec, state, server) for server in wanted))
    return {server.id: reading for server, reading in zip(wanted, readings, strict=True)}


def _is_a_strangers_master(server: Server) -> bool:
    master = server.labels.get(naming.LABEL_ROLE) == naming.ROLE_MASTER
    return master and not any(label in server.labels for label in _OURS)


async def _ask(ports: Ports, spec: ClusterSpec, state: ClusterState, server: Server) -> Reading[Origin]:
    before = state.origins.get(server.id)
    if isinstance(before, Known):
        return before
    target = host_target(spec, server, lookup.network_id(spec, state.view))
    if target is None:
        return Unknown("it has no address yet", ports.clock.now())
    try:
        return Known(await ports.hosts.perform(target, ReadOrigin()))
    except HostError as error:
        return Unknown(str(error), ports.clock.now())
