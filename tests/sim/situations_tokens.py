"""A token that is rotated while something has yet to join: half done, or known to nobody any more."""

from __future__ import annotations

import asyncio

from hetzner_k3s.lab.k3s import tokens
from hetzner_k3s.lab.simulated import config_file, k3s_files
from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.model.errors import ExitCode

from . import mischief
from .clusters import MASTER1, MASTER2, MASTER3
from .scenario import converges
from .situation import Situations, said
from .story import Story

TOKENS = Situations("tokens")
_tell = TOKENS.tell

_ROTATED = "rotated-password"


@_tell("a-rotation-has-not-ended", converges(MASTER1, MASTER3))
async def _(story: Story) -> None:
    """While the datastore knows two, nobody knows which one who joins must hold; when it has ended, it goes on."""
    host = story.world.host(MASTER1)
    sealed = k3s_files.seal(host.disk.server, _ROTATED)
    await mischief.etcd(story.world).put(tokens.storage_key(_ROTATED), sealed, 0)
    await story.happens(ServerDeleted(MASTER3))
    said(await story.refuses("token.rotating"), "token.rotating", "Wait until `k3s token rotate` has ended")
    found = await mischief.etcd(story.world).get(tokens.storage_key(_ROTATED))
    await mischief.etcd(story.world).delete(tokens.storage_key(_ROTATED), found.entries[0].mod_revision)
    await mischief.rotate_token(story.world, host, _ROTATED)
    await _restart(story, MASTER1)


async def _restart(story: Story, name: str) -> None:
    """Do as the next refusal says: nobody accepts the new token before one master was started with it."""
    run = await story.create()
    assert run.code is ExitCode.REFUSED, run.story()
    assert run.refused == ("token.not-accepted",), run.story()
    said(run, "token.not-accepted", f"`systemctl restart k3s` on {name}")
    mischief.server_unit_stopped(story.world.host(name))
    mischief.start(story.world.host(name))
    await asyncio.sleep(60)


@_tell("who-rotated-it-is-lost", converges(MASTER1, MASTER2))
async def _(story: Story) -> None:
    """The datastore is sealed with a token that only its user still has; written into one file, it is enough."""
    await mischief.rotate_token(story.world, story.world.host(MASTER1), _ROTATED)
    await story.happens(ServerDeleted(MASTER1))
    await mischief.election_over(story.world)
    refused = await story.refuses("token.unknown")
    name = next(name for name in (MASTER2, MASTER3) if name in refused.told.refusals[0].you_can)
    disk = story.world.host(name).disk
    old = str(config_file.read(disk.config or "")["token"])
    disk.config = (disk.config or "").replace(old, tokens.full(disk.server_ca or b"", _ROTATED))
    await _restart(story, MASTER2)
