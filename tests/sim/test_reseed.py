"""A birth that begins anew on another seed, killed while it does: the record then names two (scenarios 29 and 74).

Runs of today write the record of a cluster that is not there yet to its first group and its seed; earlier versions
wrote it to network and firewall too, and those are written anew.
"""

from __future__ import annotations

from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.lab.simulated.world import world
from hetzner_k3s.model import naming
from hetzner_k3s.model.errors import ExitCode

from . import invariants, tool
from .clusters import a_spec

_SEED = 1
_AROUND = 12
"""Moments before the record is written whole: it has six carriers here."""


async def _begun_anew(kill_at: int | None) -> tuple[list[str], list[str], bool]:
    """Kill a birth once its seed is recorded, lose that seed, kill the second run too, and let a third one end it.

    Gives the second run's moments, what is broken, and whether the record named two seeds in between.
    """
    spec = a_spec()
    async with world(_SEED) as place:
        first = await tool.create(place, spec, kill_at="after record 'birth opened'")
        assert first.code is None
        group = next(g for g in place.project.placement_groups.values() if naming.LABEL_SEED in g.labels)
        seed = next(s.name for s in place.project.servers.values() if str(s.id) == group.labels[naming.LABEL_SEED])
        for carrier in (*place.project.networks.values(), *place.project.firewalls.values()):
            carrier.labels |= {name: group.labels[name] for name in (naming.LABEL_PHASE, naming.LABEL_SEED)}
        await ServerDeleted(seed).strike(place)
        second = await tool.create(place, spec, kill_at=kill_at)
        project = place.project
        carriers = [*project.placement_groups.values(), *project.networks.values(), *project.firewalls.values()]
        seeds = {c.labels[naming.LABEL_SEED] for c in carriers if naming.LABEL_SEED in c.labels}
        last = second if kill_at is None else await tool.create(place, spec)
        broken = invariants.converged(place, spec) if last.code is ExitCode.CONVERGED else [last.story()]
        broken += [] if len(place.site.births) == 1 else [f"{len(place.site.births)} births"]
        return second.session.moments.passed, broken, len(seeds) > 1


def test_a_birth_begun_anew_and_killed_at_any_moment_is_finished_by_the_next_run() -> None:
    moments, broken, _ = run(_begun_anew(None))
    assert not broken
    halves = 0
    written = moments.index("after record 'birth opened'") + 1
    for kill_at in range(written - _AROUND, written + 3):
        _, broken, half = run(_begun_anew(kill_at))
        assert not broken, f"killed {moments[kill_at - 1]} (moment {kill_at} of seed {_SEED}): {broken}"
        halves += half
    assert halves, "no kill left a record of two seeds, so this test proves nothing"
