"""Scenario 70: the cluster lives in an external database, and its masters hold none of its data."""

from __future__ import annotations

from hetzner_k3s.lab.k3s.trust import tokens
from hetzner_k3s.lab.simulated.faults import PoweredOff, Rebuilt, ServerDeleted, SshSilent
from hetzner_k3s.lab.simulated.faults_database import DatabaseDown
from hetzner_k3s.model.consents import Consents, Prune, Replace, ResetQuorumFrom, Restore
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.secrets import Secret

from . import tokens_at_hand
from .clusters import ENDPOINT, MASTER1, MASTER2, MASTER3, WORKER1, WORKER2, a_spec, on_database
from .scenario import Collection, Told, converges, recovers, refuses
from .story import Story
from .tool import Run

ON_DATABASE = Collection()
_SPEC = on_database()
_MASTERS = (MASTER1, MASTER2, MASTER3)


def _tokens(story: Story, password: str | None = None) -> list[Secret]:
    """Return the cluster's tokens as its owner would have them, or one of servers with another password."""
    disk = story.world.host(_MASTERS[0]).disk
    if password is None:
        return tokens_at_hand.written_down(disk)
    return [Secret(tokens.full(disk.server_ca or b"", password))]


async def _lose_everything(story: Story) -> None:
    await story.happens(*(ServerDeleted(name) for name in (*_MASTERS, WORKER1, WORKER2)))
    tokens_at_hand.laptop_lost(story.world)


async def _refused(story: Story, code: str) -> None:
    run = await story.create()
    assert run.code is ExitCode.REFUSED, run.story()
    assert run.refused == (code,), run.story()
    assert not run.writes


@ON_DATABASE.add("70", "external-db-one-gone", converges(MASTER1), spec=_SPEC)
async def _(story: Story) -> None:
    await story.happens(ServerDeleted(MASTER1))


@ON_DATABASE.add("70", "external-db-all-gone", converges(*_MASTERS), spec=_SPEC)
async def _(story: Story) -> None:
    """A worker still holds the token, and the database everything else."""
    await story.happens(*(ServerDeleted(master) for master in _MASTERS))


@ON_DATABASE.add("70", "external-db-down", recovers(*_MASTERS), spec=_SPEC)
async def _(story: Story) -> None:
    """Nothing is touched; when the database is back k3s goes on by itself, and there is nothing to do."""
    await story.happens(DatabaseDown(ENDPOINT))
    await _refused(story, "datastore.unreachable")
    await story.heals(DatabaseDown(ENDPOINT))


@ON_DATABASE.add("70", "external-db-down-and-one-gone", converges(MASTER2), spec=_SPEC)
async def _(story: Story) -> None:
    await story.happens(DatabaseDown(ENDPOINT), ServerDeleted(MASTER2))
    await _refused(story, "datastore.unreachable")
    await story.heals(DatabaseDown(ENDPOINT))


@ON_DATABASE.add("70", "external-db-token-unknown", converges(*_MASTERS, WORKER1, WORKER2), spec=_SPEC)
async def _(story: Story) -> None:
    """Nobody but the owner has the token: named by the CA that it pins, asked for, and then used."""
    found = _tokens(story)
    await _lose_everything(story)
    await _refused(story, "datastore.token-unknown")
    story.world.laptop.tokens.extend(found)


@ON_DATABASE.add("70", "external-db-agent-token-unknown", converges(*_MASTERS, WORKER1, WORKER2), spec=_SPEC)
async def _(story: Story) -> None:
    """With the servers' token alone a master would start once: the agents' one is asked for before."""
    found = _tokens(story)
    await _lose_everything(story)
    story.world.laptop.tokens.extend(found[:1])
    await _refused(story, "token.agent-unknown")
    story.world.laptop.tokens.extend(found[1:])


@ON_DATABASE.add("70", "external-db-wrong-token", converges(*_MASTERS, WORKER1, WORKER2), spec=_SPEC)
async def _(story: Story) -> None:
    """k3s itself refuses another token than the one that the data is sealed with; the right one then opens it."""
    found = _tokens(story)
    wrong = [*_tokens(story, "another password"), *found[1:]]
    await _lose_everything(story)
    story.world.laptop.tokens.extend(wrong)
    run = await story.create()
    assert run.code is not ExitCode.CONVERGED, run.story()
    run = await story.create()
    assert run.refused == ("datastore.other-token",), run.story()
    story.world.laptop.tokens[:] = found


@ON_DATABASE.add("70", "external-db-none-serves", recovers(), spec=_SPEC)
async def _(story: Story) -> None:
    await story.happens(*(SshSilent(master) for master in _MASTERS))
    await _refused(story, "masters.none-serves")
    await story.heals(*(SshSilent(master) for master in _MASTERS))


@ON_DATABASE.add("70", "external-db-left-in-the-file", refuses("datastore.changed"), spec=_SPEC)
async def _(story: Story) -> None:
    """All masters are gone, and the file says etcd: the record knows better, before a server is bought."""
    await story.happens(*(ServerDeleted(master) for master in _MASTERS))
    story.wish(a_spec())


@ON_DATABASE.add("70", "external-db-come-into-the-file", refuses("datastore.changed"))
async def _(story: Story) -> None:
    await story.happens(ServerDeleted(MASTER1))
    story.wish(_SPEC)


@ON_DATABASE.add("70", "external-db-another-one", refuses("datastore.changed"), spec=_SPEC)
async def _(story: Story) -> None:
    await story.happens(ServerDeleted(MASTER1))
    story.wish(on_database(endpoint=ENDPOINT.replace("10.250.0.5", "10.250.0.6")))


@ON_DATABASE.add("70", "external-db-new-password", converges(MASTER1), spec=_SPEC)
async def _(story: Story) -> None:
    """The user or the password of a database may change: it is the same one."""
    await story.happens(ServerDeleted(MASTER1))
    story.wish(on_database(endpoint=ENDPOINT.replace("a-password", "another-password")))


@ON_DATABASE.add("70", "external-db-consents-of-etcd", refuses("consent.unfit", "consent.unfit"), spec=_SPEC)
async def _(story: Story) -> Run:
    await story.happens(ServerDeleted(MASTER1))
    return await story.create(consents=Consents.of(Restore("latest"), ResetQuorumFrom(MASTER2)))


@ON_DATABASE.add("70", "external-db-off", recovers(*_MASTERS), spec=_SPEC)
async def _(story: Story) -> None:
    await story.happens(*(PoweredOff(master) for master in _MASTERS))


@ON_DATABASE.add("70", "external-db-rebuilt", recovers(MASTER2), spec=_SPEC)
async def _(story: Story) -> None:
    await story.happens(Rebuilt(MASTER2))


@ON_DATABASE.add("70", "external-db-silent-discarded", converges(MASTER2), spec=_SPEC)
async def _(story: Story) -> Run:
    await story.happens(SshSilent(MASTER2))
    await _refused(story, "master.unreachable")
    return await story.create(consents=Consents.of(Replace(MASTER2)))


@ON_DATABASE.add("70", "external-db-scaled", Told(), spec=on_database(a_spec(1)))
async def _(story: Story) -> Run:
    """One, two, three masters and back: any number serves a database."""
    for count in (2, 3):
        story.wish(on_database(a_spec(count)))
        run = await story.create()
        assert run.code is ExitCode.CONVERGED, run.story()
    story.wish(on_database(a_spec(1)))
    run = await story.create(consents=Consents.of(Prune()))
    assert run.code is ExitCode.CONVERGED, run.story()
    await story.is_pruned(MASTER2, MASTER3)
    return run
