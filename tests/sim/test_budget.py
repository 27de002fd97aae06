"""A step that has no effect is not repeated for ever."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from hetzner_k3s import addons
from hetzner_k3s.act.setbacks import REPETITIONS
from hetzner_k3s.cli import simulated
from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.plan import Intent, Verb
from hetzner_k3s.ports import Kube

from . import story, tool
from .clusters import WORKER1, a_spec


class _KeepsNodes:
    """The Kubernetes API of a cluster in which something brings back every Node at once."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kube, name)

    async def delete_node(self, *_: object, **__: object) -> None: ...

    async def delete_node_password(self, *_: object) -> None: ...


def test_a_node_that_comes_back_again_and_again_ends_the_run() -> None:
    async def tell() -> None:
        async with story.healthy(7, a_spec(workers=1)) as cluster:
            await cluster.happens(ServerDeleted(WORKER1))
            session = cluster.world.session(cluster.spec.name)
            ports = simulated.ports(session)
            stubborn = replace(ports, kube=cast(Kube, _KeepsNodes(ports.kube)))
            intent = Intent(verb=Verb.CREATE, addons=addons.digests(cluster.spec))
            ended = await tool.run(cluster.world, cluster.spec, intent, session, stubborn)
            assert ended.code is ExitCode.FAILED, ended.story()
            assert f"delete Node of {WORKER1}: done {REPETITIONS} times" in str(ended.error)
            assert ended.told.steps.count(("DeleteNode", WORKER1)) == REPETITIONS

    run(tell())
