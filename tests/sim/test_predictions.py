"""What is predicted of a step is what the simulation makes of it: step by step, on the way of every kind of run.

Each step is carried out alone. What is planned next on the predicted state must be what is planned on the observed one,
at once or as soon as what comes by itself has come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import pytest

from hetzner_k3s import addons, decide
from hetzner_k3s.act import lock
from hetzner_k3s.act.context import Context, HostKeyRing
from hetzner_k3s.act.registry import execute
from hetzner_k3s.act.state_patch import learn
from hetzner_k3s.cli import simulated
from hetzner_k3s.decide.assume_waits_done import come_true
from hetzner_k3s.decide.forecast import predict
from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.lab.simulated.world import Session, World, world
from hetzner_k3s.model.consents import Consents, Prune, ResetQuorumFrom
from hetzner_k3s.model.facts import Known, Reading
from hetzner_k3s.model.kube import KubeView
from hetzner_k3s.model.plan import Intent, Plan, PlannedStep, StepKey, Verb
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import ApplyAddons, InitControlPlane, WriteKubeconfig
from hetzner_k3s.observe import Focus, observe, observe_again
from hetzner_k3s.ports import Ports

from .clusters import MASTER1, MASTER2, WORKER1, a_spec
from .story import Story, healthy

_SEED = 3
_COMES_WITHIN = 180.0
"""Virtual seconds for what comes by itself: elections, Nodes that become Ready, leases."""
_LOOK = 1.0
_NOTICED = 8.0
"""Virtual seconds after a loss: elections are over, and the cloud controller lets go of a Node only after 72."""
_LONGEST = 150
"""More steps than any way of these has."""


@dataclass
class Walk:
    """One way, gone one step at a time: which steps were taken, and where prediction and world differed."""

    place: World
    spec: ClusterSpec
    intent: Intent
    session: Session
    ports: Ports
    taken: list[StepKey] = field(default_factory=list)
    differed: list[str] = field(default_factory=list)

    async def go(self) -> None:
        """Go to the end."""
        ports, key_ring = self.ports, HostKeyRing()
        request = lock.LockRequest(cluster=self.spec.name, holder="somebody@laptop", run=self.session.run)
        async with lock.held(ports, request, _silent) as held:
            state = await observe(ports, self.spec, self.intent.verb)
            while (planned := await self._next(state)) is not None and len(self.taken) < _LONGEST:
                state = await observe_again(ports, self.spec, state, Focus())
                predicted = come_true(self.spec, predict(self.spec, state, planned.step))
                context = Context(
                    ports=ports, spec=self.spec, state=state, fence=held.fence, key_ring=key_ring, say=_silent
                )
                self.taken.append(planned.key)
                outcome = await execute(planned.step, context)
                state = await self._agreement(planned, predicted, learn(state, outcome))
        self.session.end()

    async def _next(self, state: ClusterState) -> PlannedStep | None:
        plan = self._plan(state)
        for _ in range(int(_COMES_WITHIN / _LOOK)):
            if plan.steps or not plan.waits:
                break
            await asyncio.sleep(_LOOK)
            plan = self._plan(await observe_again(self.ports, self.spec, state, Focus()))
        assert not plan.refusals, plan.refusals
        return plan.steps[0] if plan.steps else None

    def _plan(self, state: ClusterState) -> Plan:
        return decide.plan(self.spec, state, self.intent)

    async def _agreement(self, planned: PlannedStep, predicted: ClusterState, state: ClusterState) -> ClusterState:
        """Look until the world is planned for as its prediction is; note where it never is."""
        expected = _keys(self._plan(predicted))
        for _ in range(int(_COMES_WITHIN / _LOOK)):
            state = await observe_again(self.ports, self.spec, state, Focus())
            if _keys(self._plan(state)) in (expected, _keys(self._plan(_let_go(predicted, state)))):
                return state
            await asyncio.sleep(_LOOK)
        told = self._plan(state)
        refused = [refusal.code for refusal in told.refusals]
        missed, imagined = sorted(map(str, _keys(told) - expected)), sorted(map(str, expected - _keys(told)))
        self.differed.append(f"after {planned.key}: not foreseen {missed}, did not come {imagined}, refused {refused}")
        return state


def _let_go(predicted: ClusterState, state: ClusterState) -> ClusterState:
    """Return a prediction without the Nodes of deleted servers that the cloud controller has deleted meanwhile."""
    servers = {server.id for server in state.view.servers}
    there = {node.name for reading in state.kube.values() if isinstance(reading, Known) for node in reading.value.nodes}

    def without(reading: Reading[KubeView]) -> Reading[KubeView]:
        if not isinstance(reading, Known):
            return reading
        view = reading.value
        gone = {node.name for node in view.nodes if node.name not in there and node.provided not in {None, *servers}}
        nodes = tuple(node for node in view.nodes if node.name not in gone)
        return Known(replace(view, nodes=nodes, node_passwords=tuple(n for n in view.node_passwords if n not in gone)))

    return replace(predicted, kube={number: without(reading) for number, reading in predicted.kube.items()})


def _silent(_name: str, _what: str) -> None: ...


def _keys(plan: Plan) -> frozenset[StepKey]:
    """Give what is planned, without what only the world can tell: a new server's address, what a silent API has."""
    told = (planned for planned in plan.steps if not isinstance(planned.step, WriteKubeconfig | ApplyAddons))
    return frozenset(planned.key for planned in told)


