"""What the etcd leader's k3s does on its tick: promote learners, say on each Node whether it votes."""

from __future__ import annotations

import asyncio
import time

from hetzner_k3s.lab.k3s import logfmt
from hetzner_k3s.lab.k3s.api.resources import NODES, Obj
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.api.strategy import timestamp
from hetzner_k3s.lab.k3s.control.nodes import ETCD_ROLE, NAME_ANNOTATION
from hetzner_k3s.lab.k3s.etcd import membership
from hetzner_k3s.lab.k3s.etcd.port import Etcd, EtcdError, Member
from hetzner_k3s.lab.k3s.node import node_object
from hetzner_k3s.lab.k3s.serving.state import Progress

_STUCK = 300.0  # a learner that does not get anywhere for five minutes is removed


class LearnerTicks:
    """Runs on every server; only the one whose member leads acts.

    Args:
        etcd: this server's member.
        store: the objects.
        progress: Nodes are touched once the API serves.
        tick: seconds between promotions.
        condition_tick: seconds between looks at the `EtcdIsVoter` conditions.
    """

    def __init__(self, etcd: Etcd, store: Store, progress: Progress, tick: float, condition_tick: float) -> None:
        self._etcd, self._store, self._progress = etcd, store, progress
        self._tick, self._condition_tick = tick, condition_tick
        self._learning_since: dict[int, float] = {}

    async def run(self) -> None:
        """Tick for ever."""
        promoted = time.monotonic()
        while True:
            await asyncio.sleep(min(self._tick, self._condition_tick))
            due = time.monotonic() - promoted >= self._tick
            promoted = time.monotonic() if due else promoted
            try:
                await self._once(due)
            except (EtcdError, ApiError) as problem:
                if due:
                    logfmt.error(f"Failed to check local etcd status for learner management: {problem}")

    async def _once(self, promote: bool) -> None:
        status = await self._etcd.status()
        if status.leader != status.member_id:
            return
        members = await self._etcd.members()
        if promote:
            for learner in membership.to_promote(members):
                await self._promote(learner)
            await self._remove_stuck(members)
        if self._progress.api_ready:
            await self._set_conditions(members)

    async def _promote(self, learner: Member) -> None:
        try:
            await self._etcd.promote(learner.id)
            logfmt.info(f"Promoted learner {learner.name} to voting member")
        except EtcdError as problem:
            logfmt.info(f"Waiting for learner {learner.name}: {problem}")

    async def _remove_stuck(self, members: tuple[Member, ...]) -> None:
        now = time.monotonic()
        learners = {member.id for member in members if member.learner}
        self._learning_since = {id_: self._learning_since.get(id_, now) for id_ in learners}
        for id_, since in self._learning_since.items():
            if now - since >= _STUCK:
                await self._etcd.remove(id_)

    async def _set_conditions(self, members: tuple[Member, ...]) -> None:
        nodes, _ = await self._store.list(NODES)
        for found in nodes:
            name = (found["metadata"].get("annotations") or {}).get(NAME_ANNOTATION)
            if name and ETCD_ROLE in (found["metadata"].get("labels") or {}):
                await self._set_condition(found, membership.voter_condition(members, name))

    async def _set_condition(self, found: Obj, wanted: membership.VoterCondition) -> None:
        rows = (found.get("status") or {}).get("conditions", [])
        if any(row["type"] == "EtcdIsVoter" and row["reason"] == wanted.reason for row in rows):
            return
        now = timestamp(self._store.now())

        def edit(old: Obj) -> Obj:
            status = old.get("status") or {}
            condition = ("EtcdIsVoter", wanted.status, wanted.reason, wanted.message)
            changed = node_object.with_condition(status.get("conditions", []), condition, now)
            return old | {"status": status | {"conditions": changed}}

        await self._store.change(NODES, found["metadata"]["name"], "", edit, "status")
