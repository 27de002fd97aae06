"""A restore without S3: from a backup, from a snapshot file, and from the disk of a master whose database is gone."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from hetzner_k3s.lab.k3s.trust import tokens
from hetzner_k3s.lab.simulated.faults import SshSilent
from hetzner_k3s.lab.simulated.hosts import snapshot_files
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.spec import ClusterSpec

from . import tokens_at_hand
from .clusters import MASTER1, MASTER2, MASTER3, a_spec, with_s3
from .files import FROM_PATH, back_up, lose_databases, name_file, save_on
from .scenarios_restore import LATEST, MASTERS, lose_all, restored_picture, workers_go_on, write_later
from .story import Story, healthy

_SEED = 5
_EVERY = 9
"""Of the moments of a restore every so-manieth is tried."""


async def is_restored(story: Story, *masters: str) -> list[str]:
    """Say what is not as before the loss; the workers were never made anew."""
    restored_picture(story)
    broken = story.broken(*masters)
    return broken if workers_go_on(story) else [*broken, "a worker was made anew"]


def test_all_masters_come_back_from_a_backup() -> None:
    async def play() -> None:
        async with healthy(_SEED, a_spec()) as story:
            await back_up(story)
            await lose_all(story)
            told = await story.create(consents=FROM_PATH)
            assert told.code is ExitCode.CONVERGED, told.story()
            assert not await is_restored(story, *MASTERS)
            await story.is_converged(*MASTERS)

    run(play())


@pytest.mark.parametrize("workers", [0, 2])
def test_a_single_master_comes_back_from_a_backup(workers: int) -> None:
    async def play() -> None:
        async with healthy(_SEED, with_s3(a_spec(1, workers))) as story:
            await back_up(story)
            story.world.site.bucket.down = True
            await lose_all(story, MASTER1)
            told = await story.create(consents=FROM_PATH)
            assert told.code is ExitCode.CONVERGED, told.story()
            given = story.world.laptop.snapshot
            assert given is not None
            assert f"kept-{given[0].name}" in story.world.host(MASTER1).disk.snapshots

    run(play())


def test_a_single_master_whose_database_was_deleted_comes_back_from_its_own_disk() -> None:
    async def play() -> None:
        async with healthy(_SEED, a_spec(1)) as story:
            name = save_on(story, MASTER1)
            await write_later(story)
            await lose_databases(story, MASTER1)
            asked = await story.create()
            assert asked.refused == ("restore.consent",), asked.story()
            assert name in asked.told.refusals[0].saw
            assert MASTER1 in asked.told.refusals[0].saw
            told = await story.create(consents=LATEST)
            assert told.code is ExitCode.CONVERGED, told.story()
            assert {name, f"kept-{name}"} <= story.world.host(MASTER1).disk.snapshots.keys()
            assert not await is_restored(story, MASTER1)

    run(play())


def test_a_snapshot_of_an_earlier_server_is_restored_where_it_was_laid() -> None:
    """Its Node still names the server that was lost before: the master is recorded as a member anew."""

    async def play() -> None:
        async with healthy(_SEED, a_spec(1)) as story:
            await back_up(story)
            await lose_all(story, MASTER1)
            assert (await story.create(consents=FROM_PATH)).code is ExitCode.CONVERGED
            await lose_databases(story, MASTER1)
            story.world.laptop.snapshot = None
            told = await story.create(consents=LATEST)
            assert told.code is ExitCode.CONVERGED, told.story()
            restored_picture(story)
            await story.is_converged(MASTER1)

    run(play())


def test_three_masters_whose_databases_were_deleted_come_back_from_the_newest_snapshot_on_any_disk() -> None:
    async def play() -> None:
        async with healthy(_SEED) as story:
            save_on(story, MASTER1)
            await asyncio.sleep(60.0)
            newest = save_on(story, MASTER2)
            await write_later(story)
            await lose_databases(story, *MASTERS)
            told = await story.create(consents=LATEST)
            assert told.code is ExitCode.CONVERGED, told.story()
            assert f"kept-{newest}" in story.world.host(MASTER2).disk.snapshots
            assert not await is_restored(story, *MASTERS)
            await story.is_converged(*MASTERS)

    run(play())


def test_a_master_that_may_hold_data_forbids_a_restore_from_a_file() -> None:
    async def play() -> None:
        async with healthy(_SEED) as story:
            await back_up(story)
            await lose_all(story, MASTER1, MASTER2)
            await story.happens(SshSilent(MASTER3))
            told = await story.create(consents=FROM_PATH)
            assert told.code is ExitCode.REFUSED, told.story()
            assert "consent.unfit" in told.refused
            assert not told.writes

    run(play())


def _foreign(story: Story) -> None:
    """Let the file be of another cluster."""
    assert story.world.laptop.snapshot is not None
    file, content = story.world.laptop.snapshot
    uid = "0" * 8
    story.world.laptop.snapshot = (replace(file, cluster_uid=f"{uid}{(file.cluster_uid or '')[8:]}"), content)


def _damaged(story: Story) -> None:
    """Cut the file's end off."""
    assert story.world.laptop.snapshot is not None
    file, content = story.world.laptop.snapshot
    name_file(story, file.name, content[:-100])


