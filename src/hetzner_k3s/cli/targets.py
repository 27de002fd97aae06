"""The hosts that a user's command goes to: servers of the cluster whose final host key is proven."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import click

from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import Server, ServerStatus
from hetzner_k3s.model.errors import ProductError
from hetzner_k3s.model.facts import Known, Unknown
from hetzner_k3s.model.host import HostKeyKind, Unreachable
from hetzner_k3s.model.hosts.contact import HostTarget, host_target
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.observe import observe_hosts
from hetzner_k3s.ports import Ports

MASTERS: Final = "masters"
WORKERS: Final = "workers"


@dataclass(frozen=True, slots=True)
class Target:
    """A server, the names it goes by, and how it is reached; `why` says why nothing is run there ("": it is)."""

    name: str
    names: frozenset[str]
    host: HostTarget | None
    why: str = ""


async def look(ports: Ports, spec: ClusterSpec, asked: Sequence[str]) -> tuple[Target, ...]:
    """Look at the hosts that go by one of these names, at no other, and return them; at all where none is asked for.

    Raises:
        click.UsageError: nothing goes by one of them.
        ProductError: Hetzner could not be listed.
    """

    def wanted(listed: ClusterState) -> frozenset[str]:
        return frozenset(target.name for target in chosen(spec, targets(spec, listed), asked))

    return chosen(spec, targets(spec, await observe_hosts(ports, spec, wanted)), asked)


def targets(spec: ClusterSpec, state: ClusterState) -> tuple[Target, ...]:
    """Return every server of the cluster: masters first, then workers, each in the order of their numbers.

    Raises:
        ProductError: Hetzner could not be listed.
    """
    if isinstance(state.cloud, Unknown):
        raise ProductError(f"Hetzner could not be listed: {state.cloud.why}", hint="Run the command again.")
    found = sorted(lookup.owned_servers(spec.name, state.view), key=_order)
    return tuple(_target(spec, state, server) for server in found)


def chosen(spec: ClusterSpec, found: Sequence[Target], asked: Sequence[str]) -> tuple[Target, ...]:
    """Return those that go by one of these names; all where none is asked for.

    Raises:
        click.UsageError: nothing goes by one of them.
    """
    names = [_known(spec, found, name) for name in asked]
    return tuple(target for target in found if not names or any(name in target.names for name in names))


def _known(spec: ClusterSpec, found: Sequence[Target], asked: str) -> str:
    known = {name for target in found for name in target.names}
    for name in (asked, f"{spec.name}-{asked}"):
        if name in known:
            return name
    if any(asked in (server.name, server.name.removeprefix(f"{spec.name}-")) for server in spec.servers()):
        raise click.UsageError(f"{asked} has no server; `hetzner-k3s status` shows what is there")
    near = difflib.get_close_matches(asked, sorted(known), 3)
    raise click.UsageError(
        f"{asked!r} is no server or pool of {spec.name}; there are {', '.join(near or sorted(known))}"
    )


def _order(server: Server) -> tuple[bool, list[tuple[int, str]]]:
    is_worker = server.labels.get(naming.LABEL_ROLE) != naming.ROLE_MASTER
    return is_worker, [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", server.name)]


def _target(spec: ClusterSpec, state: ClusterState, server: Server) -> Target:
    host = host_target(spec, server, lookup.internal_ips(spec, state.view))
    return Target(server.name, frozenset(_names(spec, server)), host, _obstacle(state, server))


def _names(spec: ClusterSpec, server: Server) -> Iterator[str]:
    yield server.name
    yield MASTERS if server.labels.get(naming.LABEL_ROLE) == naming.ROLE_MASTER else WORKERS
    yield from (pool.name for pool in spec.pools for worker in pool.workers if worker.name == server.name)


def _obstacle(state: ClusterState, server: Server) -> str:
    """Return why nothing may be run on a host: commands go to hosts alone whose final key is proven."""
    if server.status is not ServerStatus.RUNNING:
        return f"its server is {server.status.value}"
    reading = state.hosts.get(server.id)
    if isinstance(reading, Unreachable):
        return reading.why
    if not isinstance(reading, Known):
        return "it was not looked at"
    if reading.value.key is HostKeyKind.BOOT:
        return "it answers with its boot host key, which proves nothing; `hetzner-k3s create` gives it its own"
    return ""
