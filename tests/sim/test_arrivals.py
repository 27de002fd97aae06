"""Waiting for many servers that are watched: few requests, and whoever fails is told of all the same."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass, replace

import pytest

from hetzner_k3s.cli import simulated
from hetzner_k3s.lab.simulated import virtual_time
from hetzner_k3s.lab.simulated.world import Session, World, world
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.errors import CloudUnavailable, Fate
from hetzner_k3s.ports import Cloud

from .test_hetzner_transport import ordered

_EACH = 10.0
"""Seconds between two servers that are spoken to."""
_BROKEN = "start_server failed"


@dataclass(frozen=True, slots=True)
class _Waited:
    """What came of each server, after how many seconds, and what Hetzner was asked meanwhile."""

    outcomes: dict[str, tuple[str, float]]
    asked: Counter[str]

    def with_(self, words: str) -> set[str]:
        return {name for name, (outcome, _) in self.outcomes.items() if words in outcome}


def _wait_for(many: int, *, broken: frozenset[str] = frozenset()) -> _Waited:
    """Order servers of which some have no power, and speak to one of the others after another."""

    async def tell() -> _Waited:
        async with world(1, "typical") as place:
            session = place.session("demo")
            return await _story(place, session, simulated.ports(session).cloud, many, broken)

    return virtual_time.run(tell())


async def _story(place: World, session: Session, cloud: Cloud, many: int, broken: frozenset[str]) -> _Waited:
    order, made = replace(await ordered(cloud), watched=True), dict[str, Server]()
    names = [f"demo-{number}" for number in range(many)]
    _cut_power(place, made, broken)
    before = Counter(session.hetzner.requests)

    async def wait_for(name: str) -> tuple[str, float]:
        creation = cloud.create_server(replace(order, name=name), made=lambda new: made.update({name: new}))
        return await _outcome(creation), place.clock.monotonic()

    speaking = asyncio.create_task(_speak(cloud, made, [name for name in names if name not in broken]))
    outcomes = await asyncio.gather(*map(wait_for, names))
    await speaking
    return _Waited(dict(zip(names, outcomes, strict=True)), Counter(session.hetzner.requests) - before)


async def _speak(cloud: Cloud, made: dict[str, Server], names: list[str]) -> None:
    """Speak to servers as their SSH would let us, while a network takes one after another."""
    await asyncio.sleep(60)
    for number, name in enumerate(names):
        await asyncio.sleep(_EACH)
        cloud.arrived(made[name].id, f"10.0.0.{10 + number}")


async def _outcome(creation: Awaitable[Server]) -> str:
    try:
        return (await creation).status.value
    except CloudUnavailable as failure:
        return str(failure)


def _cut_power(place: World, made: dict[str, Server], names: frozenset[str]) -> None:
    power_on = place.machines.power_on

    async def without_some(server_id: int) -> None:
        if server_id in {made[name].id for name in names}:
            raise RuntimeError("no power")
        await power_on(server_id)

    place.machines.power_on = without_some  # type: ignore[method-assign]


def test_a_server_that_never_runs_is_no_wait_for_ever() -> None:
    async def tell() -> None:
        async with world(1, "typical") as place:
            cloud = simulated.ports(place.session("demo")).cloud

            async def for_ever(server_id: int) -> None:
                await asyncio.sleep(1_000_000)

            place.machines.power_on = for_ever  # type: ignore[method-assign]
            with pytest.raises(CloudUnavailable, match=r"demo-master1 is \w+, after 900 s not running") as failed:
                await cloud.create_server(await ordered(cloud))
            assert failed.value.fate is Fate.MAY_HAVE_HAPPENED

    virtual_time.run(tell())


def test_while_servers_come_one_after_another_hetzner_is_hardly_asked() -> None:
    waited = _wait_for(40)
    assert waited.with_("running") == waited.outcomes.keys()
    assert waited.asked.pop("POST /servers") == 40
    assert waited.asked.total() <= 6, waited.asked


def test_one_of_many_that_fails_is_told_of_while_the_others_come() -> None:
    waited = _wait_for(40, broken=frozenset({"demo-7"}))
    assert waited.with_(_BROKEN) == {"demo-7"}
    assert len(waited.with_("running")) == 39
    assert waited.outcomes["demo-7"][1] < 100, "at the first look"


@pytest.mark.parametrize("many", [3, 70])
def test_all_that_fail_are_told_of(many: int) -> None:
    """Of many that failed one request does not tell all."""
    names = frozenset(f"demo-{number}" for number in range(many))
    waited = _wait_for(many, broken=names)
    assert waited.with_(_BROKEN) == names
    assert max(seconds for _, seconds in waited.outcomes.values()) < 400, "the network takes one after another"
