"""The emulated cloud as a whole: requests in, answers out, and time that passes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

from hetzner_k3s.lab.cloud import limits
from hetzner_k3s.lab.cloud.effects.machines import Machines
from hetzner_k3s.lab.cloud.kernel import PendingCall, Timeline
from hetzner_k3s.lab.cloud.latency import Latency
from hetzner_k3s.lab.cloud.project import Project, World
from hetzner_k3s.lab.cloud.requests.endpoint import Answer, Request
from hetzner_k3s.lab.cloud.requests.errors import ApiError
from hetzner_k3s.lab.cloud.requests.faults import Faults, Strike
from hetzner_k3s.lab.cloud.requests.fields import Body
from hetzner_k3s.lab.cloud.requests.paging import Query
from hetzner_k3s.lab.cloud.requests.ratelimit import Bucket
from hetzner_k3s.lab.cloud.requests.router import Router
from hetzner_k3s.lab.cloud.resources.catalogue import Catalogue
from hetzner_k3s.ports import Clock, Rng

_READING = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as it came: path without `/v1`, token or None, decoded query, body as bytes."""

    method: str
    path: str
    token: str | None = None
    query: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    @property
    def writing(self) -> bool:
        """Check whether it may change something."""
        return self.method not in _READING


@dataclass(frozen=True, slots=True)
class Delivery:
    """An answer and its way to the client: `delay` in seconds; a `dropped` one never arrives."""

    answer: Answer
    headers: Mapping[str, str]
    project: str | None
    delay: float
    dropped: bool


@dataclass(frozen=True, slots=True)
class Access:
    """What a token opens."""

    project: Project
    read_only: bool = field(default=False)


class Cloud:
    """The Hetzner Cloud API as a state machine.

    Args:
        clock: the source of time.
        rng: the source of randomness; with the same seed and the same requests everything repeats.
        machines: what stands behind the servers.
        latency: a profile of `latency.PROFILES`.
        tokens: token -> name of the project it opens.
        quotas: what a project may have.
    """

    def __init__(
        self,
        clock: Clock,
        rng: Rng,
        machines: Machines,
        latency: str = "instant",
        tokens: Mapping[str, str] | None = None,
        *,
        quotas: limits.Quotas | None = None,
    ) -> None:
        self.faults = Faults()
        self.world = World(
            clock=clock,
            rng=rng,
            machines=machines,
            latency=Latency(latency, rng),
            timeline=Timeline(clock.monotonic),
            catalogue=Catalogue(self.faults.out_of_stock),
            quotas=quotas or limits.Quotas(),
        )
        self.projects: dict[str, Project] = {}
        self._router = Router()
        self._strangers = Bucket(limits.REQUESTS_PER_HOUR, clock.now)
        self._access: dict[str, Access] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        for token, project in (tokens or {}).items():
            self.grant(token, project)

    def grant(self, token: str, project: str, *, read_only: bool = False) -> None:
        """Let a token open a project, which is made when it does not exist."""
        opened = self.projects.setdefault(project, Project(project, self.world))
        self._access[token] = Access(opened, read_only)

    def revoke(self, token: str) -> None:
        """Let a token open nothing any more."""
        del self._access[token]

    def handle(self, incoming: Incoming) -> Delivery:
        """Answer a request; what takes time goes on when the timeline is driven."""
        access = self._access.get(incoming.token or "")
        bucket = access.project.bucket if access else self._strangers
        struck = self.faults.strike(incoming.method, incoming.path)
        try:
            answer = struck.alter(self._answer(incoming, access, bucket, struck))
        except ApiError as refusal:
            answer = Answer(refusal.status, refusal.envelope())
        return Delivery(
            answer=answer,
            headers=bucket.headers(),
            project=access.project.name if access else None,
            delay=struck.delay + self.world.latency.seconds("answer_write" if incoming.writing else "answer_read"),
            dropped=struck.dropped,
        )

    def fill_buckets(self) -> None:
        """Give every project all its requests back, as if an hour had passed."""
        for access in self._access.values():
            access.project.bucket.fill()

    def _answer(self, incoming: Incoming, access: Access | None, bucket: Bucket, struck: Strike) -> Answer:
        """Check in the vendor's order: path, token, method, rate; a fault comes last.

        See docs/facts/hetzner-api.md#order-of-checks.
        """
        handlers, ids = self._router.resolve(incoming.path)
        if access is None:
            raise ApiError("unauthorized", _stranger_text(incoming.token))
        if incoming.method not in handlers:
            raise ApiError("method_not_allowed", "method not allowed")
        if not bucket.take():
            raise ApiError("rate_limit_exceeded", f"limit of {bucket.limit} requests per hour reached")
        if access.read_only and incoming.writing:
            raise ApiError("token_readonly", "the token is read-only")
        struck.refuse()
        request = Request(access.project, ids, Query(incoming.query), _decode(incoming.body))
        return handlers[incoming.method](request)

    async def run(self) -> None:
        """Drive the timeline on the injected clock until cancelled."""
        woken = asyncio.Event()
        self.world.timeline.on_change = woken.set
        async with asyncio.TaskGroup() as calls:
            while True:
                woken.clear()
                for pending in self.world.timeline.run_due():
                    calls.create_task(self._perform(pending))
                await self._until_due(woken)

    async def step(self) -> float | None:
        """Do what is due now, calls one after another, and give the monotonic second of the next event (None: none).

        For virtual time: step, move the clock to the given second, step again.
        """
        while calls := self.world.timeline.run_due():
            for pending in calls:
                await self._perform(pending)
        return self.world.timeline.next_due()

    async def _until_due(self, woken: asyncio.Event) -> None:
        due = self.world.timeline.next_due()
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(woken.wait())]
        if due is not None:
            waits.append(asyncio.ensure_future(self.world.clock.sleep(max(0.0, due - self.world.clock.monotonic()))))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _perform(self, pending: PendingCall) -> None:
        """Perform a call when those of its subject before it are done; its failure belongs to its process."""
        turn = self._turns.setdefault(pending.call.subject, asyncio.Lock())
        async with turn:
            outcome: tuple[BaseException | None] = await asyncio.gather(pending.call.work(), return_exceptions=True)
        self.world.timeline.finish(pending, outcome[0])


def _stranger_text(token: str | None) -> str:
    return "the token you have provided is invalid" if token else "token is required"


def _decode(raw: bytes) -> Body:
    """Decode a body; an empty one is an empty object."""
    try:
        values = json.loads(raw) if raw.strip() else {}
    except ValueError as error:
        raise ApiError("json_error", "invalid JSON in request body") from error
    if not isinstance(values, dict):
        raise ApiError("json_error", "the request body must be a JSON object")
    return Body(values)
