"""All masters lost where no S3 has their snapshots: a backup, or what lies on a disk, brings the cluster back."""

from __future__ import annotations

import asyncio

from hetzner_k3s.lab.simulated.faults import Rebooted

from .clusters import MASTER1, MASTER2, a_spec, with_s3
from .files import FROM_PATH, back_up, lose_databases, save_on
from .scenario import Told
from .scenarios_restore import (
    LATEST,
    MASTERS,
    Restored,
    lose_all,
    lose_all_addresses,
    others_leave,
    snapshot_now,
    write_later,
)
from .situation import Situations, said
from .story import Story
from .tool import Run

RESTORE_FILES = Situations("restore")
_tell = RESTORE_FILES.tell


@_tell("a-backup-brings-all-masters-back", Restored())
async def _(story: Story) -> Run:
    await back_up(story)
    await lose_all(story)
    return await story.create(consents=FROM_PATH)


@_tell("masters-get-other-addresses-than-the-lost-ones-had", Restored(), spec=with_s3())
async def _(story: Story) -> Run:
    """The lost masters' Nodes name addresses that no new host has: beside them k3s would end again and again."""
    snapshot_now(story)
    await write_later(story)
    await lose_all_addresses(story)
    run = await story.create(consents=LATEST)
    await others_leave(story)
    return run


@_tell("a-backup-is-restored-on-another-address", Restored((MASTER1,)), spec=a_spec(1))
async def _(story: Story) -> Run:
    await back_up(story)
    await lose_all_addresses(story, MASTER1)
    run = await story.create(consents=FROM_PATH)
    await others_leave(story)
    return run


@_tell("a-restore-is-cut-off-while-k3s-has-no-agent", Restored((MASTER1,)), spec=with_s3(a_spec(1)))
async def _(story: Story) -> Run:
    """The host reboots meanwhile: nothing of it starts by itself, and the next run goes on, without the consent."""
    snapshot_now(story)
    await lose_all_addresses(story, MASTER1)
    killed = await story.create(consents=LATEST, kill_at=f"after StartWithoutAgent on {MASTER1}")
    assert killed.code is None, killed.story()
    await story.happens(Rebooted(MASTER1))
    await asyncio.sleep(30)
    run = await story.create()
    assert ("RestoreSnapshot", MASTER1) not in run.told.steps, run.story()
    await others_leave(story)
    return run


@_tell("a-backup-that-was-cut-off-is-begun-again", Restored((MASTER1,)), spec=a_spec(1))
async def _(story: Story) -> Run:
    await back_up(story)
    await lose_all(story, MASTER1)
    killed = await story.create(consents=FROM_PATH, kill_at=f"during ReceiveSnapshot on {MASTER1}")
    assert killed.code is None, killed.story()
    return await story.create(consents=FROM_PATH)


@_tell("every-database-was-deleted-and-the-snapshots-were-kept", Told())
async def _(story: Story) -> Run:
    save_on(story, MASTER2)
    await write_later(story)
    await lose_databases(story, *MASTERS)
    asked = await story.create()
    assert asked.refused == ("restore.consent",), asked.story()
    said(asked, "restore.consent", "create --restore latest")
    run = await story.create(consents=LATEST)
    await Restored().check(story, run)
    return run
