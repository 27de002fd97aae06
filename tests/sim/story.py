"""A cluster that was initialized and is at rest, ready for something to happen to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from tests.decide.agreement import contradictions

from hetzner_k3s.lab.k3s.api.resources import CONFIGMAPS
from hetzner_k3s.lab.simulated.faults import Fault
from hetzner_k3s.lab.simulated.operator_machine import OperatorMachine
from hetzner_k3s.lab.simulated.world import World, world
from hetzner_k3s.model import naming
from hetzner_k3s.model.consents import Consents
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.spec import ClusterSpec

from . import invariants, tool
from .clusters import a_spec
from .invariants import Picture
from .tool import Run

_REST = 45.0
"""Virtual seconds after which a new cluster's leases, conditions and provider ids have come."""
_USER_OBJECTS = 5


@dataclass
class Story:
    """What happens to one cluster: the world, the wish, how it was before, and every run so far."""

    world: World
    spec: ClusterSpec
    before: Picture
    runs: list[Run] = field(default_factory=list)

    @property
    def begun_on(self) -> str:
        """Name the master that is recorded as the one that the cluster began on."""
        labels = [group.labels.get(naming.LABEL_SEED) for group in self.world.project.placement_groups.values()]
        return next(s.name for s in self.world.project.servers.values() if str(s.id) in labels)

    async def happens(self, *faults: Fault) -> None:
        """Let faults strike, one after another."""
        for fault in faults:
            assert fault.possible(self.world), f"{fault} cannot happen"
            await fault.strike(self.world)

    async def heals(self, *faults: Fault) -> None:
        """Let faults heal."""
        for fault in faults:
            await fault.heal(self.world)

    async def create(
        self,
        *,
        kill_at: int | str | None = None,
        machine: OperatorMachine | None = None,
        token: str | None = None,
        consents: Consents = tool.NONE_GIVEN,
        skew: float = 0.0,
        holder: str = "somebody@laptop",
    ) -> Run:
        """Run `create`, on a machine whose clock is ahead by `skew` seconds, as whom `holder` says."""
        more = {} if token is None else {"token": token}
        run = await tool.create(
            self.world,
            self.spec,
            kill_at=kill_at,
            machine=machine,
            consents=consents,
            skew=skew,
            holder=holder,
            **more,
        )
        self.runs.append(run)
        assert not contradictions(run.told.refusals), run.story()
        return run

    async def delete(self, *, kill_at: int | str | None = None, consents: Consents = tool.NONE_GIVEN) -> Run:
        """Run `delete`, agreed to."""
        run = await tool.delete(self.world, self.spec, kill_at=kill_at, consents=consents)
        self.runs.append(run)
        return run

    async def refuses(self, *codes: str, consents: Consents = tool.NONE_GIVEN) -> Run:
        """Demand that the next run refuses with these codes and changes nothing."""
        run = await self.create(consents=consents)
        assert run.code is ExitCode.REFUSED, run.story()
        assert run.refused == codes, run.story()
        assert not run.writes, run.story()
        return run

    def wish(self, spec: ClusterSpec) -> None:
        """Change the file."""
        self.spec = spec

    def broken(self, *lost: str) -> list[str]:
        """Name the invariants that a converged cluster breaks now."""
        broken = invariants.converged(self.world, self.spec, self.before, lost=lost)
        broken += invariants.snapshot_first(self.world, self.runs)
        return broken + invariants.secrets_kept(self.world, self.runs)

    async def is_converged(self, *lost: str) -> None:
        """Demand a cluster that is up to date, with nothing lost, and a next run that does nothing.

        `lost` names the servers whose loss the story is about.
        """
        assert self.runs[-1].code is ExitCode.CONVERGED, self.runs[-1].story()
        assert not self.broken(*lost), f"{self.broken(*lost)}\n{self.runs[-1].story()}"
        assert not invariants.second_run(await self.create())

    async def is_pruned(self, *gone: str) -> None:
        """Demand a cluster that is up to date, without those that were beyond it and whose names are given."""
        left = {name: number for name, number in self.before.servers.items() if name not in gone}
        self.before = replace(self.before, servers=left)
        await self.is_converged()


@asynccontextmanager
async def healthy(seed: int, spec: ClusterSpec | None = None) -> AsyncIterator[Story]:
    """Give birth to a cluster, put some of a user's objects into it, and let it come to rest."""
    spec = spec or a_spec()
    async with world(seed) as place:
        birth = await tool.create(place, spec)
        assert birth.code is ExitCode.CONVERGED, birth.story()
        await asyncio.sleep(_REST)
        await write_user_objects(place)
        yield Story(place, spec, invariants.picture(place), [birth])
        place.check()


async def write_user_objects(place: World) -> None:
    """Write what a user would miss."""
    store = next(h.server.store for h in place.site.hosts.values() if h.server and h.server.store)
    for number in range(_USER_OBJECTS):
        body = {"metadata": {"name": f"note-{number}"}, "data": {"text": json.dumps(f"kept {number}")}}
        await store.create(CONFIGMAPS, body, "default")


async def write_user_object(story: Story, name: str) -> None:
    """Write one more object, which must not be lost from now on."""
    servers = [host.server for host in story.world.site.hosts.values()]
    leading = next(s for s in servers if s and s.etcd and s.etcd.leads)
    assert leading.store is not None
    await leading.store.create(CONFIGMAPS, {"metadata": {"name": name}, "data": {"text": "kept"}}, "default")
    story.before = replace(invariants.picture(story.world), starts=story.before.starts, births=story.before.births)


def with_version(spec: ClusterSpec, version: str) -> ClusterSpec:
    """Ask for another k3s version."""
    return replace(spec, k3s_version=type(spec.k3s_version).parse(version))
