"""What the etcd leader's k3s does every 15 s: promote learners, give up stuck ones, say on each Node who votes."""

from __future__ import annotations

import asyncio

from hetzner_k3s.lab.k3s.api.resources import NODES, Obj
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.api.strategy import timestamp
from hetzner_k3s.lab.k3s.control.nodes import NAME_ANNOTATION
from hetzner_k3s.lab.k3s.etcd import membership
from hetzner_k3s.lab.k3s.etcd.port import EtcdError, Member
from hetzner_k3s.lab.k3s.node import node_object
from hetzner_k3s.lab.simulated.hosts.server import Server

_STUCK = 300.0


class LearnerTicks:
    """Runs on every server; only the one whose member leads acts."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._learning_since: dict[int, float] = {}

    async def run(self) -> None:
        """Tick for ever."""
        while True:
            await asyncio.sleep(self._server.timing.promotion_tick)
            try:
                await self._tick()
            except (EtcdError, ApiError) as problem:
                self._server.log(f"Failed to check local etcd status for learner management: {problem}", "error")

    async def _tick(self) -> None:
        etcd = self._server.member()
        status = await etcd.status()
        if status.leader != status.member_id:
            return
        members = await etcd.members()
        for learner in membership.to_promote(members):
            try:
                await etcd.promote(learner.id)
            except EtcdError as problem:
                self._server.log(f"Waiting for learner {learner.name}: {problem.message}")
        await self._give_up_stuck(members)
        if self._server.api_ready and self._server.store is not None:
            await _set_conditions(self._server.store, await etcd.members())

    async def _give_up_stuck(self, members: tuple[Member, ...]) -> None:
        now = self._server.site.now()
        learners = [member.id for member in members if member.learner]
        self._learning_since = {number: self._learning_since.get(number, now) for number in learners}
        for number, since in self._learning_since.items():
            if now - since >= _STUCK:
                await self._server.member().remove(number)


async def _set_conditions(store: Store, members: tuple[Member, ...]) -> None:
    nodes, _ = await store.list(NODES)
    for found in nodes:
        name = (found["metadata"].get("annotations") or {}).get(NAME_ANNOTATION)
        if name:
            await _set_condition(store, found, membership.voter_condition(members, name))


async def _set_condition(store: Store, found: Obj, wanted: membership.VoterCondition) -> None:
    rows = (found.get("status") or {}).get("conditions", [])
    if any(row["type"] == "EtcdIsVoter" and row["reason"] == wanted.reason for row in rows):
        return
    now = timestamp(store.now())

    def edit(old: Obj) -> Obj:
        status = old.get("status") or {}
        condition = ("EtcdIsVoter", wanted.status, wanted.reason, wanted.message)
        return old | {
            "status": status | {"conditions": node_object.with_condition(status.get("conditions", []), condition, now)}
        }

    await store.change(NODES, found["metadata"]["name"], "", edit, "status")
