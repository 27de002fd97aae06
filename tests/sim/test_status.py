"""What `status` says of simulated clusters: the verdict, the members, and a document that fits its schema."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import jsonschema
import pytest

from hetzner_k3s import addons, decide
from hetzner_k3s.act.lock import LockRequest
from hetzner_k3s.cli import simulated
from hetzner_k3s.cli.render.status import status_document, status_lines
from hetzner_k3s.lab.simulated import faults, virtual_time
from hetzner_k3s.lab.simulated.faults_database import DatabaseDown
from hetzner_k3s.lab.simulated.operator_machine import OperatorMachine
from hetzner_k3s.lab.simulated.world import TOKEN
from hetzner_k3s.model.plan import Intent, Verb
from hetzner_k3s.model.report import Health, MemberState, Report
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.reconcile import RunRequest, look_ahead

from .clusters import ENDPOINT, MASTER1, MASTER2, MASTER3, WORKER1, on_database
from .story import Story, healthy
from .tool import Told

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/reference/status.schema.json").read_text())


@dataclass(frozen=True)
class Observer:
    """Who looks: on which machine (None: the one that the cluster was made on), with which token, with which clock."""

    machine: OperatorMachine | None = None
    token: str = TOKEN
    skew: float = 0.0


async def status(story: Story, observer: Observer = Observer()) -> Report:
    """Look as `hetzner-k3s status` does; whatever it says fits the schema, and looking changes nothing."""
    spec = replace(story.spec, hetzner_token=Secret(observer.token))
    session = story.world.session(spec.name, machine=observer.machine, token=observer.token, skew=observer.skew)
    intent = Intent(verb=Verb.CREATE, addons=addons.digests(spec))
    lock_request = LockRequest(cluster=spec.name, holder="somebody@laptop", run=session.run)
    request = RunRequest(spec=spec, intent=intent, lock_request=lock_request)
    state, ahead = await look_ahead(request, simulated.ports(session), Told(session))
    report = decide.report(spec, state, intent, ahead)
    session.end()
    jsonschema.validate(json.loads(json.dumps(status_document(report))), SCHEMA)
    assert session.writes == []
    return report


def test_a_healthy_cluster() -> None:
    async def tell() -> None:
        async with healthy(1) as story:
            report = await status(story)
            assert (report.health, report.because) == (Health.HEALTHY, ())
            assert sorted(m.state.value for m in report.members) == ["leader", "voter", "voter"]

    virtual_time.run(tell())


@pytest.mark.parametrize("lost", [MASTER1, WORKER1])
def test_a_loss_is_degraded_until_it_is_repaired(lost: str) -> None:
    async def tell() -> None:
        async with healthy(2) as story:
            await story.happens(faults.ServerDeleted(lost))
            report = await status(story)
            assert report.health is Health.DEGRADED
            assert lost in report.because[0]
            await story.create()
            assert (await status(story)).health is Health.HEALTHY

    virtual_time.run(tell())


def test_a_lost_quorum() -> None:
    async def tell() -> None:
        async with healthy(3) as story:
            await story.happens(faults.ServerDeleted(MASTER1), faults.ServerDeleted(MASTER2))
            report = await status(story)
            assert report.health is Health.NO_QUORUM
            assert report.quorum is None
            assert "health  no-quorum" in "\n".join(status_lines(report))

    virtual_time.run(tell())


def test_a_cluster_in_a_database_has_no_members_by_design() -> None:
    async def tell() -> None:
        async with healthy(3, on_database()) as story:
            report = await status(story)
            assert (report.health, report.because, report.quorum, report.members) == (Health.HEALTHY, (), None, ())
            assert "data    in an external database" in "\n".join(status_lines(report))
            await story.happens(DatabaseDown(ENDPOINT))
            report = await status(story)
            assert (report.health, report.because) == (
                Health.NO_QUORUM,
                ("no master serves the recorded cluster",),
            )

    virtual_time.run(tell())


def test_an_unreachable_master_is_told_apart_from_a_dead_one() -> None:
    async def tell() -> None:
        async with healthy(4) as story:
            await story.happens(faults.SshSilent(MASTER3))
            (silent,) = [m for m in (await status(story)).members if m.name.startswith(MASTER3)]
            assert silent.state is MemberState.UNREACHABLE
            assert set(silent.connected) == {MASTER1, MASTER2}

    virtual_time.run(tell())


_COLLEAGUES, _READING = "token-of-a-colleague", "token-that-may-only-read"


@pytest.mark.parametrize(
    "observer",
    [
        Observer(OperatorMachine("somewhere-else")),
        Observer(OperatorMachine("a-colleagues"), _COLLEAGUES),
        Observer(token=_COLLEAGUES),
        Observer(token=_READING),
        Observer(skew=90.0),
    ],
    ids=["elsewhere", "a colleague", "a colleague's token", "a read-only token", "a clock that is wrong"],
)
@pytest.mark.parametrize("lost", [(), (MASTER2,), (MASTER1, MASTER2)], ids=["healthy", "degraded", "no-quorum"])
def test_the_verdict_does_not_depend_on_who_looks(observer: Observer, lost: tuple[str, ...]) -> None:
    """Without the kubeconfig, or with another token, a healthy cluster was `degraded`, exit 3."""

    async def tell() -> None:
        async with healthy(5) as story:
            story.world.cloud.grant(_COLLEAGUES, "main")
            story.world.cloud.grant(_READING, "main", read_only=True)
            await story.happens(*(faults.ServerDeleted(name) for name in lost))
            ours, theirs = await status(story), await status(story, observer)
            assert (theirs.health, theirs.because) == (ours.health, ours.because)
            assert len(lost) == [Health.HEALTHY, Health.DEGRADED, Health.NO_QUORUM].index(ours.health)

    virtual_time.run(tell())


def test_hosts_that_do_not_let_this_machine_in_are_not_looked_at() -> None:
    """An SSH agent without the key made every cluster `no-quorum`."""

    async def tell() -> None:
        async with healthy(6) as story:
            names = [server.name for server in story.spec.servers()]
            await story.happens(*(faults.SshDenied(name) for name in names))
            report = await status(story)
            assert report.health is Health.UNKNOWN
            assert "\nnot looked at: " in "\n".join(status_lines(report))
            assert all(name in report.not_seen[0] for name in names), report.not_seen
            await story.heals(*(faults.SshDenied(name) for name in names))
            assert (await status(story)).health is Health.HEALTHY

    virtual_time.run(tell())
