"""An external database beside scenario 70: killed births, a database of another cluster, one that was emptied."""

from __future__ import annotations

from hetzner_k3s.lab.k3s.trust.bootstrap import File
from hetzner_k3s.lab.k3s.trust.tokens import storage_key
from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.lab.simulated.faults_database import DatabaseEmptied
from hetzner_k3s.lab.simulated.k3s import k3s_files
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.lab.simulated.world import world
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.operations.operation import K3sRole

from . import invariants, tool
from .clusters import ENDPOINT, MASTER1, MASTER2, MASTER3, a_spec, on_database
from .killing import killed_at_every_moment
from .story import healthy

_SEED = 1
_SPEC = on_database(a_spec(2, 1))


async def _birth_killed(kill_at: int | None) -> tuple[list[str], list[str]]:
    async with world(_SEED) as place:
        first = await tool.create(place, _SPEC, kill_at=kill_at)
        if kill_at is not None and (again := await tool.create(place, _SPEC)).code is not ExitCode.CONVERGED:
            return first.session.moments.passed, [again.story()]
        return first.session.moments.passed, invariants.converged(place, _SPEC)


def test_a_birth_in_a_database_killed_at_any_moment_is_finished_by_the_next_run() -> None:
    killed_at_every_moment(_birth_killed, _SEED, every=7)


def test_a_database_that_holds_another_cluster_is_refused_and_left_as_it_was() -> None:
    async def play() -> None:
        async with world(_SEED) as place:
            database = await place.site.database(ENDPOINT).connect()
            sealed = k3s_files.seal({"ServerCA": File(b"of another cluster", 0.0)}, "its password")
            await database.put(storage_key("its password"), sealed, 0)
            first = await tool.create(place, _SPEC)
            assert "encrypted with different token" in str(first.error) or first.refused, first.story()
            again = await tool.create(place, _SPEC)
            assert again.refused == ("datastore.other-token",), again.story()
            assert [e.key for e in (await database.list("/")).entries] == [storage_key("its password")]
            assert not place.site.births

    run(play())


def test_a_cluster_that_began_in_an_emptied_database_is_stopped_at_once() -> None:
    async def play() -> None:
        async with healthy(_SEED, on_database()) as story:
            masters = (MASTER1, MASTER2, MASTER3)
            await story.happens(*(ServerDeleted(name) for name in masters), DatabaseEmptied(ENDPOINT))
            failed = await story.create()
            assert failed.code is ExitCode.FAILED or failed.code is ExitCode.REFUSED, failed.story()
            assert "holds another cluster" in str(failed.error), failed.story()
            units = [
                host.units[K3sRole.SERVER] for host in story.world.site.hosts.values() if K3sRole.SERVER in host.units
            ]
            assert [unit.facts().active for unit in units] == ["inactive"]

    run(play())
