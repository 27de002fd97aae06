"""The operator lock: an empty placement group whose unique name makes creating it a compare-and-set.

See docs/architecture.md#operator-lock.

Its labels name the holder, the run and an expiry that the holder renews. Operators' clocks differ, so an expiry is
never compared with our clock: a lock is stale when its expiry was *seen* unchanged for as long as its lease lasts.
A lease lasts as long as the run has, within bounds: a long run asks rarely, and nobody waits longer for one that was
killed than it had lasted.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from hetzner_k3s.act import journal
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import CloudView, PlacementGroup
from hetzner_k3s.model.errors import CloudConflict, CloudError, CloudRefused, Fate, LockHeld, LockLost, NoRoomForLock
from hetzner_k3s.model.steps import Step
from hetzner_k3s.model.steps.traits import TRAITS
from hetzner_k3s.ports import Ports

_LEASE = 60.0
_LONGEST_LEASE = 180.0
_RENEWED_BEFORE = 20.0
"""So long before its end a lease is renewed: there is room for some attempts."""
_RENEW_AGAIN_AFTER = 5.0
"""The pause after a renewal that failed."""
_UNPROVEN_BEFORE = 15.0
"""So long before its end nothing is begun on it: with what a taker waits, 45 s before the effects of that one."""
_HELD_AT_LEAST = 5.0
"""So that who saw no lock, and has it himself sooner than that, knows that nobody else had it in between."""
_TAKER_WAITS = 30.0
"""A holder that was overtaken may still start steps for as long as its last read-back counts, and then finish them."""
_LOOK_EVERY = 5.0
_ROUNDS = 5
_WHOLE = re.compile(r"[0-9]{1,9}")
_NOT_IN_LABELS = re.compile(r"[^A-Za-z0-9._-]+")

Say = Callable[[str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LockRequest:
    """Who wants the lock of `cluster`: `holder` is a person's words for it, `run` the id of this run's journal."""

    cluster: str
    holder: str
    run: str

    @property
    def name(self) -> str:
        """Return the name of the placement group that is the lock."""
        return naming.operator_lock(self.cluster)


@dataclass(slots=True)
class OperatorLock:
    """The lock, held; `fence` is its id, which hosts compare with the greatest they have seen.

    A renewal is its own proof: who takes a lock over deletes it by its id and makes another one, so labels that could
    be written under that id were those of a lock that nobody had taken.
    """

    ports: Ports
    request: LockRequest
    fence: int
    _proven_at: float
    _seen_at: float
    """When it was known to be there (seconds, monotonic)."""
    _contested: bool = True
    """Whether somebody else may have had it just before."""
    _leaves_a_mark: bool = False
    """Whether anything was begun that another run's look must not miss."""
    _lease: float = _LEASE
    """Seconds for which whoever saw its labels last leaves it alone."""

    def was_free_since(self, listed_at: float, view: CloudView) -> bool:
        """Check whether no other run can have had the lock between a listing and its being made here.

        Args:
            listed_at: when the listing was asked for (seconds, monotonic).
            view: what it showed.
        """
        at_once = not self._contested and self._seen_at - listed_at < _HELD_AT_LEAST
        return at_once and lookup.placement_group(self.request.name, view) is None

    def begin(self, step: Step) -> None:
        """Take note of a step that is begun: after most of them others must not miss that the lock was held."""
        self._leaves_a_mark |= not TRAITS[type(step)].apart

    async def check(self) -> None:
        """Make sure that the lock was ours a moment ago; called before every step.

        Raises:
            LockLost: another run took it over, or it was deleted.
        """
        if self.ports.clock.monotonic() - self._proven_at > self._lease - _UNPROVEN_BEFORE:
            await self._renew()

    async def renew_for_ever(self) -> None:
        """Move the expiry on, until cancelled; a failure is not told here: `check` finds out what it means."""
        while True:
            due = self._proven_at + self._lease - _RENEWED_BEFORE
            await self.ports.clock.sleep(max(_RENEW_AGAIN_AFTER, due - self.ports.clock.monotonic()))
            with suppress(CloudError, LockLost):
                await self._renew()

    async def _renew(self) -> None:
        asked_at = self.ports.clock.monotonic()
        lease = min(_LONGEST_LEASE, max(_LEASE, asked_at - self._seen_at))
        labels = _labels(self.ports, self.request, lease)
        if not await self.ports.cloud.replace_labels("placement_group", self.fence, labels):
            raise LockLost(
                f"the operator lock {self.request.name} is no longer this run's",
                hint="Another run works on the cluster; nothing more was started here.",
            )
        self._proven_at, self._lease = asked_at, lease

    async def release(self) -> None:
        """Delete the lock by its id; one that is gone, or cannot be deleted now, expires by itself.

        Not too soon where something was done: who sees no lock just before and just after looks at nothing again.
        """
        early = self._seen_at + _HELD_AT_LEAST - self.ports.clock.monotonic()
        if self._leaves_a_mark and early > 0:
            await self.ports.clock.sleep(early)
        with suppress(CloudError):
            await self.ports.cloud.delete("placement_group", self.fence)


@asynccontextmanager
async def held(ports: Ports, request: LockRequest, say: Say) -> AsyncIterator[OperatorLock]:
    """Hold the lock for the length of a block.

    Raises:
        LockHeld: a living run holds it.
        NoRoomForLock: the project is at its limit of placement groups.
    """
    journal.run_began(ports.local, request.cluster)  # so that the lock of a killed run is never waited for here
    lock = await _acquire(ports, request, say)
    renewal = asyncio.create_task(lock.renew_for_ever())
    try:
        yield lock
    finally:
        renewal.cancel()
        await asyncio.gather(renewal, return_exceptions=True)
        await lock.release()


