"""What stands on the way to a master's API, and what webhooks there say no to; what a user sees of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from hetzner_k3s.adapters.kube import K3sApi
from hetzner_k3s.lab.k3s.api.resources import SECRETS
from hetzner_k3s.lab.simulated import virtual_time
from hetzner_k3s.lab.simulated.wires.obstacles import Obstacle
from hetzner_k3s.lab.simulated.world import Session
from hetzner_k3s.model.consents import Consents, Prune
from hetzner_k3s.model.errors import DeadlineExceeded, ExitCode, KubeError
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.spec import AddonsSpec, ClusterSpec

from . import mischief, tool, workloads
from .clusters import CLUSTER, MASTER1, MASTER3, WORKER1, WORKER2, a_spec
from .spoiling import Arrives, cut, flooding, page, saying_no, silent, with_fields
from .story import Story, healthy
from .test_kube_requests import played
from .tool import Run

PRUNE = Consents.of(Prune())
NODES = "/api/v1/nodes"
DENIED = "denied by a webhook"


def play(happens: Callable[[Story], Awaitable[None]], spec: ClusterSpec) -> None:
    """Let something happen to a cluster that was initialized."""

    async def tell() -> None:
        async with healthy(1, spec) as story:
            await happens(story)

    virtual_time.run(tell())


def without_worker(*obstacles: Obstacle, then: Callable[[Story, Run], Awaitable[None]]) -> None:
    """Have the file name one worker less than there are, and a pod run on the one that goes."""

    async def happens(story: Story) -> None:
        await workloads.pod(story.world, "web-1", WORKER2)
        story.wish(a_spec(1, 1))
        story.world.obstacles += obstacles
        await then(story, await story.create(consents=PRUNE))

    play(happens, a_spec(1, 2))


async def has_pruned(story: Story, run: Run) -> None:
    assert run.code is ExitCode.CONVERGED, run.story()
    assert await workloads.pods(story.world) == []
    await story.is_pruned(WORKER2)


def stays(words: str) -> Callable[[Story, Run], Awaitable[None]]:
    """Demand that the server stays, and that the user reads why; once the obstacle is gone, the next run goes on."""

    async def then(story: Story, run: Run) -> None:
        assert run.code is ExitCode.FAILED, run.story()
        assert str(run.error) == f"{MASTER1}: cannot {words}"
        assert story.world.server(WORKER2) is not None
        story.world.obstacles.clear()
        await has_pruned(story, await story.create(consents=PRUNE))

    return then


UNREADABLE = (
    (saying_no(401, "Unauthorized"), "Unauthorized"),
    (page(502), "HTTP 502"),
    (cut, "the answer of its API cannot be read: it is no JSON"),
    (silent, "Server disconnected without sending a response"),
    (
        with_fields(lambda told: [node["metadata"].update(creationTimestamp="yesterday") for node in told["items"]]),
        "the answer of its API cannot be read: items[0].metadata.creationTimestamp is no moment",
    ),
)


def test_an_api_that_cannot_be_read_is_waited_for_and_named() -> None:
    async def happens(story: Story) -> None:
        for arrives, words in UNREADABLE:
            story.world.obstacles[:] = [Obstacle(arrives, path=NODES, times=None)]
            (wait,) = (await tool.plan(story.world, story.spec)).waits
            assert wait.otherwise is not None
            assert wait.otherwise.code == "api.down"
            assert f"{MASTER1}: cannot read the cluster: {words})" in wait.otherwise.saw

    play(happens, a_spec(1, 0))


@pytest.mark.parametrize(
    ("arrives", "words"),
    [
        (flooding, "it is longer than 128 MiB"),
        (with_fields(lambda told: told["metadata"].update({"continue": "more"})), "it has more than 200 pages"),
    ],
)
def test_a_list_without_an_end_is_given_up(arrives: Arrives, words: str) -> None:
    async def tell(story: Story, kube: K3sApi, master: HostTarget, _session: Session) -> None:
        story.world.obstacles.append(Obstacle(arrives, path=NODES, times=None))
        with pytest.raises(KubeError, match=f"the answer of its API cannot be read: {words}"):
            await kube.view(master)

    played(tell)


def test_looks_that_are_refused_at_once_after_a_rotation_all_see() -> None:
    """The first reads the kubeconfig of now, which the others use."""

    async def tell(story: Story, kube: K3sApi, master: HostTarget, session: Session) -> None:
        assert await kube.last_heartbeat(master, WORKER1)
        await mischief.rotate_ca(story.world, [MASTER1])
        story.world.obstacles.append(Obstacle(saying_no(401, "Unauthorized"), path="/leases/.*", times=3))
        assert all(await asyncio.gather(*(kube.last_heartbeat(master, WORKER1) for _ in range(3))))
        await kube.close()
        assert await kube.last_heartbeat(master, WORKER1)

    played(tell)


@pytest.mark.parametrize("status", [409, 429])
def test_a_pod_that_does_not_go_yet_is_asked_again(status: int) -> None:
    """409: another pod has its name by now; 429: its budget, or an API that is too busy."""
    obstacle = Obstacle(saying_no(status, "not now"), method="POST", path="/eviction", asks=False, times=2)
    without_worker(obstacle, then=has_pruned)


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("PATCH", f"{NODES}/{WORKER2}", f"cordon Node {WORKER2}"),
        ("POST", "/eviction", "evict default/web-1"),
        ("DELETE", f"{NODES}/{WORKER2}", f"delete Node {WORKER2}"),
    ],
)
def test_a_webhook_that_says_no_keeps_the_server_and_is_named(method: str, path: str, words: str) -> None:
    obstacle = Obstacle(saying_no(403, DENIED), method=method, path=path, asks=False, times=None)
    without_worker(obstacle, then=stays(f"{words}: {DENIED}"))


def test_a_node_whose_deletion_had_no_answer_is_deleted_once() -> None:
    without_worker(Obstacle(page(504), method="DELETE", path=f"{NODES}/{WORKER2}"), then=has_pruned)


def test_a_node_that_is_not_even_being_deleted_keeps_its_server() -> None:
    async def then(story: Story, run: Run) -> None:
        assert run.code is ExitCode.FAILED, run.story()
        assert str(run.error) == (
            f"Node {WORKER2}, kept by finalizers, is still there after 90 s, as {MASTER1} sees it"
        )
        assert story.world.server(WORKER2) is not None

    without_worker(
        Obstacle(saying_no(409, "try again"), method="DELETE", path=f"{NODES}/{WORKER2}", asks=False, times=None),
        then=then,
    )


def test_a_node_that_is_not_being_deleted_keeps_its_finalizers() -> None:
    """Whoever lives on without them keeps its member when it is deleted later."""

    async def tell(story: Story, kube: K3sApi, master: HostTarget, _session: Session) -> None:
        before = await mischief.node(story.world, MASTER3)
        story.world.obstacles.append(
            Obstacle(saying_no(409, "no"), method="DELETE", path=f"{NODES}/{MASTER3}", asks=False, times=None)
        )
        with pytest.raises(DeadlineExceeded, match="kept by finalizers, is still there"):
            await kube.delete_node(master, MASTER3, before["metadata"]["uid"], release=True)
        assert (await mischief.node(story.world, MASTER3))["metadata"]["finalizers"] == before["metadata"]["finalizers"]

    played(tell)


def test_a_pod_without_a_name_keeps_its_server() -> None:
    nameless = with_fields(lambda told: [pod["metadata"].update(name="..") for pod in told["items"]])
    without_worker(
        Obstacle(nameless, path="/api/v1/pods", times=None),
        then=stays("evict default/..: the answer of its API cannot be read: an object has no name"),
    )


@pytest.mark.parametrize("data", [{"token": "%%%", "network": "cHJvZA=="}, {"token": "bm9uZQ=="}])
def test_a_broken_secret_of_the_cloud_controller_is_written_again(data: dict[str, str]) -> None:
    async def happens(story: Story) -> None:
        store = mischief.store(story.world)
        await store.change(SECRETS, "hcloud", "kube-system", lambda old: old | {"data": data})
        run = await story.create()
        assert run.told.steps == [("ApplyAddons", CLUSTER)], run.story()
        await story.is_converged()

    play(happens, a_spec(1, 0))


def without_driver(*obstacles: Obstacle, then: Callable[[Story, Run], Awaitable[None]]) -> None:
    """Have the file switch an add-on off."""

    async def happens(story: Story) -> None:
        story.wish(replace(story.spec, addons=AddonsSpec(csi_driver=False)))
        story.world.obstacles += obstacles
        await then(story, await story.create(consents=PRUNE))

    play(happens, a_spec(1, 0))


@pytest.mark.parametrize(("status", "asks"), [(404, True), (409, False), (504, True)])
def test_a_chart_that_somebody_else_touches_goes_all_the_same(status: int, asks: bool) -> None:
    """404: it went meanwhile; 409: it is another version by now; 504: the answer is lost."""

    async def then(story: Story, run: Run) -> None:
        assert run.told.steps == [("RemoveAddon", "hcloud-csi")], run.story()
        await story.is_converged()

    without_driver(
        Obstacle(saying_no(status, "no"), method="DELETE", path="/helmcharts/hcloud-csi", asks=asks), then=then
    )


def test_a_chart_that_is_another_by_now_stays() -> None:
    async def tell(_story: Story, kube: K3sApi, master: HostTarget, session: Session) -> None:
        await kube.remove_chart(master, "hcloud-csi", "digest-of-before")
        assert "hcloud-csi" in (await kube.view(master)).addons
        assert not session.kube.writes

    played(tell)


def test_a_chart_that_may_not_go_is_named() -> None:
    async def then(story: Story, run: Run) -> None:
        assert (run.code, str(run.error)) == (
            ExitCode.FAILED,
            f"{MASTER1}: cannot delete HelmChart hcloud-csi: {DENIED}",
        )
        story.world.obstacles.clear()
        await story.create(consents=PRUNE)
        await story.is_converged()

    without_driver(
        Obstacle(saying_no(403, DENIED), method="DELETE", path="/helmcharts/.*", asks=False, times=None), then=then
    )
