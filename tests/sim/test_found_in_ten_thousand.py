"""What ten thousand storms found, as stories of their own (TRACK_RECORD.md, O13 and on)."""

from __future__ import annotations

import asyncio

from hetzner_k3s.lab.simulated.faults import AddressReused, CutOff, K3sKilled, ServerDeleted
from hetzner_k3s.model.consents import AcceptCa, Consents, Prune, Replace, ResetQuorumFrom
from hetzner_k3s.model.errors import ExitCode

from . import invariants, mischief
from .clusters import MASTER1, MASTER2, MASTER3, WORKER1, a_spec, with_s3
from .killing import killed_at_every_moment
from .scenarios_restore import LATEST, MASTERS, restored_picture, snapshot_now, workers_go_on
from .story import Story, healthy
from .test_found_by_owners import told

_PRUNE = Consents.of(Prune())


def test_masters_that_never_find_a_leader_are_reset_after_they_were_watched() -> None:
    """Enough of them ran for a quorum, so it was said to come back by itself; it did not (O13)."""

    async def happens(story: Story) -> None:
        await story.happens(ServerDeleted(MASTER1), CutOff(MASTER2))
        await story.refuses("quorum.lost")
        cut = await story.create(consents=Consents.of(ResetQuorumFrom(MASTER3)))
        assert "watching for 45 s" in cut.story()
        assert cut.code is ExitCode.FAILED, cut.story()  # master2 cannot join: it is still cut off
        await story.heals(CutOff(MASTER2))
        await asyncio.sleep(60)
        run = await story.create()
        assert run.code is ExitCode.CONVERGED, run.story()
        assert not story.broken(*MASTERS), story.broken(*MASTERS)

    told(happens)


def test_the_node_of_a_lost_worker_beyond_the_file_is_pruned() -> None:
    """Its server was lost before `--prune` came to it (O14)."""

    async def happens(story: Story) -> None:
        story.wish(a_spec(workers=0))
        await story.happens(ServerDeleted(WORKER1))
        run = await story.create(consents=_PRUNE)
        assert run.code is ExitCode.CONVERGED, run.story()
        await story.is_pruned(WORKER1)

    told(happens)


def test_an_agent_that_knows_only_masters_beyond_the_file_is_not_started_anew() -> None:
    """They live until they are pruned, and by then it has learned of the new one (O15)."""

    async def happens(story: Story) -> None:
        story.wish(a_spec(1, 1))
        await story.happens(AddressReused(MASTER1))
        run = await story.create(consents=Consents.of(Prune(), Replace(MASTER1)))
        assert run.code is ExitCode.CONVERGED, run.story()
        await story.heals(AddressReused(MASTER1))
        await story.is_pruned(MASTER1, MASTER2, MASTER3)

    told(happens)


def test_an_agent_still_knows_a_master_that_was_started_anew_when_the_others_are_pruned() -> None:
    """The simulated etcd let the master's entry go with the lease of the k3s that had ended (O19)."""

    async def happens(story: Story) -> None:
        story.wish(a_spec(1, 1))
        story.world.host(WORKER1).disk.point_to(f"https://{story.world.host(MASTER2).addresses[0]}:6443")
        await story.happens(K3sKilled(WORKER1), K3sKilled(MASTER1))
        await asyncio.sleep(60)
        story.before = invariants.picture(story.world)
        run = await story.create(consents=_PRUNE)
        assert run.code is ExitCode.CONVERGED, run.story()
        await story.is_pruned(MASTER2, MASTER3)

    told(happens)


def test_a_snapshot_from_before_a_rotation_of_the_ca_is_restored() -> None:
    """The worker's token pins the CA of before, and so does the snapshot: its owner accepts it again (O16)."""

    async def happens(story: Story) -> None:
        snapshot_now(story)
        before = story.before.ca
        await mischief.rotate_ca(story.world)
        rotated = (await story.create()).told.refusals[0].you_can.partition("--accept-ca ")[2][:8]
        assert (await story.create(consents=Consents.of(AcceptCa(rotated)))).code is ExitCode.CONVERGED
        await story.happens(ServerDeleted(MASTER1), ServerDeleted(MASTER2), ServerDeleted(MASTER3))
        await story.refuses("restore.consent")
        restored = await story.create(consents=LATEST)
        assert restored.refused == ("identity.other",), restored.story()
        assert restored.code is ExitCode.FAILED, "it is not so that nothing was done"
        assert f"--accept-ca {before[:8]}" in restored.told.refusals[0].you_can
        accepted = await story.create(consents=Consents.of(AcceptCa(before[:8])))
        assert accepted.code is ExitCode.CONVERGED, accepted.story()
        restored_picture(story)
        assert not story.broken(*MASTERS), story.broken(*MASTERS)

    told(happens, with_s3(a_spec(workers=1)))


async def _reconnected(kill_at: int | None) -> tuple[list[str], list[str]]:
    """Restore a cluster whose workers know none of its addresses; killed or not, they find it."""
    async with healthy(1, with_s3(a_spec(workers=1))) as story:
        snapshot_now(story)
        await story.happens(*map(AddressReused, MASTERS))
        first = await story.create(kill_at=kill_at, consents=LATEST)
        passed = first.session.moments.passed
        await asyncio.sleep(60)
        last = await story.create()
        if last.code is ExitCode.REFUSED:
            last = await story.create(consents=LATEST)
        broken = [] if last.code is ExitCode.CONVERGED else [last.story()]
        await story.heals(*map(AddressReused, MASTERS))
        restored_picture(story)
        broken += story.broken(*MASTERS)
        return passed, broken if workers_go_on(story) else [*broken, "a worker was made anew"]


def test_a_worker_whose_masters_are_gone_is_reconnected_wherever_the_run_is_killed() -> None:
    """Between its new configuration and its start nobody knew any more that it had to be started (O17)."""
    killed_at_every_moment(_reconnected, seed=1, every=17)