async def forget_killed(ports: Ports, request: LockRequest, view: CloudView) -> None:
    """Delete the lock of a run that was killed on this machine after its last step.

    A run that has nothing to do takes no lock, so nobody else would; and after a deletion nobody ever comes again.
    """
    found = lookup.placement_group(request.name, view)
    if found is not None and ports.local.run_is_dead(found.labels.get(naming.LABEL_LOCK_RUN, "")):
        with suppress(CloudError):
            await ports.cloud.delete("placement_group", found.id)


async def _acquire(ports: Ports, request: LockRequest, say: Say) -> OperatorLock:
    overtaken = False
    for attempt in range(_ROUNDS):
        lock = await _create(ports, request)
        if lock is not None:
            lock._contested = attempt > 0
            if overtaken:
                say(request.name, f"taken over; waiting {_TAKER_WAITS:.0f} s for what its last holder had started")
                await ports.clock.sleep(_TAKER_WAITS)
            return lock
        found = lookup.placement_group(request.name, await ports.cloud.survey())
        if found is None:
            continue  # released between the two calls
        if found.labels.get(naming.LABEL_LOCK_RUN) == request.run:
            # Our own: only the answer to its creation was lost. Unread since, so the first check reads it back.
            return _held_now(ports, request, found.id, proven_at=float("-inf"))
        overtaken |= await _clear_away(ports, request, found, say)
    raise LockHeld(f"the operator lock {request.name} changed hands {_ROUNDS} times", hint="Run the command again.")


async def _create(ports: Ports, request: LockRequest) -> OperatorLock | None:
    """Make the lock, or give None where it may exist by now: the name is taken, or the answer was lost."""
    asked_at = ports.clock.monotonic()
    try:
        group = await ports.cloud.create_placement_group(request.name, _labels(ports, request, _LEASE))
    except CloudConflict:
        return None
    except CloudRefused as refused:
        if refused.code != "resource_limit_exceeded":
            raise
        raise await _no_room(ports, request) from refused
    except CloudError as failure:
        if failure.fate is Fate.DID_NOT_HAPPEN:
            raise
        return None
    return _held_now(ports, request, group.id, proven_at=asked_at)


def _held_now(ports: Ports, request: LockRequest, fence: int, *, proven_at: float) -> OperatorLock:
    seen_at = ports.clock.monotonic()
    return OperatorLock(ports=ports, request=request, fence=fence, _proven_at=proven_at, _seen_at=seen_at)


def _labels(ports: Ports, request: LockRequest, lease: float) -> dict[str, str]:
    return {
        naming.LABEL_LOCK_HOLDER: _NOT_IN_LABELS.sub("-", request.holder).strip("-._")[: naming.MAX_NAME_LENGTH],
        naming.LABEL_LOCK_RUN: request.run,
        naming.LABEL_LOCK_EXPIRES: str(int(ports.clock.now() + lease)),
        naming.LABEL_LOCK_LEASE: str(int(lease)),
    }


async def _clear_away(ports: Ports, request: LockRequest, found: PlacementGroup, say: Say) -> bool:
    """Delete a lock whose holder is dead or stale, by its id; tell whether it was only stale, so may wake up.

    Raises:
        LockHeld: its holder renews it.
    """
    holder = found.labels.get(naming.LABEL_LOCK_HOLDER, "somebody")
    died_here = ports.local.run_is_dead(found.labels.get(naming.LABEL_LOCK_RUN, ""))
    if not died_here:
        say(request.name, f"held by {holder}; watching for {_lease_of(found):.0f} s whether that run still lives")
        if not await _seen_unchanged(ports, request, found):
            return False
    await ports.cloud.delete("placement_group", found.id)
    return not died_here


async def _seen_unchanged(ports: Ports, request: LockRequest, found: PlacementGroup) -> bool:
    """Watch a lock for the length of a lease: True if it stood still, False if it went away."""
    ends = ports.clock.monotonic() + _lease_of(found)
    while ports.clock.monotonic() < ends:
        await ports.clock.sleep(_LOOK_EVERY)
        now = await ports.cloud.placement_group(found.id)
        if now is None:
            return False
        if now.labels.get(naming.LABEL_LOCK_EXPIRES) != found.labels.get(naming.LABEL_LOCK_EXPIRES):
            raise _held_by(request, now)
    return True


def _lease_of(group: PlacementGroup) -> float:
    """Read for how long a lock must have stood still; labels may be anybody's, so within bounds."""
    told = group.labels.get(naming.LABEL_LOCK_LEASE, "")
    return min(_LONGEST_LEASE, max(_LEASE, float(told))) if _WHOLE.fullmatch(told) else _LEASE


def _held_by(request: LockRequest, group: PlacementGroup) -> LockHeld:
    holder = group.labels.get(naming.LABEL_LOCK_HOLDER, "somebody")
    return LockHeld(
        f"{request.cluster} is being changed by {holder} (lock {group.id}, expires {_expires_at(group)})",
        hint="Wait until that run has ended, then run the command again.",
    )


def _expires_at(group: PlacementGroup) -> str:
    expires = group.labels.get(naming.LABEL_LOCK_EXPIRES, "")
    try:
        return f"{datetime.fromtimestamp(int(expires[:20]), UTC):%H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return "at an unknown time"


async def _no_room(ports: Ports, request: LockRequest) -> NoRoomForLock:
    view = await ports.cloud.survey()
    empty = sorted(group.name for group in view.placement_groups if not group.servers)
    return NoRoomForLock(
        f"this project holds {len(view.placement_groups)} placement groups, as many as it may, so the operator lock "
        f"{request.name} cannot be made",
        hint=f"Delete one that no server needs: {', '.join(empty) or 'all are in use'}.",
    )
