"""The `server:` lines of configurations: each names a living master, or nothing where there is no other one."""

from __future__ import annotations

from hetzner_k3s.lab.simulated.faults import ServerDeleted

from .clusters import MASTER1, MASTER2, MASTER3, WORKER1, WORKER2, a_spec
from .scenario import converges, recovers
from .situation import PRUNE, Situations, pruned
from .story import Story
from .tool import Run

LINES = Situations("lines")
_tell = LINES.tell


def _named_by(story: Story, name: str) -> str | None:
    return story.world.host(name).disk.facts().config_server


def _address(story: Story, name: str) -> str:
    return story.world.host(name).addresses[0]


def _points_to(story: Story, name: str, address: str) -> None:
    story.world.host(name).disk.point_to(f"https://{address}:6443")


@_tell("the-only-master-that-is-left-names-nobody", pruned(MASTER2, MASTER3))
async def _(story: Story) -> Run:
    """Of three masters one is left: a line that names a master that is gone would be a drift for good."""
    assert _named_by(story, MASTER1)
    story.wish(a_spec(1))
    run = await story.create(consents=PRUNE)
    assert _named_by(story, MASTER1) is None, run.story()
    return run


@_tell("workers-named-the-master-that-is-gone", converges(MASTER1))
async def _(story: Story) -> Run:
    """Their agents learned of the others long ago; what they would read at their next start is set right."""
    gone = _address(story, MASTER1)
    for name in (WORKER1, WORKER2):
        _points_to(story, name, "10.0.0.250")
    await story.happens(ServerDeleted(MASTER1))
    run = await story.create()
    living = {f"https://{_address(story, name)}:6443" for name in story.spec.master_names}
    assert {_named_by(story, WORKER1), _named_by(story, WORKER2)} <= living, (gone, run.story())
    return run


@_tell("a-worker-has-the-address-that-is-named", recovers())
async def _(story: Story) -> Run:
    """An address that belongs to a worker now is no master's."""
    _points_to(story, WORKER1, _address(story, WORKER2))
    run = await story.create()
    assert run.told.steps == [("PointWorker", WORKER1)], run.story()
    assert _named_by(story, WORKER1) != f"https://{_address(story, WORKER2)}:6443"
    return run
