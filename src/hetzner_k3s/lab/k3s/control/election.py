"""Leader election by a Lease object, as client-go does it. The decision is pure; the loop is at the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from hetzner_k3s.lab.k3s.api.resources import LEASES, Obj
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.api.strategy import micro_timestamp
from hetzner_k3s.lab.k3s.etcd.port import EtcdError
from hetzner_k3s.lab.k3s.logfmt import Fatal
from hetzner_k3s.lab.k3s.setup.timing import LeaseTiming

NAMESPACE = "kube-system"


class Move(Enum):
    """What a candidate does with the Lease it sees."""

    CREATE = "create"
    RENEW = "renew"
    TAKE = "take over"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Seen:
    """A candidate's memory of the Lease: its content and since when (own clock, seconds) that has not changed."""

    renewed: str = ""
    since: float = 0.0


def observe(memory: Seen, lease: Obj | None, now: float) -> Seen:
    """Update the memory: other clocks are not trusted, only the own time since the last change counts."""
    renewed = str((lease or {}).get("spec", {}).get("renewTime", ""))
    return memory if renewed == memory.renewed else Seen(renewed, now)


def decide(lease: Obj | None, identity: str, memory: Seen, duration: float, now: float) -> Move:
    """Choose a move.

    Args:
        lease: as read now.
        identity: this candidate.
        memory: after `observe`.
        duration: how long an unchanged Lease is honoured, in seconds.
        now: own clock, in seconds.
    """
    if lease is None:
        return Move.CREATE
    holder = lease.get("spec", {}).get("holderIdentity")
    if holder == identity:
        return Move.RENEW
    return Move.TAKE if not holder or now - memory.since >= duration else Move.WAIT


def is_lost(last_renewal: float, deadline: float, now: float) -> bool:
    """Check whether a leader must give up: it could not renew for the deadline (a frozen machine is enough)."""
    return now - last_renewal > deadline


class Election:
    """Runs for one Lease.

    Args:
        store: the objects.
        name: the Lease in kube-system.
        identity: what the Lease names.
        timing: its durations.
    """

    def __init__(self, store: Store, name: str, identity: str, timing: LeaseTiming) -> None:
        self._store, self._name, self._identity, self._timing = store, name, identity, timing
        self._memory = Seen()
        self._held_by_other = False

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Run for election for ever; call `lead` once elected.

        Raises:
            Fatal: leadership was lost; k3s then exits and is started again.
        """
        while not await self._attempt():  # noqa: ASYNC110 - each look is a request, not an event of ours
            await asyncio.sleep(self._timing.retry)
        leading = asyncio.ensure_future(lead())
        try:
            await self._hold()
        finally:
            leading.cancel()
        raise Fatal(f"leaderelection lost for {self._name}")

    async def _hold(self) -> None:
        renewed = time.monotonic()
        while not is_lost(renewed, self._timing.renew_deadline, time.monotonic()):
            started = time.monotonic()
            try:
                # A request caught by an etcd election hangs for seconds after the election is over; a new one does not.
                if await asyncio.wait_for(self._attempt(), self._timing.renew_deadline / 4):
                    renewed = started
                elif self._held_by_other:
                    return
            except TimeoutError:
                continue
            await asyncio.sleep(self._timing.retry)

    async def _attempt(self) -> bool:
        try:
            return await self._try()
        except (ApiError, EtcdError):
            return False

    async def _try(self) -> bool:
        now = time.monotonic()
        lease = await self._store.find(LEASES, self._name, NAMESPACE)
        self._memory = observe(self._memory, lease, now)
        move = decide(lease, self._identity, self._memory, self._timing.duration, now)
        self._held_by_other = move is Move.WAIT
        if move is Move.WAIT:
            return False
        if lease is None:
            await self._store.create(LEASES, {"metadata": {"name": self._name}, "spec": self._spec({})}, NAMESPACE)
            return True
        # The Lease carries its version: whoever writes second gets a conflict and has not won.
        await self._store.change(
            LEASES, self._name, NAMESPACE, lambda _old: lease | {"spec": self._spec(lease["spec"])}
        )
        return True

    def _spec(self, old: Obj) -> Obj:
        stamp = micro_timestamp(self._store.now())
        mine = old.get("holderIdentity") == self._identity
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(self._timing.duration),
            "acquireTime": old.get("acquireTime", stamp) if mine else stamp,
            "renewTime": stamp,
            "leaseTransitions": int(old.get("leaseTransitions", -1)) + (0 if mine else 1),
        }