async def _walk(place: World, spec: ClusterSpec, consents: Consents | None = None) -> Walk:
    intent = Intent(verb=Verb.CREATE, addons=addons.digests(spec), consents=consents or Consents())
    session = place.session(spec.name)
    walk = Walk(place, spec, intent, session, simulated.ports(session))
    await walk.go()
    return walk


def test_a_birth_goes_as_predicted() -> None:
    async def tell() -> Walk:
        async with world(_SEED) as place:
            return await _walk(place, a_spec(load_balancer=True))

    walk = run(tell())
    assert not walk.differed
    assert StepKey(InitControlPlane, MASTER1) in walk.taken


Happening = Callable[[Story], Awaitable[None]]


def _happens(*struck: faults.Fault) -> Happening:
    async def happen(story: Story) -> None:
        await story.happens(*struck)
        await asyncio.sleep(_NOTICED)

    return happen


def _wishes(spec: ClusterSpec) -> Happening:
    async def happen(story: Story) -> None:
        story.wish(spec)

    return happen


async def _record_loses_a_label(story: Story) -> None:
    group = next(g for g in story.world.project.placement_groups.values() if g.name.endswith("masters-pg1"))
    group.labels.pop("hetzner-k3s/lineage")


# A cloud controller removes a lost master's member by itself while a way is gone so slowly.
@dataclass(frozen=True)
class Way:
    """What happens to a healthy cluster, the consents given, and a step that must be on the way."""

    happens: Happening
    verb: str
    consents: Consents = field(default_factory=Consents)
    spec: ClusterSpec = field(default_factory=a_spec)


WAYS: dict[str, Way] = {
    "master1 is deleted": Way(_happens(ServerDeleted(MASTER1)), "JoinControlPlane"),
    "a worker is deleted": Way(_happens(ServerDeleted(WORKER1)), "JoinWorker"),
    "a master and a worker are deleted": Way(
        _happens(ServerDeleted(MASTER2), ServerDeleted(WORKER1)), "JoinControlPlane"
    ),
    "one master grows to three": Way(_wishes(a_spec(3)), "JoinControlPlane", spec=a_spec(1)),
    "three masters grow to five": Way(_wishes(a_spec(5)), "JoinControlPlane"),
    "five masters shrink to three": Way(_wishes(a_spec(3)), "RetireMember", Consents.of(Prune()), a_spec(5)),
    "a label of the record is lost": Way(_record_loses_a_label, "RecordBirth"),
    "two of three masters are deleted": Way(
        _happens(ServerDeleted(MASTER1), ServerDeleted(MASTER2)),
        "ResetQuorum",
        Consents.of(ResetQuorumFrom("prod-master3")),
    ),
}


@pytest.mark.parametrize("name", WAYS)
def test_a_way_goes_as_predicted(name: str) -> None:
    way = WAYS[name]

    async def tell() -> Walk:
        async with healthy(_SEED, way.spec) as story:
            await way.happens(story)
            return await _walk(story.world, story.spec, way.consents)

    walk = run(tell())
    assert not walk.differed
    assert way.verb in {key.verb for key in walk.taken}
