"""A living cluster of hetzner-k3s 2.x under the name of the file.

See docs/facts/k3s.md#made-by-2x.
"""

from __future__ import annotations

from hetzner_k3s.model.operations.operation import K3sRole

from . import clusters_of_2x, mischief
from .clusters import MASTER1
from .scenario import Told
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
