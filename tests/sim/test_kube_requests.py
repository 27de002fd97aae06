"""The shipped Kubernetes client on the simulation's network: what is in its way, and where a run can die."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from hetzner_k3s.adapters.kube import K3sApi
from hetzner_k3s.cli import simulated
from hetzner_k3s.lab.simulated.faults import CutOff, SshCut, SshSilent
from hetzner_k3s.lab.simulated.moments import Killed
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.lab.simulated.world import Session
from hetzner_k3s.model.errors import Fate, KubeError
from hetzner_k3s.model.host import HostKeyKind
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.kube import KubeNode, Leaving

from . import mischief
from .clusters import MASTER1, MASTER2, MASTER3, WORKER1, a_spec
from .story import Story, healthy


def played(tell: Callable[[Story, K3sApi, HostTarget, Session], Awaitable[None]], kill_at: str | None = None) -> None:
    """Tell a story to the client of a run that could be killed, with the first master as whom it asks."""

    async def story() -> None:
        async with healthy(1, a_spec(masters=3, workers=1)) as cluster:
            host = cluster.world.host(MASTER1)
            session = cluster.world.session(cluster.spec.name, kill_at=kill_at)
            kube = simulated.ports(session).kube
            assert isinstance(kube, K3sApi)
            keys = {host.disk.host_key: HostKeyKind.FINAL}
            address = host.addresses[-1]
            master = HostTarget(server_id=host.server_id, name=MASTER1, address=address, port=host.ssh_port, keys=keys)
            await tell(cluster, kube, master, session)

    run(story())


async def _node(kube: K3sApi, master: HostTarget) -> KubeNode:
    node = (await kube.view(master)).node(WORKER1)
    assert node is not None
    return node


def test_a_connection_that_is_cut_under_a_request_is_made_again() -> None:
    async def tell(cluster: Story, kube: K3sApi, master: HostTarget, _session: Session) -> None:
        for seconds in (0.02, 0.03, 0.04, 0.05, 0.06):
            await kube.view(master)
            looking = asyncio.create_task(kube.last_heartbeat(master, WORKER1))
            await asyncio.sleep(seconds)
            await cluster.happens(SshCut(MASTER1))
            assert await looking is not None

    played(tell)


def test_a_master_that_falls_silent_is_not_waited_for_without_end() -> None:
    async def tell(cluster: Story, kube: K3sApi, master: HostTarget, _session: Session) -> None:
        assert await kube.view(master)
        await cluster.happens(SshSilent(MASTER1))
        async with asyncio.timeout(15):
            with pytest.raises(KubeError, match="timed out"):
                await kube.view(master)

    played(tell)


def test_an_api_without_a_quorum_ends_a_look_by_the_clients_own_deadline() -> None:
    async def tell(cluster: Story, kube: K3sApi, master: HostTarget, _session: Session) -> None:
        await cluster.happens(CutOff(MASTER2), CutOff(MASTER3))
        began = asyncio.get_running_loop().time()
        with pytest.raises(KubeError):
            await kube.view(master)
        assert asyncio.get_running_loop().time() - began < 12

    played(tell)


def test_an_api_that_starts_is_asked_again_and_its_refusal_may_have_done_something() -> None:
    async def tell(cluster: Story, kube: K3sApi, master: HostTarget, session: Session) -> None:
        server = cluster.world.host(MASTER1).server
        assert server is not None
        server.api_ready = False
        with pytest.raises(KubeError, match="apiserver not ready") as caught:
            await kube.mark_leaving(master, WORKER1, Leaving.CORDONED)
        assert caught.value.fate is Fate.MAY_HAVE_HAPPENED
        assert not session.kube.writes
        server.api_ready = True
        await kube.mark_leaving(master, WORKER1, Leaving.CORDONED)
        assert (await _node(kube, master)).leaving is Leaving.CORDONED
        assert session.kube.writes == [f"PATCH /api/v1/nodes/{WORKER1}"]

    played(tell)


@pytest.mark.parametrize(("moment", "done"), [("before", False), ("after", True)])
def test_a_run_dies_before_or_after_its_write(moment: str, done: bool) -> None:
    async def tell(cluster: Story, kube: K3sApi, master: HostTarget, session: Session) -> None:
        with pytest.raises(Killed):
            await kube.mark_leaving(master, WORKER1, Leaving.CORDONED)
        with pytest.raises(Killed):
            await kube.view(master)
        found = await mischief.node(cluster.world, WORKER1)
        assert bool(found.get("spec", {}).get("unschedulable")) is done

    played(tell, f"{moment} PATCH /api/v1/nodes/{WORKER1}")
