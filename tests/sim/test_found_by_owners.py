"""What storms found when their owner did what a refusal says, as stories of their own (TRACK_RECORD.md, O1 and on)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from hetzner_k3s.lab.k3s.trust import tokens
from hetzner_k3s.lab.simulated.faults import CutOff, DatabaseDeleted, Rebuilt, ServerDeleted, until
from hetzner_k3s.lab.simulated.faults_k3s import TokenRotated
from hetzner_k3s.lab.simulated.hosts import config_file
from hetzner_k3s.lab.simulated.k3s import saving
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.lab.simulated.world import World
from hetzner_k3s.model import naming
from hetzner_k3s.model.consents import AcceptCa, Consents, NewClusterOver, Prune, ResetQuorumFrom, Restore
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.spec import ClusterSpec

from . import invariants, mischief, owner
from .clusters import MASTER1, MASTER2, MASTER3, WORKER1, a_spec, with_s3
from .story import Story, healthy
from .strikes import CaRotated, ResetByHand, SecondCluster


def told(happens: Callable[[Story], Awaitable[None]], spec: ClusterSpec | None = None) -> None:
    """Tell what happens to a healthy cluster."""

    async def whole() -> None:
        async with healthy(7, spec or a_spec(workers=1)) as story:
            await happens(story)

    run(whole())


def test_an_emptied_master_that_joins_a_reset_cluster_by_itself_is_taken_for_one_of_it() -> None:
    """Its k3s waited for a quorum: the reset had two members, and one was labelled with the past (O1, O2)."""

    async def happens(story: Story) -> None:
        await story.happens(DatabaseDeleted(MASTER3), ServerDeleted(MASTER2))
        assert (await story.create()).refused == ("quorum.lost",)
        await _to_the_end(story, Consents.of(ResetQuorumFrom(MASTER1)))
        assert not story.broken(MASTER1, MASTER2, MASTER3)
        assert not invariants.lineage_known(story.world, story.spec)

    told(happens)


def test_a_label_of_the_past_on_a_master_that_joined_is_corrected() -> None:
    """Whoever joins by itself keeps the label it had; it is in the member list that lives (O2)."""

    async def happens(story: Story) -> None:
        await story.happens(ServerDeleted(MASTER1), ServerDeleted(MASTER2))
        assert (await story.create(consents=Consents.of(ResetQuorumFrom(MASTER3)))).code is ExitCode.CONVERGED
        server = story.world.server(MASTER1)
        parent = server.labels[naming.LABEL_PARENT] if server else ""
        mischief.with_labels(story.world, MASTER1, {naming.LABEL_LINEAGE: parent})
        again = await story.create()
        assert again.code is ExitCode.CONVERGED, again.story()
        assert not invariants.lineage_known(story.world, story.spec)

    told(happens)


def test_masters_that_were_all_rebuilt_are_not_taken_for_a_restored_cluster() -> None:
    """`--restore` ended with exit 0 and did nothing: none of them could be prepared (O3)."""

    async def happens(story: Story) -> None:
        server = mischief.leading(story.world)
        saving.save(server, config_file.flags("server", server.disk.config), saving.SCHEDULED)
        await story.happens(Rebuilt(MASTER1), Rebuilt(MASTER2), Rebuilt(MASTER3))
        latest = Consents.of(Restore("latest"))
        refused = await story.create(consents=latest)
        assert refused.refused == ("master.rebuilt",), refused.story()
        await _follows(story, "delete server")
        await _to_the_end(story, latest)
        assert invariants.leading_data(story.world) is not None

    told(happens, with_s3(a_spec(workers=1)))


def test_a_cluster_that_is_given_up_leaves_no_rebuilt_master_in_the_way() -> None:
    """Its refusal said to delete no server (O4)."""

    async def happens(story: Story) -> None:
        await story.happens(Rebuilt(MASTER1))
        over = Consents.of(NewClusterOver(story.before.ca[:8]))
        assert (await story.create(consents=over)).refused == ("master.rebuilt",)
        await _follows(story, "delete server")
        ended = await story.create()
        assert ended.code is ExitCode.CONVERGED, ended.story()
        assert len(story.world.site.births) == story.before.births + 1

    told(happens, a_spec(1, 0))


def test_another_cluster_beside_a_lost_quorum_can_be_left_behind() -> None:
    """The recorded one tells no UID without a quorum, so no digits keep it; the refusal led nowhere (O5)."""

    async def happens(story: Story) -> None:
        await story.happens(SecondCluster(MASTER2, keep_tls=False), ServerDeleted(MASTER1))
        await asyncio.sleep(60)
        assert "identity.other" in (await story.create()).refused
        await _follows(story, "delete server")
        assert (await story.create()).refused == ("quorum.lost",)
        await _to_the_end(story, Consents.of(ResetQuorumFrom(MASTER3)))
        assert not story.broken(MASTER1, MASTER2, MASTER3)

    told(happens)


def test_a_worker_follows_a_rotated_ca_without_its_owner() -> None:
    """A restart alone would wait for ever over the hash of the old CA in its token (situation its-ca-is-rotated)."""

    async def happens(story: Story) -> None:
        await story.happens(CaRotated())
        ca = tokens.ca_hash(story.world.host(MASTER1).disk.server_ca or b"")
        assert (await story.create(consents=Consents.of(AcceptCa(ca[:8])))).code is ExitCode.CONVERGED
        mischief.restart_worker(story.world, WORKER1)
        await asyncio.sleep(60)
        assert (await story.create()).code is ExitCode.CONVERGED
        assert tokens.ca_hash(story.world.host(WORKER1).disk.agent_ca or b"") == ca

    told(happens)


def test_a_joiner_that_waits_for_a_removed_master_is_led_to_the_living_one() -> None:
    """k3s reads `server:` at its start only, and the other removed master still answers (O6)."""

    async def happens(story: Story) -> None:
        by_hand = ResetByHand(MASTER3)
        await story.happens(by_hand)
        await story.heals(by_hand)
        await asyncio.sleep(60)
        ended = await story.create()
        assert ended.code is ExitCode.CONVERGED, ended.story()

    told(happens)


def test_a_worker_that_waits_with_an_earlier_token_is_started_with_the_new_one() -> None:
    """It was cut off when it was to join, and meanwhile the token was rotated (O7)."""

    async def happens(story: Story) -> None:
        await story.happens(ServerDeleted(WORKER1))
        cut = ServerMadeAndCutOff(WORKER1)
        cutting = asyncio.ensure_future(cut.strike(story.world))
        await story.create(kill_at=f"after StartK3s on {WORKER1}")
        await cutting
        rotation = TokenRotated(MASTER1)
        await story.happens(rotation)
        await story.heals(rotation, cut)
        ended = await story.create()
        assert ended.code is ExitCode.CONVERGED, ended.story()

    told(happens)


@dataclass(frozen=True)
class ServerMadeAndCutOff:
    """A server reaches no other one from its first moment on."""

    name: str

    async def strike(self, world: World) -> None:
        """Wait for it, and cut it off."""
        await until(lambda: CutOff(self.name).possible(world), self.name)
        await CutOff(self.name).strike(world)

    async def heal(self, world: World) -> None:
        """Connect it."""
        await CutOff(self.name).heal(world)

    def possible(self, world: World) -> bool:  # noqa: ARG002
        """Tell that it is."""
        return True


def test_a_rebuilt_master_beyond_the_file_is_left_alone_until_it_is_to_go() -> None:
    """Every run waited for a host key that nobody gave it (O8)."""

    async def happens(story: Story) -> None:
        story.wish(a_spec(1, 1))
        await story.happens(Rebuilt(MASTER3))
        await asyncio.sleep(60)
        left = await story.create()
        assert left.code is ExitCode.CONVERGED, left.story()
        prune = Consents.of(Prune())
        refused = await story.create(consents=prune)
        assert refused.refused == ("surplus.unwell",), refused.story()
        await _follows(story, "delete server")
        ended = await story.create(consents=prune)
        assert ended.code is ExitCode.CONVERGED, ended.story()
        await story.is_pruned(MASTER2, MASTER3)

    told(happens)


async def _to_the_end(story: Story, consents: Consents) -> None:
    """Run with a consent; where more has to be done than was shown, as the tool then says, run again."""
    first = await story.create(consents=consents)
    assert first.code in {ExitCode.CONVERGED, ExitCode.FAILED}, first.story()
    if first.code is ExitCode.FAILED:
        assert "than was shown" in str(first.error), first.story()
        again = await story.create()
        assert again.code is ExitCode.CONVERGED, again.story()


async def _follows(story: Story, deed: str) -> None:
    """Do by hand what the last refusal says."""
    answer = next(a for a in owner.answers(story.runs[-1].told.refusals) if a.flag == deed)
    await owner.do(story.world, answer)


def test_nothing_goes_on_from_the_data_of_a_member_that_was_removed() -> None:
    """A prune was killed after it had removed a member, then the only master that was left was lost (O10)."""

    async def happens(story: Story) -> None:
        host = story.world.host(MASTER2)
        await mischief.remove_member(story.world, MASTER2)
        await until(lambda: host.disk.tombstone, "the tombstone")
        await story.happens(ServerDeleted(MASTER1), ServerDeleted(MASTER3))
        run = await story.create()
        assert run.refused == ("masters.none-healthy",), run.story()
        assert f"{MASTER2}: removed from the cluster" in run.story()
        await story.happens(ServerDeleted(MASTER2))
        run = await story.create()
        assert run.refused == ("masters.all-lost",), run.story()

    told(happens)
