"""What runs leave in the cluster for everybody who operates it; nothing that goes wrong with it harms a run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from hetzner_k3s import addons
from hetzner_k3s.act.lock import LockRequest
from hetzner_k3s.cli import simulated
from hetzner_k3s.lab.k3s.api.resources import CONFIGMAPS
from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.faults import ApiFault, ServerDeleted
from hetzner_k3s.lab.simulated.operator_machine import OperatorMachine
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.lab.simulated.world import Session, World
from hetzner_k3s.model.errors import ExitCode, KubeError
from hetzner_k3s.model.host import HostKeyKind
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.kubernetes.run_history import KEPT, PastRun, RunHistory, with_run
from hetzner_k3s.model.plan import Intent, Verb
from hetzner_k3s.observe import observe_masters
from hetzner_k3s.ports import Kube
from hetzner_k3s.reconcile import RunRequest, converge

from . import invariants, mischief
from .clusters import CLUSTER, MASTER1, WORKER1, a_spec
from .clusters_of_2x import as_2x_made_it
from .story import Story, healthy
from .test_adoption import adopted
from .tool import Told

_SEED = 23
_NAME, _NAMESPACE = "hetzner-k3s-history", "kube-system"
_WRITE = f"PATCH /api/v1/namespaces/{_NAMESPACE}/configmaps/{_NAME}"


def played(tell: Callable[[Story], Awaitable[None]], masters: int = 1) -> None:
    async def story() -> None:
        async with healthy(_SEED, a_spec(masters, workers=1)) as cluster:
            await tell(cluster)

    run(story())


def kube_of(world: World) -> tuple[Kube, HostTarget]:
    """Return another operator's way to the first master's API."""
    host = world.host(MASTER1)
    keys = {host.disk.host_key: HostKeyKind.FINAL}
    master = HostTarget(
        server_id=host.server_id, name=MASTER1, address=host.addresses[-1], port=host.ssh_port, keys=keys
    )
    return simulated.ports(world.session(CLUSTER)).kube, master


async def history(world: World) -> RunHistory:
    kube, master = kube_of(world)
    return await kube.past_runs(master)


async def entries(world: World) -> dict[str, str]:
    return dict((await mischief.store(world).get(CONFIGMAPS, _NAME, _NAMESPACE)).get("data", {}))


async def rewrite(world: World, data: dict[str, str]) -> None:
    """Let somebody write into the ConfigMap, in place of all that is there."""
    store = mischief.store(world)
    await store.delete(CONFIGMAPS, _NAME, _NAMESPACE)
    await store.create(CONFIGMAPS, {"metadata": {"name": _NAME}, "data": data}, _NAMESPACE)


def _request(story: Story, session: Session) -> RunRequest:
    signed = LockRequest(cluster=CLUSTER, holder="eva@desk", run=session.run)
    intent = Intent(verb=Verb.CREATE, addons=addons.digests(story.spec))
    return RunRequest(spec=story.spec, intent=intent, lock_request=signed, command="create")


def a_run(number: int) -> PastRun:
    return PastRun(run=f"old{number}", who="eva@desk", began=1e9 + number, command="create", code=0, seconds=1.0)


def test_two_operators_see_each_others_runs() -> None:
    async def tell(story: Story) -> None:
        await story.happens(ServerDeleted(WORKER1))
        await story.create(machine=OperatorMachine("desk"), holder="eva@desk")
        theirs, own = (await history(story.world)).runs
        assert (theirs.who, theirs.command, theirs.code) == ("eva@desk", "create", 0)
        assert (own.who, own.run) == ("somebody@laptop", story.runs[0].session.run)
        assert theirs.began >= own.began + own.seconds
        await story.is_converged(WORKER1)

    played(tell)


def test_a_run_that_changes_nothing_writes_nothing() -> None:
    async def tell(story: Story) -> None:
        before = await entries(story.world)
        assert not invariants.second_run(await story.create(holder="eva@desk"))
        assert await entries(story.world) == before

    played(tell)


def test_a_kubeconfig_alone_is_no_change_of_the_cluster() -> None:
    async def tell(story: Story) -> None:
        done = await story.create(machine=OperatorMachine("desk"))
        assert "WriteKubeconfig" in {verb for verb, _ in done.told.steps}, done.story()
        assert not done.writes[2:], done.writes  # the lock, taken and given back
        assert len((await history(story.world)).runs) == 1

    played(tell)


def test_a_run_that_failed_after_a_change_is_told_with_its_exit_code() -> None:
    async def tell(story: Story) -> None:
        await story.happens(ServerDeleted(WORKER1), ApiFault("error", "POST", "/servers", times=None))
        failed = await story.create()
        assert failed.code is not ExitCode.CONVERGED
        assert (await history(story.world)).runs[0].code == failed.code

    played(tell)


def test_a_run_that_is_interrupted_is_told_as_that() -> None:
    async def tell(story: Story) -> None:
        await story.happens(ServerDeleted(WORKER1))
        session = story.world.session(CLUSTER, machine=OperatorMachine("desk"))
        running = asyncio.ensure_future(converge(_request(story, session), simulated.ports(session), Told(session)))
        await faults.until(lambda: story.world.server(WORKER1) is not None, "the order")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert (await history(story.world)).runs[0].code == ExitCode.INTERRUPTED
        await story.create()
        await story.is_converged(WORKER1)

    played(tell)


class _Buggy(Told):
    """Has a bug of ours, or a full disk."""

    def finished(self, *_: object) -> None:
        raise LookupError("ours")


@pytest.mark.parametrize(
    ("more", "code"), [({}, ExitCode.BUG), ({"code_of": lambda _: ExitCode.USAGE}, ExitCode.USAGE)]
)
def test_what_is_no_error_of_ours_has_the_exit_code_of_the_command(more: dict[str, Any], code: ExitCode) -> None:
    async def tell(story: Story) -> None:
        await story.happens(ServerDeleted(WORKER1))
        session = story.world.session(CLUSTER)
        request = replace(_request(story, session), **more)
        with pytest.raises(LookupError, match="ours"):
            await converge(request, simulated.ports(session), _Buggy(session))
        assert (await history(story.world)).runs[0].code == code

    played(tell)


def test_no_secret_that_is_known_is_noted() -> None:
    async def tell(story: Story) -> None:
        await story.happens(ServerDeleted(WORKER1))
        session = story.world.session(CLUSTER)
        request = replace(_request(story, session), command=f"create --keep {story.spec.hetzner_token.reveal()}")
        await converge(request, simulated.ports(session), Told(session))
        assert (await history(story.world)).runs[0].command == "create --keep ********"

    played(tell)


def test_the_run_that_adopts_a_cluster_notes_nothing_and_later_ones_do() -> None:
    async def tell(story: Story) -> None:
        await as_2x_made_it(story)
        await adopted(story)
        assert not (await history(story.world)).runs
        await story.create()
        await story.happens(ServerDeleted(WORKER1))
        await story.create(holder="eva@desk")
        assert [one.who for one in (await history(story.world)).runs] == ["eva@desk"]

    played(tell, masters=3)


def test_colleagues_who_write_at_once_lose_nothing() -> None:
    async def tell(story: Story) -> None:
        before = len((await history(story.world)).runs)
        ways = [kube_of(story.world) for _ in range(4)]
        await asyncio.gather(*(kube.past_runs(master) for kube, master in ways))  # all connected: they meet
        await asyncio.gather(*(kube.note_run(master, a_run(n)) for n, (kube, master) in enumerate(ways)))
        assert len((await history(story.world)).runs) == before + 4

    played(tell)


def test_whoever_is_always_slower_gives_up() -> None:
    """Somebody else writes between each read and the write after it."""

    async def tell(story: Story) -> None:
        async def meddle() -> None:
            while True:
                await asyncio.sleep(0.001)
                await rewrite(story.world, {})

        kube, master = kube_of(story.world)
        meddling = asyncio.create_task(meddle())
        with pytest.raises(KubeError, match="cannot note this run"):
            await kube.note_run(master, a_run(1))
        meddling.cancel()

    played(tell)


def test_fifty_one_runs_leave_fifty() -> None:
    async def tell(story: Story) -> None:
        data: dict[str, str] = {}
        for number in range(KEPT):
            data |= {key: value for key, value in with_run({}, a_run(number)).items() if value is not None}
        await rewrite(story.world, data)
        await story.happens(ServerDeleted(WORKER1))
        await story.create()
        runs = (await history(story.world)).runs
        assert len(runs) == KEPT
        assert [one.run for one in runs[:2]] == [story.runs[-1].session.run, f"old{KEPT - 1}"]
        assert "old0" not in await entries(story.world)

    played(tell)


def test_noise_in_the_config_map_is_skipped_and_disturbs_no_run() -> None:
    async def tell(story: Story) -> None:
        await rewrite(story.world, {"note": "\x1b[2J", "x": "[" * 9000, "ab": '{"when": 5}'})
        await story.happens(ServerDeleted(WORKER1))
        await story.create()
        told = await history(story.world)
        assert ([one.run for one in told.runs], told.skipped) == ([story.runs[-1].session.run], 2)
        assert {"note", "ab"} <= set(await entries(story.world))
        await story.is_converged(WORKER1)

    played(tell)


def test_a_config_map_that_is_none_harms_no_run() -> None:
    async def tell(story: Story) -> None:
        store = mischief.store(story.world)
        await store.delete(CONFIGMAPS, _NAME, _NAMESPACE)
        await store.create(CONFIGMAPS, {"metadata": {"name": _NAME}, "data": "none"}, _NAMESPACE)
        await story.happens(ServerDeleted(WORKER1))
        await story.create()
        await story.is_converged(WORKER1)
        with pytest.raises(KubeError, match="data is a text, not an object"):
            await history(story.world)

    played(tell)


class _Silent:
    """A cluster that takes no note and does not say so; it knows when it was asked."""

    def __init__(self, kube: Kube) -> None:
        self._kube, self.asked = kube, 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kube, name)

    async def note_run(self, *_: object) -> None:
        self.asked = asyncio.get_running_loop().time()
        await asyncio.sleep(3600)


def test_an_api_that_is_silent_at_the_end_is_waited_for_a_moment_only() -> None:
    async def tell(story: Story) -> None:
        await story.happens(ServerDeleted(WORKER1))
        session = story.world.session(CLUSTER)
        ports = simulated.ports(session)
        silent = _Silent(ports.kube)
        request = _request(story, session)
        assert await converge(request, replace(ports, kube=cast(Kube, silent)), Told(session)) is ExitCode.CONVERGED
        assert silent.asked > 0
        assert asyncio.get_running_loop().time() - silent.asked < 6
        await story.create()
        await story.is_converged(WORKER1)

    played(tell)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_that_dies_beside_its_note_has_done_its_work(moment: str) -> None:
    async def tell(story: Story) -> None:
        await story.happens(ServerDeleted(WORKER1))
        dead = await story.create(kill_at=f"{moment} {_WRITE}")
        assert dead.code is None
        assert (dead.session.run in await entries(story.world)) is (moment == "after")
        await story.create()
        await story.is_converged(WORKER1)

    played(tell)


def test_a_look_at_the_masters_finds_who_to_ask_and_asks_no_worker() -> None:
    async def tell(story: Story) -> None:
        session = story.world.session(CLUSTER)
        state = await observe_masters(simulated.ports(session), story.spec)
        assert set(state.hosts) == {story.world.host(MASTER1).server_id}
        assert set(state.kube) == set(state.hosts)

    played(tell)
