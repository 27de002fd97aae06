"""A server that is powered on is waited for as long as there is something to wait for, and what it is then is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from hetzner_k3s.act.context import Context, HostKeyRing
from hetzner_k3s.act.handlers import node_labels, nodes, power
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import Server, ServerStatus
from hetzner_k3s.model.errors import Fate, HostUnreachable, KubeError, SshStage
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import EtcdFacts, HostFacts, HostKeyKind, Member, UnitFacts
from hetzner_k3s.model.kube import BeforeStart, KubeNode, KubeView
from hetzner_k3s.model.kubernetes.node_labels import NodeKeys
from hetzner_k3s.model.operations.looks import Probe
from hetzner_k3s.model.operations.service import AwaitK3s, StartK3s
from hetzner_k3s.model.spec import Label
from hetzner_k3s.model.steps import JoinWorker, PowerOn, StartMaster

from .test_host_keys import SPEC
from .virtual_time import LoopClock, run
from .world import World

_SILENT = HostUnreachable("nobody", server="c-master1", stage=SshStage.TCP, fate=Fate.DID_NOT_HAPPEN)
_UP, _COMING = UnitFacts(active="active"), UnitFacts(active="activating")
_VOTES = EtcdFacts(
    healthy=True,
    member_id="1",
    leader="1",
    members=(Member(id="1", name="c-master1", peer_urls=("https://10.0.0.2:2380",), learner=False),),
)


def host(**facts: Any) -> HostFacts:
    return HostFacts(key=facts.pop("key", HostKeyKind.FINAL), **facts)


@dataclass
class Powering(World):
    """A server that is told its looks one at a time; the last one stays."""

    looks: Sequence[HostFacts | HostUnreachable] = ()
    heartbeat: str | None = "then"
    kube_fails: str = ""
    becomes_active: bool = True
    done: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    waited: list[tuple[str, float, BeforeStart | None]] = field(default_factory=list)
    annotated: dict[str, Any] = field(default_factory=dict)

    async def power_on(self, server_id: int) -> None:
        self.done.append(f"power {server_id}")

    async def perform(self, _target: object, operation: Any) -> Any:
        if isinstance(operation, Probe):
            first, *others = self.looks
            self.looks = others or [first]
            if isinstance(first, HostUnreachable):
                raise first
            return first
        self.done.append(type(operation).__name__)
        if isinstance(operation, AwaitK3s) and not self.becomes_active:
            raise _SILENT
        assert isinstance(operation, (AwaitK3s, StartK3s))
        return host()

    async def last_heartbeat(self, _via: object, name: str) -> str | None:
        if self.kube_fails == "heartbeat":
            raise KubeError("no", server=name, fate=Fate.DID_NOT_HAPPEN)
        return self.heartbeat

    async def wait_node_ready(self, _via: object, name: str, deadline: float, before: BeforeStart | None) -> None:
        self.waited.append((name, deadline, before))
        if self.kube_fails == "ready":
            raise KubeError("no", server=name, fate=Fate.DID_NOT_HAPPEN)

    async def annotate_node(self, _via: object, name: str, annotations: Any, labels: Any) -> None:
        self.annotated[name] = (dict(annotations), dict(labels))


async def _context(world: Powering, clock: LoopClock) -> Context:
    world.servers[7] = Server(
        id=7,
        name="c-master1",
        status=ServerStatus.RUNNING,
        labels=naming.server_labels("c", naming.ROLE_MASTER),
        public_ipv4="192.0.2.7",
    )
    context = await world.context(SPEC, clock, HostKeyRing())
    return replace(context, say=lambda name, what: world.said.append(f"{name} {what}"))


def powered(world: Powering, *, joined: bool = True, via: int | None = 7) -> float:
    async def story() -> float:
        clock = LoopClock()
        context = await _context(world, clock)
        began = clock.monotonic()
        await power.power_on(PowerOn(target="c-master1", server_id=7, joined=joined, via=via), context)
        return clock.monotonic() - began

    return run(story())


def test_an_agent_that_comes_up_is_back_when_its_node_is_ready() -> None:
    world = Powering(
        looks=[_SILENT, host(agent_unit=UnitFacts(active="deactivating"), server_unit=_COMING), host(agent_unit=_UP)]
    )
    assert powered(world) == 2
    assert world.done == ["power 7"]
    assert world.waited == [("c-master1", 298.0, BeforeStart("then"))]
    assert world.said == ["c-master1 powering it on", "c-master1 is back"]


def test_a_master_is_back_when_it_serves() -> None:
    waiting = host(server_unit=_UP)
    world = Powering(looks=[waiting, waiting, host(server_unit=_UP, etcd=_VOTES)])
    assert powered(world) == 2
    assert world.said[-1] == "c-master1 is back"


@pytest.mark.parametrize(
    ("look", "waits"),
    [
        (host(), 0),
        (host(server_unit=UnitFacts(active="failed")), 0),
        (host(key=HostKeyKind.BOOT, server_unit=_COMING), 0),
        (host(server_unit=_COMING), 300),
    ],
)
def test_a_host_on_which_nothing_starts_is_not_waited_for(look: HostFacts, waits: float) -> None:
    world = Powering(looks=[look])
    assert powered(world) == pytest.approx(waits, abs=1)
    assert not world.waited


def test_a_server_that_never_joined_is_not_waited_for() -> None:
    world = Powering(looks=[_SILENT])
    assert powered(world, joined=False) == 0
    assert (world.waited, world.said) == ([], ["c-master1 powering it on"])


@pytest.mark.parametrize(("looks", "fails", "seconds"), [([_SILENT], "", 300), ([host(agent_unit=_UP)], "ready", 0)])
def test_one_that_does_not_come_back_is_said_to_have_power(looks: list[Any], fails: str, seconds: float) -> None:
    world = Powering(looks=looks, kube_fails=fails)
    assert powered(world) == pytest.approx(seconds, abs=1)
    assert world.said[-1] == "c-master1 has power, but did not come back within 300 s"


@pytest.mark.parametrize(
    ("via", "fails", "before"), [(None, "", None), (7, "heartbeat", None), (7, "", BeforeStart("then"))]
)
def test_the_last_heartbeat_is_of_whoever_can_tell(via: int | None, fails: str, before: BeforeStart | None) -> None:
    world = Powering(looks=[host(agent_unit=_UP)], kube_fails=fails)
    powered(world, via=via)
    assert world.waited == [("c-master1", 300.0, before)]


@pytest.mark.parametrize(("active", "words"), [(True, []), (False, ["c-master1 did not become active: nobody"])])
def test_a_master_that_is_started_has_a_minute(active: bool, words: list[str]) -> None:
    world = Powering(becomes_active=active)

    async def story() -> None:
        await power.start_master(StartMaster(target="c-master1", server_id=7), await _context(world, LoopClock()))

    run(story())
    assert world.done == ["StartK3s", "AwaitK3s"]
    assert world.said == ["c-master1 starting its k3s", *words]


def _seeing(context: Context, node: KubeNode | None, unit: UnitFacts) -> Context:
    view = KubeView(uid="u", nodes=(node,) if node else ())
    facts = host(agent_unit=unit)
    return replace(context, state=replace(context.state, kube={7: Known(view)}, hosts={7: Known(facts)}))


@pytest.mark.parametrize(
    ("node", "unit", "without"),
    [
        (None, _UP, True),
        (KubeNode(name="c-master1", uid="n", ready=True, control_plane=True), _UP, False),
        (None, UnitFacts(), False),
    ],
)
def test_an_agent_that_runs_without_a_node_is_told_apart(node: KubeNode | None, unit: UnitFacts, without: bool) -> None:
    async def story() -> None:
        step = JoinWorker(target="c-master1", server_id=7, via=7, server_url="https://10.0.0.2:6443")
        context = _seeing(await _context(Powering(), LoopClock()), node, unit)
        assert nodes._runs_without_a_node(step, context) is without
        unseen = replace(context, state=replace(context.state, kube={}))
        assert nodes._runs_without_a_node(step, unseen) is False

    run(story())


@pytest.mark.parametrize(
    ("wanted", "remembered", "kept"),
    [((), None, None), ((("tier", "gold"),), None, ["tier"]), ((), NodeKeys(labels=frozenset({"old"})), ["old"])],
)
def test_what_a_node_has_from_us_is_noted_on_it(
    wanted: tuple[tuple[str, str], ...], remembered: NodeKeys | None, kept: list[str] | None
) -> None:
    world = Powering()

    async def story() -> None:
        context = await _context(world, LoopClock())
        labels = tuple(Label(key=key, value=value) for key, value in wanted)
        master = replace(context.spec.masters[0], labels=labels)
        node = KubeNode(name="c-master1", uid="n", ready=True, control_plane=True, applied=remembered)
        context = _seeing(
            replace(context, spec=replace(context.spec, masters=(master,), schedule_workloads_on_masters=True)),
            node,
            _UP,
        )
        await node_labels.record(context, context.target(7), context.server(7))

    run(story())
    annotations, labels = world.annotated["c-master1"]
    assert annotations[naming.ANNOTATION_SERVER_ID] == "7"
    noted = annotations.get(naming.ANNOTATION_APPLIED)
    assert (noted is None, bool(labels)) == (kept is None, kept is not None)
    assert all(f'"{key}"' in noted for key in kept or ())
