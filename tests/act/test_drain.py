"""Pods are told to end, in their owners' words and in time; what would be lost ends the drain before it begins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from hetzner_k3s.act.context import Context, HostKeyRing
from hetzner_k3s.act.handlers import drain
from hetzner_k3s.model.cloud import Server, ServerStatus
from hetzner_k3s.model.errors import DrainRefused, PreconditionChanged, ProductError
from hetzner_k3s.model.kube import NodeLoad, Pod

from .test_host_keys import SPEC
from .virtual_time import LoopClock, run
from .world import World

NODE = "c-w-worker1"


def pod(name: str, controller: str | None = "ReplicaSet", **more: bool) -> Pod:
    return Pod(namespace="shop", name=name, uid=name, controller=controller, **more)


@dataclass
class Carrying(World):
    """A Node whose pods are told one look at a time; the last look stays."""

    loads: Sequence[NodeLoad] = ()
    budgeted: frozenset[str] = frozenset()
    evicted: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    async def load_of(self, _via: object, node: str) -> NodeLoad:
        assert node == NODE
        first, *others = self.loads
        self.loads = others or [first]
        return first

    async def evict(self, _via: object, pod: Pod) -> bool:
        self.evicted.append(pod.name)
        return pod.name not in self.budgeted


def carry_out(world: Carrying, work: Callable[[Context], Awaitable[None]]) -> float:
    """Carry something out in a world; return the seconds that it took."""

    async def story() -> float:
        clock = LoopClock()
        context = await world.context(SPEC, clock, HostKeyRing())
        object.__setattr__(context, "say", lambda name, what: world.said.append(f"{name} {what}"))
        began = clock.monotonic()
        await work(context)
        return clock.monotonic() - began

    return run(story())


def drained(world: Carrying, *, answers: bool = True) -> float:
    return carry_out(world, lambda context: drain.drained(context, _VIA, NODE, answers=answers, within=300.0))


_VIA: Any = Server(id=7, name="c-master1", status=ServerStatus.RUNNING)


def test_all_are_told_to_end_and_are_waited_for() -> None:
    stays = (pod("a", "DaemonSet"), pod("b", mirror=True), pod("c", finished=True))
    going = NodeLoad(pods=(*stays, pod("web", ending=True)))
    world = Carrying(loads=[NodeLoad(), NodeLoad(pods=(*stays, pod("web"), pod("db"))), going, NodeLoad(pods=stays)])
    assert drained(world) == 10
    assert world.evicted == ["web", "db"]
    assert world.said == [
        f"{NODE} still runs shop/web (ends), shop/db (ends)",
        f"{NODE} still runs shop/web (ends)",
    ]


def test_a_node_that_does_not_answer_is_empty_when_all_were_told() -> None:
    world = Carrying(loads=[NodeLoad(), NodeLoad(pods=(pod("web", ending=True),))])
    assert drained(world, answers=False) == 0
    assert not world.evicted


def test_a_budget_that_keeps_a_pod_ends_the_drain_in_time() -> None:
    world = Carrying(loads=[NodeLoad(pods=(pod("db"),))], budgeted=frozenset({"db"}))
    with pytest.raises(DrainRefused) as refused:
        drained(world)
    kept = "shop/db (its disruption budget does not let it go)"
    assert str(refused.value) == f"{NODE} is not empty after 300 s: {kept}"
    assert "kubectl get pdb" in refused.value.hint
    assert world.said == [f"{NODE} still runs {kept}"]
    assert len(world.evicted) == 300 / 5 + 1


@pytest.mark.parametrize(
    ("load", "words", "hint"),
    [
        (
            NodeLoad(pods=(pod("alone", None), pod("ends", None, ending=True), pod("done", None, finished=True))),
            "runs pods that nothing would start elsewhere: shop/alone",
            "Delete them or give them a controller, then run the command again. Its Node stays cordoned.",
        ),
        (
            NodeLoad(local_claims=("shop/data",)),
            "holds the only copy of the volumes of these claims: shop/data",
            "Move their data and delete the claims, then run the command again; or give that data up with "
            "`--delete-local-data`. "
            "Its Node stays cordoned.",
        ),
        (
            NodeLoad(local_claims=("shop/data",), takes_pods=True),
            "holds the only copy of the volumes of these claims: shop/data",
            "Move their data and delete the claims, then run the command again; or give that data up with "
            "`--delete-local-data`. "
            "Its Node takes pods.",
        ),
    ],
)
def test_what_would_be_lost_is_named_and_nothing_is_told_to_end(load: NodeLoad, words: str, hint: str) -> None:
    for work in (drained, emptied):
        world = Carrying(loads=[load])
        with pytest.raises(DrainRefused) as refused:
            work(world)
        assert (str(refused.value), refused.value.hint) == (f"{NODE} {words}", hint)
        assert not world.evicted


def emptied(world: Carrying) -> float:
    return carry_out(world, lambda context: drain.still_empty(context, _VIA, NODE))


@pytest.mark.parametrize(
    ("load", "since"),
    [
        (NodeLoad(pods=(pod("web"),)), "runs shop/web"),
        (NodeLoad(takes_pods=True), "was uncordoned"),
        (NodeLoad(pods=(pod("web", ending=True), pod("log", "DaemonSet"))), None),
    ],
)
def test_a_drained_node_is_looked_at_again_before_it_goes(load: NodeLoad, since: str | None) -> None:
    if since is None:
        emptied(Carrying(loads=[load]))
        return
    with pytest.raises(PreconditionChanged, match=f"{NODE} was drained, and {since} since"):
        emptied(Carrying(loads=[load]))


def test_a_server_whose_disk_holds_a_volume_stays() -> None:
    world = Carrying(loads=[NodeLoad(local_claims=("shop/data",))])
    with pytest.raises(ProductError) as refused:
        carry_out(world, lambda context: drain.no_volume_left(context, _VIA, NODE))
    assert refused.value.hint.endswith("Its server stays as it is.")
    carry_out(Carrying(loads=[NodeLoad(pods=(pod("web"),))]), lambda context: drain.no_volume_left(context, _VIA, NODE))
