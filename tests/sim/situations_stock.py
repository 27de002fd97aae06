"""Servers that Hetzner does not sell: each stops itself, not its neighbours.

See docs/architecture.md#law-12.
"""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.lab.simulated.faults import ApiFault, ServerDeleted
from hetzner_k3s.model import naming
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.spec import ClusterSpec

from . import invariants, mischief
from .clusters import CLUSTER, MASTER1, MASTER2, MASTER3, a_spec
from .scenario import converges
from .situation import Situations, born, gone
from .story import Story
from .tool import Run

STOCK = Situations("stock")
_tell = STOCK.tell

_LOCATIONS = ("fsn1", "hel1", "nbg1", "fsn1", "hel1")
_HEL1_SOLD_OUT = ApiFault("unavailable", location="hel1")


def _spread() -> ClusterSpec:
    spec = a_spec(masters=5, workers=0)
    places = zip(spec.masters, _LOCATIONS, strict=True)
    return replace(spec, masters=tuple(replace(master, location=place) for master, place in places))


def _with_another_pool(spec: ClusterSpec, server_type: str) -> ClusterSpec:
    """Ask for one more worker, of its own pool and type."""
    (pool,) = spec.pools
    worker = replace(pool.workers[0], name=naming.worker_name(CLUSTER, "gpu", 1), instance_type=server_type)
    return replace(spec, pools=(pool, replace(pool, name="gpu", count=1, instance_type=server_type, workers=(worker,))))


def _voters(story: Story) -> int:
    data = invariants.leading_data(story.world)
    assert data is not None
    return len(data.voters)


async def _fails_once(story: Story, *says: str) -> Run:
    """Demand that the next run does all it can, and ends with exit code 1 and these words."""
    run = await story.create()
    assert run.code is ExitCode.FAILED, run.story()
    for words in says:
        assert words in str(run.error), run.story()
    return run


@_tell("a-worker-that-is-sold-out-stops-no-master", converges(MASTER1))
async def _(story: Story) -> None:
    """One run replaces the lost master, and says at its end what could not be bought (shared case 02 b)."""
    sold_out = ApiFault("unavailable", server_type="ccx33")
    await story.happens(ServerDeleted(MASTER1), sold_out)
    story.wish(_with_another_pool(story.spec, "ccx33"))
    await _fails_once(story, "gpu-worker1", "resource_unavailable")
    assert story.world.host(MASTER1).server is not None
    assert _voters(story) == 3
    await story.heals(sold_out)


@_tell("a-type-that-hetzner-does-not-know-stops-no-master", converges(MASTER1))
async def _(story: Story) -> None:
    await story.happens(ServerDeleted(MASTER1))
    right = story.spec
    story.wish(_with_another_pool(right, "ccx99"))
    await _fails_once(story, "does not take the order of", "gpu-worker1", "ccx99")
    assert _voters(story) == 3
    story.wish(right)


@_tell("a-master-that-is-sold-out-does-not-stop-the-next", converges(MASTER2, MASTER3), spec=_spread())
async def _(story: Story) -> None:
    """Two of five are lost: the one that can be bought is back after one run (shared case 02 a)."""
    await story.happens(_HEL1_SOLD_OUT, ServerDeleted(MASTER2), ServerDeleted(MASTER3))
    run = await _fails_once(story, MASTER2, "hel1")
    host = story.world.host(MASTER3)
    assert host.server is not None, run.story()
    assert _voters(story) >= 4, run.story()
    await _fails_once(story, MASTER2, "hel1")
    await story.heals(_HEL1_SOLD_OUT)


@_tell("a-birth-does-not-wait-for-a-worker-that-is-sold-out", born())
async def _(story: Story) -> None:
    sold_out = ApiFault("unavailable", server_type="ccx33")
    await gone(story)
    await story.happens(sold_out)
    story.wish(_with_another_pool(story.spec, "ccx33"))
    run = await _fails_once(story, "gpu-worker1")
    assert _voters(story) == 3, run.story()
    await story.heals(sold_out)


@_tell("a-birth-does-not-wait-for-the-first-master", born())
async def _(story: Story) -> None:
    """The first master is not special: the cluster begins on another one, and the first joins when it is sold again."""
    sold_out = ApiFault("unavailable", location="hel1")
    await gone(story)
    await story.happens(sold_out)
    first, *others = story.spec.masters
    story.wish(replace(story.spec, masters=(replace(first, location="hel1"), *others)))
    run = await _fails_once(story, MASTER1, "hel1")
    assert _voters(story) == 2, run.story()
    await story.heals(sold_out)
    await mischief.servers_run(story.world)
