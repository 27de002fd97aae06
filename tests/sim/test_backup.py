"""`backup` in the simulation: what it holds is what a restore on another machine needs, and it changes nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator

import pytest
from ruamel.yaml import YAML

from hetzner_k3s import decide
from hetzner_k3s.act.backup import write_backup
from hetzner_k3s.act.context import Context, HostKeyRing
from hetzner_k3s.cli import simulated
from hetzner_k3s.lab.k3s.trust import tokens
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.model.consents import Consents, Restore
from hetzner_k3s.model.errors import ExitCode, Fate, HostUnreachable, ProductError, SshStage
from hetzner_k3s.model.plan import Verb
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.observe import observe

from . import mischief, tokens_at_hand
from .clusters import MASTER1, MASTER2, MASTER3, a_spec, with_s3
from .scenarios_restore import MASTERS, lose_all, restored_picture, snapshot_now
from .story import Story, healthy


class Written(dict[str, bytes]):
    """A bundle in memory."""

    def add(self, name: str, text: Secret) -> None:
        self[name] = text.reveal().encode()

    async def add_stream(self, name: str, pieces: AsyncIterator[bytes]) -> int:
        self[name] = b"".join([piece async for piece in pieces])
        return len(self[name])


async def backup(story: Story, written: Written | None = None) -> Written:
    session = story.world.session(story.spec.name)
    ports = simulated.ports(session)
    state = await observe(ports, story.spec, Verb.CREATE)
    via = decide.healthy_master(story.spec, state)
    assert via is not None
    context = Context(
        ports=ports,
        spec=story.spec,
        state=state,
        fence=1 << 60,
        key_ring=HostKeyRing(),
        say=lambda _name, _what: None,
    )
    written = Written() if written is None else written
    await write_backup(context, via, Secret("cluster_name: prod\n"), written)
    assert [write.split()[0] for write in session.writes] == ["SaveSnapshot"]
    return written


def test_a_backup_opens_the_snapshots_in_s3_when_no_worker_is_left() -> None:
    async def play() -> None:
        async with healthy(3, with_s3(a_spec(workers=0))) as story:
            written = await backup(story)
            identity = json.loads(written["identity.json"])
            assert identity["uid"] == story.before.uid
            token = written["token"].decode()
            assert identity["token_hash"] == tokens.short_hash(tokens.parse(token).password)
            assert b"kube-system" in written[identity["snapshot"]]
            for host in story.world.site.hosts.values():
                host.disk.fence = 0  # the backup's lock is of another story
            snapshot_now(story)
            await lose_all(story, *MASTERS)
            tokens_at_hand.laptop_lost(story.world)
            assert (await story.create(consents=Consents.of(Restore("latest")))).refused == ("restore.no-token",)
            story.world.laptop.tokens.append(Secret(token))
            assert (await story.create(consents=Consents.of(Restore("latest")))).refused == ("token.agent-unknown",)
            story.world.laptop.tokens.append(Secret(written["agent-token"].decode()))
            run = await story.create(consents=Consents.of(Restore("latest")))
            assert run.code is ExitCode.CONVERGED, run.story()
            restored_picture(story)
            await story.is_converged(MASTER1, MASTER2, MASTER3)

    run(play())


def test_a_master_that_takes_no_command_since_a_rotation_is_not_asked_for_the_snapshot() -> None:
    """Recorded in second/20: there `etcd-snapshot save` is not authorized; on the others everything works."""

    async def play() -> None:
        async with healthy(3, a_spec(3, 0)) as story:
            await mischief.rotate_token(story.world, story.world.host(MASTER2), "rotated")
            written = await backup(story)
            assert tokens.parse(written["token"].decode()).password == "rotated"
            saved = json.loads(written["identity.json"])["snapshot"]
            assert MASTER2 not in saved
            assert b"kube-system" in written[saved]

    run(play())


def test_an_only_master_says_why_it_takes_no_command() -> None:
    async def play() -> None:
        async with healthy(3, a_spec(1, 0)) as story:
            await mischief.rotate_token(story.world, story.world.host(MASTER1), "rotated")
            with pytest.raises(ProductError, match="from before `k3s token rotate`") as caught:
                await backup(story)
            assert f"`systemctl restart k3s` on {MASTER1}" in (caught.value.hint or "")

    run(play())


def test_its_kubeconfig_is_the_admins_for_whoever_stands_on_a_master() -> None:
    async def play() -> None:
        async with healthy(3, a_spec(1, 0)) as story:
            kubeconfig = YAML(typ="safe").load((await backup(story))["kubeconfig"])
            (cluster,), (user,) = kubeconfig.pop("clusters"), kubeconfig.pop("users")
            assert kubeconfig == {
                "apiVersion": "v1",
                "kind": "Config",
                "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
                "current-context": "default",
                "preferences": {},
            }
            assert (cluster["name"], cluster["cluster"]["server"]) == ("default", "https://127.0.0.1:6443")
            ca = base64.b64decode(cluster["cluster"]["certificate-authority-data"])
            assert hashlib.sha256(ca).hexdigest() == story.before.ca
            assert user["name"] == "default"
            assert user["user"].keys() == {"client-certificate-data", "client-key-data"}

    run(play())


class Torn(Written):
    """A bundle that gets less of each file than was sent."""

    async def add_stream(self, name: str, pieces: AsyncIterator[bytes]) -> int:
        return await super().add_stream(name, pieces) - 1


def test_a_snapshot_that_came_in_part_is_no_backup() -> None:
    async def play() -> None:
        async with healthy(3, a_spec(1, 0)) as story:
            with pytest.raises(HostUnreachable, match=r"prod-master1: of the snapshot \S+ came \d+ bytes of") as caught:
                await backup(story, Torn())
            torn = caught.value
            assert (torn.stage, torn.fate, torn.hint) == (
                SshStage.SESSION,
                Fate.DID_NOT_HAPPEN,
                "Run the command again.",
            )
            assert torn.exit_code is ExitCode.FAILED

    run(play())


def test_without_a_healthy_master_there_is_none() -> None:
    async def play() -> None:
        async with healthy(3, a_spec(1, 0)) as story:
            await lose_all(story, MASTER1)
            with pytest.raises(AssertionError):
                await backup(story)

    run(play())
