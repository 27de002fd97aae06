"""How quick the simulation is: told, not asserted, since machines that run tests are shared."""

from __future__ import annotations

import time

from tests.conftest import Tell

from hetzner_k3s.cli import simulated
from hetzner_k3s.lab.k3s.api.resources import NODES
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.lab.simulated.world import world
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.plan import Verb
from hetzner_k3s.observe import observe

from . import mischief, tool
from .clusters import WORKER1, a_spec
from .story import healthy


def test_a_whole_create_waits_in_virtual_time_only(tell: Tell) -> None:
    async def create() -> tuple[ExitCode | None, float]:
        async with world(1) as place:
            made = await tool.create(place, a_spec(masters=3, workers=2))
            return made.code, place.clock.monotonic()

    began = time.process_time()
    code, virtual = run(create())
    tell(f"create 3+2 in the simulation: {time.process_time() - began:.2f} s for {virtual:.0f} s of virtual time")
    assert code is ExitCode.CONVERGED
    assert virtual > 60


def test_a_look_at_a_thousand_nodes_is_a_matter_of_a_second(tell: Tell) -> None:
    """All of it through the shipped client: rendered to JSON by the lab, parsed and typed by the product."""

    async def look() -> tuple[int, float]:
        async with healthy(1, a_spec(masters=3, workers=1)) as story:
            worker = await mischief.node(story.world, WORKER1)
            for number in range(1000):
                metadata = worker["metadata"] | {"name": f"more{number}", "annotations": {}}
                await mischief.store(story.world).create(NODES, worker | {"metadata": metadata})
            ports = simulated.ports(story.world.session(story.spec.name))
            began = time.process_time()
            state = await observe(ports, story.spec, Verb.CREATE)
            views = [view for key in state.kube if (view := state.kube_of(key)) is not None]
            return len(views[0].nodes), time.process_time() - began

    nodes, seconds = run(look())
    tell(f"a look at {nodes} Nodes: {seconds:.2f} s (budget of a look and a plan: 2 s)")
    assert nodes == 1004
