"""Who answers, and to whom it belongs: kubeconfigs, lineages, a rotated CA, and consents that fit nothing."""

from __future__ import annotations

from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.model import naming
from hetzner_k3s.model.consents import Consents, Keep, Restore
from hetzner_k3s.model.errors import ExitCode

from . import mischief
from .clusters import MASTER1, MASTER3
from .scenario import Told, converges, recovers
from .situation import Situations, born, gone, said
from .story import Story
from .tool import Run

IDENTITY = Situations("identity")
_tell = IDENTITY.tell


@_tell("the-kubeconfig-is-another-cluster's", recovers())
async def _(story: Story) -> None:
    """It is not overwritten; moved away, this cluster's is written."""
    mischief.another_kubeconfig(story.world.laptop)
    said(await story.refuses("kubeconfig.other-cluster"), "kubeconfig.other-cluster", "Move that file away")
    story.world.laptop.kubeconfig = None


@_tell("another-cluster's-kubeconfig-keeps-this-one-from-being-deleted", born())
async def _(story: Story) -> None:
    mischief.another_kubeconfig(story.world.laptop)
    refused = await story.delete()
    assert refused.refused == ("delete.other-cluster",), refused.story()
    assert not refused.writes
    said(refused, "delete.other-cluster", "move the kubeconfig away")
    story.world.laptop.kubeconfig = None
    await gone(story)


@_tell("its-configmap-is-overwritten", recovers())
async def _(story: Story) -> None:
    """A backup of kube-system that is put back brings the ConfigMap of an earlier lineage with it."""
    server = story.world.server(MASTER1)
    assert server is not None
    lineage = server.labels[naming.LABEL_LINEAGE]
    await mischief.overwrite_lineage(story.world, "0123")
    refused = await story.refuses("identity.lineage")
    said(refused, "identity.lineage", "edit configmap hetzner-k3s", f"lineage: {lineage}")
    await mischief.overwrite_lineage(story.world, lineage)


@_tell("a-restore-is-asked-for-while-all-is-well", recovers())
async def _(story: Story) -> None:
    refused = await story.refuses("consent.unfit", consents=Consents.of(Restore("latest")))
    said(refused, "consent.unfit", "Run `create` without it")


@_tell("keeping-a-side-is-cut-off", converges(MASTER3))
async def _(story: Story) -> None:
    """What was stopped for it is not started by itself; here its data may go."""
    await _cut_off(story)
    await story.happens(ServerDeleted(MASTER3))


@_tell("keeping-a-side-is-cut-off-and-asked-for-again", Told())
async def _(story: Story) -> Run:
    digits = await _cut_off(story)
    run = await story.create(consents=Consents.of(Keep(digits)))
    assert run.code is ExitCode.CONVERGED, run.story()
    assert not story.broken(MASTER3), story.broken(MASTER3)
    return run


async def _cut_off(story: Story) -> str:
    """Begin a third of the masters anew by hand, and kill the run that fences it; gives the digits of what stays."""
    await mischief.second_cluster(story.world, MASTER3, keep_tls=False)
    digits = story.before.ca[:8]
    killed = await story.create(consents=Consents.of(Keep(digits)), kill_at=f"after HoldK3s on {MASTER3}")
    assert killed.code is None, killed.story()
    refused = await story.refuses("identity.other", "master.held")
    said(refused, "identity.other", f"--keep {digits}")
    said(refused, "master.held", "delete the server at Hetzner", "If that run was given --keep, give it again")
    return digits
