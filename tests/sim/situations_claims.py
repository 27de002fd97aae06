"""What a Node or a host says of itself, held against Hetzner and the other masters (`decide/view/node_claims.py`)."""

from __future__ import annotations

from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.model.errors import ExitCode

from . import mischief
from .clusters import MASTER2, MASTER3, WORKER1
from .scenario import Told, converges
from .situation import Situations
from .story import Story
from .tool import Run

CLAIMS = Situations("claims")
_tell = CLAIMS.tell


@_tell("a-worker-calls-itself-a-master", converges(MASTER3))
async def _(story: Story) -> None:
    """A kubelet may write its own Node; the repair of a lost master goes on, and nobody is told to delete another."""
    master = story.world.server(MASTER2)
    assert master is not None
    await mischief.claim_server(story.world, WORKER1, master.id)
    await story.happens(ServerDeleted(MASTER3))
    await mischief.election_over(story.world)


@_tell("a-worker-calls-itself-a-server-that-is-no-more", Told())
async def _(story: Story) -> Run:
    """Its Node would have been deleted as a lost machine's; it is named, and let be."""
    node = await mischief.node(story.world, WORKER1)
    await mischief.claim_server(story.world, WORKER1, 99_999_999)
    run = await story.create()
    assert run.code is ExitCode.CONVERGED, run.story()
    assert not run.writes, run.story()
    after = await mischief.node(story.world, WORKER1)
    assert after["metadata"]["uid"] == node["metadata"]["uid"]
    assert any(f"the Node {WORKER1} claims to be of server 99999999" in note for note in run.notes), run.story()
    return run
