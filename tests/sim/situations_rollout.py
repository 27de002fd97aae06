"""The file asks for another argument, k3s, server type or image: named, and carried out with consent only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hetzner_k3s import addons
from hetzner_k3s.cli import simulated
from hetzner_k3s.model.consents import Consents, Rollout, Surge, Upgrade
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.plan import Intent, Verb
from hetzner_k3s.model.spec import ComponentArgs
from hetzner_k3s.model.version import K3sVersion

from . import tool
from .clusters import MASTER1, MASTER2, MASTER3, WORKER1, WORKER2, a_spec
from .scenario import converges, recovers
from .situation import Situations
from .story import Story, with_version
from .test_differences import masters, workers
from .tool import Run

ROLLOUT = Situations("rollout")
_tell = ROLLOUT.tell

_ALL = Consents.of(Rollout("all"))
_SURGING = Consents.of(Rollout("all"), Surge("1"))
_UPGRADE = Consents.of(Upgrade())
_SERVERS = (MASTER1, MASTER2, MASTER3, WORKER1)
_SPEC = a_spec(3, 1, load_balancer=True)


@_tell("another-argument-is-rolled-out", recovers(*_SERVERS), spec=_SPEC)
async def _(story: Story) -> Run:
    story.wish(replace(story.spec, args=ComponentArgs(kubelet=("max-pods=90",))))
    left = await story.create()
    assert left.code is ExitCode.PENDING, left.story()
    return await story.create(consents=_ALL)


class _Channels:
    """K3s' list of releases, of one line."""

    async def newest(self) -> Mapping[str, K3sVersion]:
        return {"v1.36": K3sVersion.parse("v1.36.4+k3s1")}

    channels = newest


async def _asking_for(story: Story, version: str) -> Run:
    """Run an upgrade to a release where k3s' list of them can be read."""
    session = story.world.session(story.spec.name)
    ports = replace(simulated.ports(session), releases=_Channels())
    spec = with_version(story.spec, version)
    intent = Intent(verb=Verb.CREATE, addons=addons.digests(spec), consents=_UPGRADE)
    run = await tool.run(story.world, spec, intent, session, ports)
    story.runs.append(run)
    return run


@_tell("another-k3s-is-rolled-out", recovers(*_SERVERS), spec=_SPEC)
async def _(story: Story) -> Run:
    """Refused before anything where the release is not there, is older, or skips a minor version."""
    for version, codes in (
        ("v1.36.9+k3s1", ("upgrade.no-release",)),
        ("v1.35.1+k3s1", ("upgrade.no-release", "upgrade.downgrade")),
        ("v1.38.0+k3s1", ("upgrade.no-release", "upgrade.skips-minor")),
    ):
        refused = await _asking_for(story, version)
        assert (refused.refused, refused.writes) == (codes, []), refused.story()
    story.wish(with_version(story.spec, "v1.36.4+k3s1"))
    left = await story.create()
    assert left.code is ExitCode.PENDING, left.story()
    return await story.create(consents=_UPGRADE)


@_tell("another-server-type-is-rolled-out", recovers(*_SERVERS), spec=_SPEC)
async def _(story: Story) -> Run:
    story.wish(workers(type="cpx32")(masters(type="cpx32")(story.spec)))
    return await story.create(consents=_ALL)


@_tell("another-image-is-rolled-out", converges(*_SERVERS), spec=_SPEC)
async def _(story: Story) -> Run:
    story.wish(workers(image="ubuntu-24.04")(masters(image="ubuntu-24.04")(story.spec)))
    return await story.create(consents=_ALL)


@_tell("another-image-is-rolled-out-with-a-surge-server", converges(WORKER1), spec=_SPEC)
async def _(story: Story) -> Run:
    """It is there before the worker goes, and no more at the end."""
    story.wish(workers(image="ubuntu-24.04")(story.spec))
    return await story.create(consents=_SURGING)


@_tell("a-surge-server-that-a-killed-run-left-and-the-file-wants", converges(WORKER1), spec=_SPEC)
async def _(story: Story) -> Run:
    """A run without the flag names it and leaves it; a file that asks for one more keeps it."""
    story.wish(workers(image="ubuntu-24.04")(story.spec))
    await story.create(kill_at=f"after DELETE /api/v1/nodes/{WORKER1}", consents=_SURGING)
    left = await story.create()
    assert any(note.startswith(f"{WORKER2} is a surge server of a rollout") for note in left.notes), left.story()
    story.wish(workers(image="ubuntu-24.04")(a_spec(3, 2, load_balancer=True)))
    return await story.create()
