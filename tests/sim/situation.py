"""Situations: what happens to a cluster beside the numbered scenarios, and what its user then does about it.

Each ends with a healthy cluster, by the tool's own work or because its user did what the refusal says they can do, to
the letter: advice that leads nowhere is a bug of the product. Together with the scenarios they show every rule, every
step and every refusal at work (`test_situations.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.model.consents import Consents, Prune
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.plan import Refusal
from hetzner_k3s.model.spec import ClusterSpec

from . import invariants
from .scenario import Collection, End, Happening
from .story import Story
from .tool import Run

PRUNE = Consents.of(Prune())


class Situations(Collection):
    """Situations of one topic, as they are written down."""

    def __init__(self, topic: str) -> None:
        super().__init__()
        self._topic = topic

    def tell(self, name: str, end: End, *, spec: ClusterSpec | None = None) -> Callable[[Happening], Happening]:
        """Write a situation down: what happened, and the refusals on the way; its end is that of the next run."""
        return self.add(self._topic, name, end, spec=spec)


@dataclass(frozen=True)
class Born:
    """The next run ends with a cluster that is up to date, born once, and one after it does nothing."""

    left: tuple[str, ...] = ()

    async def check(self, story: Story, run: Run) -> None:
        """Demand it; `left` are servers of others."""
        assert run.code is ExitCode.CONVERGED, run.story()
        assert len(story.world.site.births) == 1, f"{story.world.site.births}\n{run.story()}"
        for name in self.left:
            await ServerDeleted(name).strike(story.world)
        broken = invariants.converged(story.world, story.spec)
        assert not broken, f"{broken}\n{run.story()}"
        assert not invariants.second_run(await story.create())


@dataclass(frozen=True)
class Pruned:
    """The next run ends with the cluster as the file says, without what was beyond it."""

    gone: tuple[str, ...]
    lost: tuple[str, ...] = ()

    async def check(self, story: Story, run: Run) -> None:
        """Demand it; `lost` are servers that were lost or started anew."""
        assert run.code is ExitCode.CONVERGED, run.story()
        kept = {name: number for name, number in story.before.servers.items() if name not in self.gone}
        story.before = replace(story.before, servers=kept)
        await story.is_converged(*self.lost)


def born(*left: str) -> Born:
    """The next run ends with a new cluster."""
    return Born(left)


def pruned(*gone: str, lost: tuple[str, ...] = ()) -> Pruned:
    """The next run ends with the cluster as the file says, without what was beyond it."""
    return Pruned(gone, lost)


def said(run: Run, code: str, *words: str) -> Refusal:
    """Give a refusal of a run, and demand that its advice holds these words."""
    refusal = next(r for r in run.told.refusals if r.code == code)
    for word in words:
        assert word in refusal.you_can, refusal.you_can
    return refusal


async def gone(story: Story) -> None:
    """Delete the cluster, so that its name is free; from here on births are counted anew."""
    run = await story.delete()
    assert run.code is ExitCode.CONVERGED, run.story()
    assert not story.world.project.servers, run.story()
    story.world.site.births.clear()


def rename(story: Story, kind: str, old: str, new: str) -> None:
    """Rename something at Hetzner."""
    found = next(r for r in getattr(story.world.project, kind).values() if r.name == old)
    body = f'{{"name": "{new}"}}'.encode()
    answer = faults.ask(story.world, "PUT", f"/{kind}/{found.id}", body)
    assert "error" not in answer, answer