def _without_token(story: Story) -> None:
    story.world.laptop.tokens = []
    tokens_at_hand.laptop_lost(story.world)


@pytest.mark.parametrize(
    ("mischance", "code"),
    [(_foreign, "consent.unfit"), (_damaged, "consent.unfit"), (_without_token, "restore.no-token")],
)
def test_a_file_of_no_use_is_refused_before_anything_is_made(mischance: object, code: str) -> None:
    async def play() -> None:
        async with healthy(_SEED, a_spec(1, 0)) as story:
            await back_up(story)
            mischance(story)  # type: ignore[operator]
            await lose_all(story, MASTER1)
            told = await story.create(consents=FROM_PATH)
            assert told.refused == (code,), told.story()
            assert not told.writes

    run(play())


def test_a_snapshot_of_another_cluster_on_a_disk_is_not_offered() -> None:
    async def play() -> None:
        async with healthy(_SEED, a_spec(1)) as story:
            name = save_on(story, MASTER1)
            disk = story.world.host(MASTER1).disk
            saved = disk.snapshots[name]
            other = [
                replace(e, value=e.value.replace(story.before.uid.encode(), b"0" * 36)) for e in saved.backend.keys
            ]
            disk.snapshots = {name: replace(saved, backend=replace(saved.backend, keys=tuple(other)))}
            await lose_databases(story, MASTER1)
            told = await story.create(consents=LATEST)
            assert told.refused == ("masters.all-lost",), told.story()

    run(play())


def _spec(masters: int) -> ClusterSpec:
    return a_spec(masters, 1)


async def _killed(kill_at: int | None, *, from_file: bool) -> tuple[list[str], list[str]]:
    """Kill a restore at a moment and run again; give the moments passed, and what is broken afterwards."""
    async with healthy(_SEED, _spec(1 if from_file else 3)) as story:
        masters = (MASTER1,) if from_file else MASTERS
        consents = FROM_PATH if from_file else LATEST
        if from_file:
            await back_up(story)
            await lose_all(story, *masters)
        else:
            save_on(story, MASTER2)
            await write_later(story)
            await lose_databases(story, *masters)
        first = await story.create(kill_at=kill_at, consents=consents)
        last = await story.create(consents=consents)
        if last.refused == ("consent.unfit",):
            last = await story.create()
        if last.code is not ExitCode.CONVERGED:
            return first.session.moments.passed, [last.story()]
        restored_picture(story)
        return first.session.moments.passed, story.broken(*masters)


@pytest.mark.parametrize("from_file", [True, False])
def test_killed_at_any_moment_the_next_run_finishes_it(from_file: bool) -> None:
    moments, broken = run(_killed(None, from_file=from_file))
    assert not broken
    for kill_at in range(1, len(moments) + 1, _EVERY):
        passed, broken = run(_killed(kill_at, from_file=from_file))
        assert passed[-1] == moments[kill_at - 1], "the same seed took another way"
        assert not broken, f"killed {passed[-1]} (moment {kill_at} of seed {_SEED}): {broken}"


def test_what_a_simulated_file_says_is_what_it_was_written_from() -> None:
    async def play() -> None:
        async with healthy(_SEED, a_spec(1, 0)) as story:
            name = save_on(story, MASTER1)
            host = story.world.host(MASTER1)
            saved = host.disk.snapshots[name]
            content = snapshot_files.encode(saved.backend)
            assert snapshot_files.decode(content) == saved.backend
            assert len(content) == saved.entry.size
            password = tokens.parse(host.disk.token or "").password
            assert snapshot_files.tokens_of(saved.backend) == (tokens.short_hash(password),)

    run(play())
