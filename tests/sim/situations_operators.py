"""Who operates the cluster, and from where: another operator's token, a machine whose clock is wrong."""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.lab.k3s.api.resources import SECRETS
from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.lab.simulated.operator_machine import OperatorMachine
from hetzner_k3s.lab.simulated.world import TOKEN
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.secrets import Secret

from . import invariants, mischief
from .clusters import MASTER1, MASTER2, WORKER1
from .scenario import Told, converges
from .situation import Situations, said
from .story import Story
from .tool import Run

OPERATORS = Situations("operators")
_tell = OPERATORS.tell

_COLLEAGUES = "token-of-a-colleague"
_NINETY_SECONDS, _A_DAY = 90.0, 86_400.0


async def _as_colleague(story: Story) -> Run:
    """Run `create` as a colleague does: with a token of his own, on a machine that has the kubeconfig by now."""
    own = story.spec
    story.wish(replace(own, hetzner_token=Secret(_COLLEAGUES)))
    run = await story.create(token=_COLLEAGUES)
    story.wish(own)
    return run


@_tell("two-operators-with-tokens-of-their-own-leave-each-others", Told())
async def _(story: Story) -> Run:
    """Each run wrote its own token over the other's, for ever; one that opens nothing any more is replaced."""
    story.world.cloud.grant(_COLLEAGUES, "main")
    for _ in range(2):
        assert not invariants.second_run(await story.create())
        theirs = await _as_colleague(story)
        assert not invariants.second_run(theirs), theirs.story()
        assert any("applied by somebody@laptop" in note for note in theirs.notes), theirs.notes
    story.world.cloud.revoke(TOKEN)
    run = await _as_colleague(story)
    assert [verb for verb, _ in run.told.steps] == ["ApplyAddons"], run.story()
    assert not invariants.second_run(await _as_colleague(story))
    return run


@_tell("a-deleted-secret-of-the-cloud-controller-comes-back", converges())
async def _(story: Story) -> None:
    """What the note about a colleague's token advises leads to this file's."""
    await mischief.store(story.world).delete(SECRETS, "hcloud", "kube-system")


@_tell("a-master-is-replaced-from-a-machine-ninety-seconds-behind", converges(MASTER1))
async def _(story: Story) -> Run:
    """It stopped halfway each time with exit 1: a join that no plan had shown."""
    await story.happens(ServerDeleted(MASTER1))
    return await story.create(skew=-_NINETY_SECONDS)


@_tell("a-worker-is-replaced-from-a-machine-ninety-seconds-ahead", converges(WORKER1))
async def _(story: Story) -> Run:
    await story.happens(ServerDeleted(WORKER1))
    return await story.create(skew=_NINETY_SECONDS)


@_tell("a-machine-whose-clock-is-a-day-behind-begins-nothing", converges(MASTER2))
async def _(story: Story) -> None:
    """k3s was installed, then the API seemed to be down, and the advice was to restart masters."""
    await story.happens(ServerDeleted(MASTER2))
    await mischief.election_over(story.world)
    run = await story.create(skew=-_A_DAY)
    assert run.code is ExitCode.REFUSED, run.story()
    assert run.refused == ("clock.own",), run.story()
    assert not run.writes, run.story()
    refused = said(run, "clock.own", "Set this machine's clock right")
    assert refused.saw.count("UTC") == 2, refused.saw


@_tell("a-cluster-is-born-from-a-machine-ninety-seconds-behind", Told())
async def _(story: Story) -> Run:
    run = await story.delete()
    assert run.code is ExitCode.CONVERGED, run.story()
    story.world.site.births.clear()
    late = OperatorMachine("late")
    run = await story.create(skew=-_NINETY_SECONDS, machine=late)
    assert run.code is ExitCode.CONVERGED, run.story()
    assert not invariants.second_run(await story.create(machine=late))
    return run
