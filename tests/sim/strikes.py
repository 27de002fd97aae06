"""What strikes in a storm: faults of hosts and of the API, losses of many masters at once, and what hands do wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.chance import Chance
from hetzner_k3s.lab.simulated.faults import ApiFault, CutOff, Fault
from hetzner_k3s.lab.simulated.faults_k3s import ClockSkewed, DatastoreFull, TokenRotated
from hetzner_k3s.lab.simulated.world import World
from hetzner_k3s.model.spec import ClusterSpec

from . import mischief

_HOST_FAULTS: tuple[Callable[[str], Fault], ...] = (
    faults.ServerDeleted,
    faults.AddressReused,
    faults.PoweredOff,
    faults.Rebooted,
    faults.Rebuilt,
    faults.DatabaseDeleted,
    faults.K3sKilled,
    faults.SshSilent,
    faults.SshDenied,
    faults.SshCut,
    faults.Slow,
    faults.Frozen,
    faults.CutOff,
    TokenRotated,
    ClockSkewed,
    DatastoreFull,
)
_LOSSES: tuple[Callable[[str], Fault], ...] = (
    faults.ServerDeleted,
    faults.ServerDeleted,
    faults.ServerDeleted,
    faults.Rebuilt,
    faults.DatabaseDeleted,
)

STAYS = (faults.PoweredOff, faults.SshSilent, faults.SshDenied, faults.Frozen, faults.CutOff)
"""What an owner may leave as it is, to have the tool go on without that server."""

DATA_LOST = (faults.Rebuilt, faults.DatabaseDeleted)
"""What no owner can undo: the tool leads such a master back, or says what it wants."""


def a_fault(spec: ClusterSpec, chance: Chance) -> Fault:
    """Draw a fault."""
    if chance.happens(0.25):
        return _api_fault(chance)
    return chance.choice(_HOST_FAULTS)(chance.choice([s.name for s in spec.servers()]))


def _api_fault(chance: Chance) -> Fault:
    method = chance.choice(("POST", "PUT", "DELETE", "GET"))
    times = 1 + int(chance.uniform(0, 4))
    if chance.happens(0.5):
        code = chance.choice(("server_error", "timeout", "rate_limit_exceeded", "conflict", "locked", "unavailable"))
        return ApiFault("error", method=method, code=code, times=times)
    effect = chance.choice(("drop", "delay", "incomplete_page"))
    return ApiFault(effect, method="GET" if effect == "incomplete_page" else method, times=times, seconds=20.0)


def losses(spec: ClusterSpec, chance: Chance, *, all_of_them: bool) -> list[Fault]:
    """Draw the loss of the data of a majority of the masters, or of all."""
    left = list(spec.master_names)
    count = len(left) if all_of_them else len(left) // 2 + 1
    lost: list[Fault] = []
    while len(lost) < count:
        name = chance.choice(left)
        left.remove(name)
        lost.append(chance.choice(_LOSSES)(name))
    return lost


class _ByHand:
    """Something that hands do to one master of a healthy cluster; the tool heals it, with a consent."""

    name: str

    def possible(self, world: World) -> bool:  # noqa: ARG002
        """Tell that it always is: it strikes before anything else does."""
        return True

    async def heal(self, world: World) -> None:
        """Leave it to the tool."""


@dataclass(frozen=True)
class SecondCluster(_ByHand):
    """A careless hand begins another cluster on a master, with its TLS files or without them."""

    name: str
    keep_tls: bool

    async def strike(self, world: World) -> None:
        """Stop k3s, delete its data, start it as the first of a new cluster."""
        await mischief.second_cluster(world, self.name, keep_tls=self.keep_tls)
        await asyncio.sleep(30)  # the others have a leader again


@dataclass(frozen=True)
class ResetByHand(_ByHand):
    """A master that was cut off is reset by hand while the others go on; it heals when the network does."""

    name: str

    async def strike(self, world: World) -> None:
        """Cut it off, and make it the only member of its own cluster."""
        host = world.host(self.name)
        await CutOff(self.name).strike(world)
        mischief.without_server_line(host)
        await mischief.reset_by_hand(world, host)

    async def heal(self, world: World) -> None:
        """Connect it again."""
        await CutOff(self.name).heal(world)


@dataclass(frozen=True)
class CaRotated(_ByHand):
    """The owner rotates the cluster's CA."""

    async def strike(self, world: World) -> None:
        """Rotate it on every master."""
        await mischief.rotate_ca(world)


BY_HAND = (SecondCluster, ResetByHand, CaRotated)


def by_hand(spec: ClusterSpec, chance: Chance) -> Fault:
    """Draw a hand's mistake, or a rotation of the CA."""
    name = chance.choice(spec.master_names)
    drawn = int(chance.uniform(0, 4))
    if len(spec.masters) == 1 or drawn == 3:
        return CaRotated()
    return ResetByHand(name) if drawn == 2 else SecondCluster(name, keep_tls=drawn == 1)
