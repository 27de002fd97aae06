"""Reads Hetzner."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import CloudView
from hetzner_k3s.model.errors import CloudError, CloudRefused, ProductError
from hetzner_k3s.model.facts import Known, Reading, Unknown
from hetzner_k3s.model.hetzner.assortment import Assortment
from hetzner_k3s.model.kube import TokenGrant
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.version import K3sVersion
from hetzner_k3s.ports import Ports

T = TypeVar("T")


async def survey(ports: Ports) -> Reading[CloudView]:
    """List the project; refused credentials are raised, any other failure is an unknown listing."""
    return await _listed(ports, ports.cloud.survey())


async def survey_whole(ports: Ports) -> Reading[CloudView]:
    """List the project likewise, with what servers use, all at once."""
    return await _listed(ports, _with_belongings(ports))


async def _with_belongings(ports: Ports) -> CloudView:
    view, belongings = await asyncio.gather(ports.cloud.survey(), ports.cloud.belongings())
    return replace(view, belongings=belongings)


async def servers_of(ports: Ports, before: Reading[CloudView]) -> Reading[CloudView]:
    """List the servers again and keep the rest of a listing: what surrounds them does not come and go by itself."""
    if not isinstance(before, Known):
        return await survey(ports)
    servers = await _listed(ports, ports.cloud.servers())
    return Known(replace(before.value, servers=servers.value)) if isinstance(servers, Known) else servers


async def survey_again(ports: Ports, before: Reading[CloudView]) -> Reading[CloudView]:
    """Return a listing of a moment ago with the servers and groups of now.

    What surrounds them is created or adopted by its name, and labels are merged on a fresh read, so that what another
    run did to it in that moment is not undone.
    """
    if not isinstance(before, Known):
        return await survey(ports)
    listed = await _listed(ports, ports.cloud.servers_and_groups())
    if not isinstance(listed, Known):
        return listed
    servers, groups = listed.value
    return Known(replace(before.value, servers=servers, placement_groups=groups))


async def _listed(ports: Ports, listing: Awaitable[T]) -> Reading[T]:
    """Await a listing: refused credentials are raised, because without them there is nothing to look at."""
    try:
        return Known(await listing)
    except CloudRefused:
        raise
    except CloudError as error:
        return Unknown(str(error), ports.clock.now())


async def look_up(
    ports: Ports, server_ids: Iterable[int], before: Mapping[int, Reading[bool]]
) -> dict[int, Reading[bool]]:
    """Ask for servers by id, all at once; one that is gone is not asked for again: an id is never given out twice."""
    gone = {number for number, answer in before.items() if answer == Known(False)}
    wanted = frozenset(server_ids)
    asked = sorted(wanted - gone)
    answers = await asyncio.gather(*(_exists(ports, server_id) for server_id in asked))
    return {**dict.fromkeys(wanted & gone, Known(False)), **dict(zip(asked, answers, strict=True))}


async def grants(ports: Ports, spec: ClusterSpec, state: ClusterState) -> dict[Secret, Reading[TokenGrant]]:
    """Ask what the Hetzner token in the cluster opens where it is not this run's; an answer is kept for the run."""
    firewall = lookup.firewall(spec, state.view)
    views = [reading.value for reading in state.kube.values() if isinstance(reading, Known)]
    token = next((view.credentials.token for view in views if view.credentials), spec.hetzner_token)
    if token == spec.hetzner_token or firewall is None:
        return {}
    known = state.grants.get(token)
    return {token: known if isinstance(known, Known) else await _grant(ports, token, firewall.id)}


async def _grant(ports: Ports, token: Secret, firewall: int) -> Reading[TokenGrant]:
    try:
        return Known(await ports.cloud.grant_of(token, firewall))
    except CloudError as error:
        return Unknown(str(error), ports.clock.now())


async def rebuilds(ports: Ports, server_ids: Iterable[int]) -> dict[int, Reading[float | None]]:
    """Ask when servers were rebuilt last, all at once."""
    wanted = sorted(server_ids)
    answers = await asyncio.gather(*(_last_rebuild(ports, server_id) for server_id in wanted))
    return dict(zip(wanted, answers, strict=True))


async def _last_rebuild(ports: Ports, server_id: int) -> Reading[float | None]:
    try:
        return Known(await ports.cloud.last_rebuild(server_id))
    except CloudError as error:
        return Unknown(str(error), ports.clock.now())


async def _exists(ports: Ports, server_id: int) -> Reading[bool]:
    try:
        return Known(await ports.cloud.server_exists(server_id))
    except CloudError as error:
        return Unknown(str(error), ports.clock.now())


async def assortment(ports: Ports, spec: ClusterSpec) -> Reading[Assortment]:
    """Read what Hetzner sells; a catalogue that cannot be read is unknown, and holds nothing up."""
    try:
        return Known(await ports.cloud.assortment(frozenset(server.image for server in spec.servers())))
    except CloudError as error:
        return Unknown(str(error), ports.clock.now())


async def releases(ports: Ports) -> Reading[Mapping[str, K3sVersion]] | None:
    """Read which k3s releases there are; None where nobody is asked."""
    if ports.releases is None:
        return None
    try:
        return Known(await ports.releases.newest())
    except ProductError as error:
        return Unknown(str(error), ports.clock.now())
