"""A token that is rotated while something has yet to join: half done, or known to nobody any more."""

from __future__ import annotations

import asyncio

import pytest

from hetzner_k3s.lab.k3s.trust import tokens
from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.lab.simulated.hosts import config_file
from hetzner_k3s.lab.simulated.k3s import k3s_files
from hetzner_k3s.lab.simulated.k3s.supervisor import SupervisorClient, SupervisorError
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.operations.operation import K3sRole

from . import mischief, tokens_at_hand
from .clusters import MASTER1, MASTER2, MASTER3, WORKER1, WORKER2, a_spec, with_s3
from .scenario import Told, converges, recovers
from .scenarios_restore import LATEST, Restored, lose_all, restored_picture, snapshot_now, write_later
from .situation import PRUNE, Situations, pruned, said
from .story import Story
from .tool import Run

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


@_tell("a-master-goes-through-one-that-takes-no-command", pruned("prod-master4", "prod-master5"), spec=a_spec(5))
async def _(story: Story) -> Run:
    """Since `k3s token rotate` k3s takes no command on that master (second/20): another one saves the snapshot."""
    await mischief.rotate_token(story.world, story.world.host(MASTER1), _ROTATED)
    story.wish(a_spec(3))
    run = await story.create(consents=PRUNE)
    savers = {write.split()[-1] for write in run.writes if write.startswith("SaveSnapshot")}
    assert savers, run.story()
    assert MASTER1 not in savers, run.story()
    return run


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


@_tell("root-on-a-worker-is-not-the-cluster", converges(MASTER3, WORKER1))
async def _(story: Story) -> None:
    """Workers get the agents' token, from birth and when they are made anew; nothing that they hold opens the CA."""
    await _holds_nothing(story, WORKER1, WORKER2)
    await story.happens(ServerDeleted(WORKER1), ServerDeleted(MASTER3))
    run = await story.create()
    assert run.code is ExitCode.CONVERGED, run.story()
    await _holds_nothing(story, WORKER1, WORKER2)


async def _holds_nothing(story: Story, *workers: str) -> None:
    """Demand that a worker's configuration holds nothing that a master hands the keys of the CA out for."""
    master = story.world.host(MASTER1)
    secret = tokens.parse(master.disk.token or "").password
    for name in workers:
        disk = story.world.host(name).disk
        held = tokens.parse(disk.configured_token)
        assert held.user == "node"
        assert secret not in (disk.config or "")
        url = f"https://{master.addresses[0]}:6443"
        client = SupervisorClient(story.world.site, story.world.host(name), url, held.password)
        with pytest.raises(SupervisorError, match="not authorized"):
            await client.bootstrap_data(5)


@_tell("born-without-an-agent-token", converges(MASTER3, WORKER1))
async def _(story: Story) -> None:
    """A cluster from before is repaired as ever: master and worker join with the one token that there is."""
    await tokens_at_hand.born_without_agent_token(story.world)
    await story.happens(ServerDeleted(WORKER1), ServerDeleted(MASTER3))
    run = await story.create()
    assert run.code is ExitCode.CONVERGED, run.story()
    assert story.world.host(MASTER3).disk.token == story.world.host(MASTER1).disk.token
    assert story.world.host(WORKER1).disk.configured_token == story.world.host(MASTER1).disk.token


@_tell("a-master-started-again-keeps-the-agent-token", converges(MASTER1, MASTER2, MASTER3))
async def _(story: Story) -> None:
    """Each master holds the agents' token in its file: without it the second start ends (recording second/35)."""
    await story.happens(ServerDeleted(MASTER3))
    run = await story.create()
    assert run.code is ExitCode.CONVERGED, run.story()
    for name in (MASTER1, MASTER2, MASTER3):
        for _ in range(2):
            mischief.server_unit_stopped(story.world.host(name))
            mischief.start(story.world.host(name))
            await asyncio.sleep(60)
        assert story.world.host(name).units[K3sRole.SERVER].facts().restarts == 0


@_tell("kept-on-this-machine-it-opens-the-snapshot", Restored(), spec=with_s3())
async def _(story: Story) -> Run:
    """All masters are lost, and no worker can help: `create` kept both tokens when the cluster was initialized."""
    snapshot_now(story)
    await write_later(story)
    await lose_all(story)
    refused = await story.refuses("restore.consent")
    assert "which this machine holds" in refused.told.refusals[0].saw
    return await story.create(consents=LATEST)


@_tell("the-agent-token-is-nowhere", Told(), spec=with_s3(a_spec(workers=0)))
async def _(story: Story) -> Run:
    """With the servers' token alone a restored master would not start twice; with both it is restored."""
    written = tokens_at_hand.written_down(story.world.host(MASTER1).disk)
    snapshot_now(story)
    await lose_all(story)
    tokens_at_hand.laptop_lost(story.world)
    story.world.laptop.tokens.append(written[0])
    refused = await story.refuses("token.agent-unknown", consents=LATEST)
    said(refused, "token.agent-unknown", "both tokens, one a line, in HETZNER_K3S_TOKEN_FILE")
    story.world.laptop.tokens.append(written[1])
    run = await story.create(consents=LATEST)
    assert run.code is ExitCode.CONVERGED, run.story()
    restored_picture(story)
    await story.is_converged(MASTER1, MASTER2, MASTER3)
    return run


@_tell("killed-before-the-tokens-were-kept", recovers())
async def _(story: Story) -> None:
    """The next run keeps them, and does nothing else."""
    tokens_at_hand.laptop_lost(story.world)
    killed = await story.create(kill_at="before keep_tokens")
    assert killed.code is None, killed.story()
    run = await story.create()
    assert [verb for verb, _ in run.told.steps] == ["KeepTokens"], run.story()
    assert len(story.world.laptop.kept_tokens) == 1
