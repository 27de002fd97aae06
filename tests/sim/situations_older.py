"""A living cluster of hetzner-k3s 2.x under the name of the file.

See docs/facts/k3s.md#made-by-2x.
"""

from __future__ import annotations

from hetzner_k3s.lab.simulated.faults import SshSilent
from hetzner_k3s.model.consents import ROLLOUT_ADDONS, Adopt, Consents, Rollout
from hetzner_k3s.model.operations.operation import K3sRole

from . import clusters_of_2x, mischief
from .clusters import MASTER1, WORKER1
from .scenario import Told, converges
from .situation import Situations, said
from .story import Story
from .tool import Run

OLDER = Situations("older")
_tell = OLDER.tell


@_tell("the-cluster-is-of-hetzner-k3s-2", Told())
async def _(story: Story) -> Run:
    """It is called what it is; nothing is written anywhere, and nobody is told to delete a living master."""
    await clusters_of_2x.as_2x_made_it(story)
    run = await story.refuses("cluster.of-2x")
    refusal = said(run, "cluster.of-2x", "hetzner-k3s 2.x", "delete none of its servers")
    assert f"{MASTER1} " in refusal.saw
    assert all(h.units[K3sRole.SERVER].facts().active == "active" for h in mischief.masters(story.world))
    return run


@_tell("a-cluster-of-hetzner-k3s-2-is-adopted", converges())
async def _(story: Story) -> Run:
    """A worker that was off is recorded by the same flag later; then the cluster is one like any other.

    Each time at the first try: a step that fails is begun once more, and what it learned before may hide the failure.
    """
    await clusters_of_2x.as_2x_made_it(story)
    adopting = Consents.of(Adopt(clusters_of_2x.ca8(story.world)))
    before = clusters_of_2x.disks(story.world)
    await story.happens(SshSilent(WORKER1))
    first = await story.create(consents=adopting)
    await story.heals(SshSilent(WORKER1))
    rest = await story.create(consents=adopting)
    for run in (first, rest):
        assert run.told.steps == [("AdoptCluster", story.spec.name)], run.story()
    assert clusters_of_2x.disks(story.world) == before
    return await story.create()


@_tell("the-add-ons-of-hetzner-k3s-2-make-room-for-charts", converges())
async def _(story: Story) -> Run:
    """One after the other, asked for; the second run has nothing to do."""
    await clusters_of_2x.as_2x_made_it(story)
    for consents in (Consents.of(Adopt(clusters_of_2x.ca8(story.world))), Consents()):
        await story.create(consents=consents)
    asked = Consents.of(Rollout(ROLLOUT_ADDONS))
    run = await story.create(consents=asked)
    assert [verb for verb, _ in run.told.steps] == ["TakeOverAddon"] * 2, run.story()
    return await story.create(consents=asked)
