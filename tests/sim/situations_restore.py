"""All masters lost where no S3 has their snapshots: a backup, or what lies on a disk, brings the cluster back."""

from __future__ import annotations

from .clusters import MASTER1, MASTER2, a_spec
from .files import FROM_PATH, back_up, lose_databases, save_on
from .scenario import Told
from .scenarios_restore import LATEST, MASTERS, Restored, lose_all, write_later
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
