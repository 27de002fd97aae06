"""What a scenario is: its number and name, what happens, and how it ends.

See docs/facts/recovery.md#scenarios.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.spec import ClusterSpec

from . import invariants, tool
from .clusters import a_spec
from .story import Story
from .tool import Run

Happening = Callable[[Story], Awaitable[Run | None]]


@dataclass(frozen=True)
class Converges:
    """The next run ends with the cluster as the file says; `lost` are the servers that the story is about."""

    lost: tuple[str, ...] = ()

    async def check(self, story: Story, run: Run) -> None:
        """Demand it."""
        assert run.code is ExitCode.CONVERGED, run.story()
        await story.is_converged(*self.lost)


@dataclass(frozen=True)
class Recovers:
    """The next run ends with the cluster as the file says, on the servers it had; k3s of `touched` was started anew."""

    touched: tuple[str, ...] = ()

    async def check(self, story: Story, run: Run) -> None:
        """Demand it."""
        await Converges(self.touched).check(story, run)
        now = {server.name: server.id for server in story.world.project.servers.values()}
        assert now == story.before.servers, run.story()


@dataclass(frozen=True)
class Refuses:
    """The next run refuses with these codes and changes nothing; `split`: a hand made a second cluster before."""

    codes: tuple[str, ...]
    split: bool = False

    async def check(self, story: Story, run: Run) -> None:
        """Demand it."""
        assert run.code is ExitCode.REFUSED, run.story()
        assert run.refused == self.codes, run.story()
        assert not run.writes, run.story()
        if not self.split:
            assert not invariants.always(story.world, story.before)


@dataclass(frozen=True)
class Fails:
    """The next run fails and says this; nothing is broken by it."""

    says: str

    async def check(self, story: Story, run: Run) -> None:
        """Demand it."""
        assert run.code not in (ExitCode.CONVERGED, None), run.story()
        assert self.says in str(run.error), run.story()
        broken = invariants.always(story.world, story.before)
        assert not broken, f"{broken}\n{run.story()}"


@dataclass(frozen=True)
class Told:
    """The scenario tells and checks its own end."""

    async def check(self, story: Story, run: Run) -> None:
        """Demand nothing more."""


class End(Protocol):
    """How a scenario ends."""

    async def check(self, story: Story, run: Run) -> None:
        """Demand it."""
        ...


@dataclass(frozen=True)
class Scenario:
    """One scenario.

    Args:
        number, name: as in docs/facts/recovery.md#scenarios.
        happens: what happens; gives the run that is looked at, or None to have `create` run.
        end: how it ends.
        spec: the wish.
    """

    number: str
    name: str
    happens: Happening
    end: End
    spec: ClusterSpec = field(default_factory=a_spec)

    @property
    def id(self) -> str:
        """Give the name of its test."""
        return f"{self.number}-{self.name}"

    async def play(self, story: Story) -> None:
        """Let it happen, run the tool, look at the end; where that is a healthy cluster, nothing differs any more."""
        run = await self.happens(story) or await story.create()
        await self.end.check(story, run)
        last = story.runs[-1]
        if last.code is ExitCode.CONVERGED:
            differences = (await tool.plan(story.world, story.spec, last)).differences
            assert not differences, f"{differences}\n{last.story()}"


def converges(*lost: str) -> Converges:
    """The next run ends with the cluster as the file says."""
    return Converges(lost)


def recovers(*touched: str) -> Recovers:
    """The next run ends with the cluster as the file says, on the servers it had."""
    return Recovers(touched)


def refuses(*codes: str, split: bool = False) -> Refuses:
    """The next run refuses with these codes."""
    return Refuses(codes, split)


class Collection:
    """Scenarios as they are written down."""

    def __init__(self) -> None:
        self.scenarios: list[Scenario] = []

    def add(
        self, number: str, name: str, end: End, *, spec: ClusterSpec | None = None
    ) -> Callable[[Happening], Happening]:
        """Write a scenario down; its happening is decorated."""

        def write(happens: Happening) -> Happening:
            self.scenarios.append(Scenario(number, name, happens, end, spec or a_spec()))
            return happens

        return write
