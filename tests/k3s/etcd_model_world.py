"""The operations on the deterministic etcd, on virtual time."""

from __future__ import annotations

import asyncio
from typing import Final

from hetzner_k3s.lab.k3s.etcd import model_data as rules
from hetzner_k3s.lab.k3s.etcd.model import ModelEtcd
from hetzner_k3s.lab.k3s.etcd.model_data import Data, Snapshot
from hetzner_k3s.lab.k3s.etcd.model_peers import Drive, Peers
from hetzner_k3s.lab.k3s.etcd.port import EtcdError, EtcdUnavailable, Launch, Member
from hetzner_k3s.lab.simulated.chance import Chance

from .etcd_operations import Operation, Picture, Seen, refusal

STEP: Final = 0.2
"""Virtual seconds that an operation takes."""

SETTLE: Final = 20.0
"""Virtual seconds after which the model has come to rest: the longest election and catching up."""


def address(slot: int) -> str:
    """Give a slot's peer address."""
    return f"192.0.2.{slot}"


def peer_url(slot: int) -> str:
    """Give a slot's peer URL."""
    return f"https://{address(slot)}:2380"


def slot_of(url: str) -> int:
    """Give the slot of a peer URL."""
    return int(url.rpartition(":")[0].rpartition(".")[2])


class ModelWorld:
    """Members of the model; `cut` are the slots that reach nobody.

    Before 3.5.30 and 3.6.11 etcd wanted all voters to be connected before one is added, not only enough for the quorum
    after it (docs/facts/etcd.md#adding-members). The model does as k3s' etcd does; `strict` puts the old rule before
    it.
    """

    def __init__(self, seed: int, *, strict: bool) -> None:
        self.strict = strict
        self.cut: set[int] = set()
        self.peers = Peers(self._reaches, Chance(seed, "peers"))
        self.drives = {slot: Drive() for slot in range(1, 6)}
        self.etcd: dict[int, ModelEtcd] = {}
        self.saved: Snapshot | None = None
        self.salt = 0

    def _reaches(self, one: str, other: str) -> bool:
        return one == other or not {int(one.rpartition(".")[2]), int(other.rpartition(".")[2])} & self.cut

    async def begin(self, size: int) -> None:
        """Start a new cluster of so many members at once."""
        members = {
            rules.first_member_id(peer_url(slot)): Member(
                rules.first_member_id(peer_url(slot)), f"m{slot}", (peer_url(slot),)
            )
            for slot in range(1, size + 1)
        }
        for number, member in members.items():
            self.drives[slot_of(member.peer_urls[0])].data = Data(1, number, dict(members))
        for slot in range(1, size + 1):
            await self._start(slot)

    async def _start(self, slot: int, *, existing: bool = False, force_new: bool = False) -> None:
        self.etcd[slot] = etcd = ModelEtcd(self.peers, address(slot), "ca", self.drives[slot])
        await etcd.start(Launch(f"m{slot}", existing=existing, force_new=force_new))

    def running(self, slot: int) -> bool:
        """Tell whether a slot's member runs."""
        etcd = self.etcd.get(slot)
        return etcd is not None and self.peers.at(address(slot)) is etcd

    def has_data(self, slot: int) -> bool:
        """Tell whether a slot has a data directory."""
        return self.drives[slot].data is not None

    def knows(self, via: int, slot: int) -> int:
        """Give the id under which a member lists a slot; one that nobody has where it lists none."""
        data = self.etcd[via].data
        return next((m.id for m in data.members.values() if slot_of(m.peer_urls[0]) == slot), 1)

    async def carry_out(self, operation: Operation) -> str:
        await asyncio.sleep(STEP)
        try:
            await getattr(self, f"_{operation.what.replace(' ', '_')}")(operation)
        except EtcdUnavailable:
            return "unavailable"
        except EtcdError as error:
            return refusal(error.message)
        finally:
            await asyncio.sleep(STEP)
        return "ok"

    async def _write(self, operation: Operation) -> None:
        etcd = self.etcd[operation.via]
        found = (await etcd.get("k")).entries
        await etcd.put("k", str(operation.slot).encode(), found[0].mod_revision if found else 0)

    async def _add(self, operation: Operation) -> None:
        etcd = self.etcd[operation.via]
        if self.strict and len(self.peers.connected(etcd, rules.HEALTH_INTERVAL)) < len(etcd.data.voters):
            raise EtcdError(rules.UNHEALTHY, 14)
        await etcd.add_learner(peer_url(operation.slot))

    async def _add_at_once(self, operation: Operation) -> None:
        await self._add(operation)

    async def _promote(self, operation: Operation) -> None:
        await self.etcd[operation.via].promote(self.knows(operation.via, operation.slot))

    async def _remove(self, operation: Operation) -> None:
        await self.etcd[operation.via].remove(self.knows(operation.via, operation.slot))

    async def _remove_at_once(self, operation: Operation) -> None:
        await self._remove(operation)

    async def _join(self, operation: Operation) -> None:
        await self._start(operation.slot, existing=True)

    async def _restart(self, operation: Operation) -> None:
        await self._start(operation.slot)

    async def _kill(self, operation: Operation) -> None:
        await self.etcd[operation.slot].stop()

    async def _wipe(self, operation: Operation) -> None:
        self.drives[operation.slot].data = None

    async def _cut(self, operation: Operation) -> None:
        self.cut.add(operation.slot)
        self.peers.settle()

    async def _mend(self, operation: Operation) -> None:
        self.cut.discard(operation.slot)
        self.peers.settle()

    async def _reset(self, operation: Operation) -> None:
        await self._start(operation.slot, force_new=True)

    async def _save(self, operation: Operation) -> None:
        self.saved = self.etcd[operation.via].photograph()

    async def _restore(self, operation: Operation) -> None:
        assert self.saved is not None
        self.salt += 1
        slot = operation.slot
        self.drives[slot].data = rules.restored(self.saved, f"m{slot}", peer_url(slot), str(self.salt))
        await self._start(slot)

    async def settled(self) -> None:
        """Let everything come to rest."""
        await asyncio.sleep(SETTLE)

    async def picture(self) -> Picture:
        return Picture({slot: self._seen(slot) for slot in sorted(self.etcd) if self.running(slot)})

    def speaks(self, slot: int) -> bool:
        """Tell whether a slot's member answers: it has had a leader since its start."""
        return self.running(slot) and self.etcd[slot].led

    def _seen(self, slot: int) -> Seen | None:
        etcd = self.etcd[slot]
        if not self.speaks(slot):
            return None
        members = {
            slot_of(m.peer_urls[0]): ("learner" if m.learner else "voter") + ("" if m.name else "?")
            for m in etcd.data.members.values()
        }
        members = {} if etcd.data.me.learner else members  # a learner tells no list
        keys = {key: entry.value.decode() for key, entry in etcd.data.keys.items()}
        peers = frozenset(slot_of(etcd.data.members[number].peer_urls[0]) for number in etcd.active_peers())
        led = etcd.healthy and not etcd.data.me.learner
        return Seen(led, keys, etcd.data.revision, members, peers)
