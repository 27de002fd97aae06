"""What the loop itself must not do: begin a step without its lock, call a cluster up to date that is not, or believe
that what a failed listing does not show is gone.
"""

from __future__ import annotations

import asyncio

import pytest

from hetzner_k3s import addons
from hetzner_k3s.act.lock import LockRequest
from hetzner_k3s.cli import simulated
from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.faults import ApiFault, ServerDeleted
from hetzner_k3s.lab.simulated.operator_machine import OperatorMachine
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.model import naming
from hetzner_k3s.model.errors import ExitCode, LockLost
from hetzner_k3s.model.plan import Intent, Verb
from hetzner_k3s.reconcile import RunRequest, converge

from .clusters import CLUSTER, MASTER1, WORKER1, a_spec
from .story import Story, healthy
from .tool import Told

_SEED = 17
_FRESH = 25.0
"""Seconds for which a lock that was read back counts."""


def _lock_of(story: Story) -> int | None:
    groups = story.world.project.placement_groups.values()
    return next((group.id for group in groups if group.name == naming.operator_lock(CLUSTER)), None)


def test_no_step_begins_when_the_lock_was_lost() -> None:
    async def tell() -> None:
        async with healthy(_SEED) as story:
            await story.happens(ServerDeleted(MASTER1), ServerDeleted(WORKER1))
            running = asyncio.ensure_future(story.create())
            await faults.until(lambda: story.world.server(MASTER1) is not None, "the order")
            faults.ask(story.world, "DELETE", f"/placement_groups/{_lock_of(story)}")
            lost_at = story.world.clock.monotonic()
            ended = await running
            assert isinstance(ended.error, LockLost), ended.story()
            begun = [
                line for line in ended.told.lines if any(f" {verb} {name}:" in line for verb, name in ended.told.steps)
            ]
            assert max(float(line.split()[0]) for line in begun) <= lost_at + _FRESH, ended.story()
            await story.create()
            await story.is_converged(MASTER1, WORKER1)

    run(tell())


def test_a_run_that_is_cancelled_gives_its_lock_back() -> None:
    """SIGTERM and Ctrl-C cancel it: the next run has not to wait for a lease."""

    async def tell() -> None:
        async with healthy(_SEED) as story:
            await story.happens(ServerDeleted(MASTER1))
            session = story.world.session(CLUSTER, machine=OperatorMachine("other"))
            intent = Intent(verb=Verb.CREATE, addons=addons.digests(story.spec))
            request = RunRequest(
                spec=story.spec, intent=intent, lock_request=LockRequest(cluster=CLUSTER, holder="x", run=session.run)
            )
            running = asyncio.ensure_future(converge(request, simulated.ports(session), Told(session)))
            await faults.until(lambda: story.world.server(MASTER1) is not None, "the order")
            assert _lock_of(story) is not None
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            session.end()
            assert _lock_of(story) is None
            await story.create()
            await story.is_converged(MASTER1)

    run(tell())


def test_what_a_failed_listing_does_not_show_is_not_gone() -> None:
    """One order fails, the listing after it fails too, and the next order succeeds: that server is not the only one."""

    async def tell() -> None:
        async with healthy(_SEED) as story:
            story.wish(a_spec(3, 5))
            refused = ApiFault("error", method="POST", path="/servers", code="resource_limit_exceeded")
            unlisted = ApiFault("error", method="GET", path="/firewalls", code="service_error", skip=1)
            await story.happens(refused, unlisted)
            ended = await story.create()
            assert ended.code is ExitCode.CLOUD_REFUSED, ended.story()
            assert set(ended.refused) <= {"cluster.unfinished"}, ended.story()
            assert sum(verb == "JoinWorker" for verb, _ in ended.told.steps) == 2, ended.story()
            assert {verb for verb, _ in ended.told.steps} <= {"CreateServer", "SecureHost", "InstallK3s", "JoinWorker"}
            assert story.world.cloud.faults.rules[unlisted.rule or 0].acted == 1
            await story.create()
            await story.is_converged()

    run(tell())


@pytest.mark.parametrize("living", [True, False])
def test_only_the_lock_of_a_dead_run_is_cleared_away_by_one_with_nothing_to_do(living: bool) -> None:
    async def tell() -> None:
        async with healthy(_SEED) as story:
            other = story.world.session(CLUSTER)
            labels = {naming.LABEL_LOCK_RUN: other.run, naming.LABEL_LOCK_HOLDER: "somebody"}
            await simulated.ports(other).cloud.create_placement_group(naming.operator_lock(CLUSTER), labels)
            other.machine.runs[other.run] = living
            ended = await story.create()
            assert ended.code is ExitCode.CONVERGED, ended.story()
            assert (_lock_of(story) is not None) == living
            assert not [write for write in ended.writes if living]

    run(tell())


def test_the_lock_of_another_machine_is_left_to_it() -> None:
    """Whether that run lives, only its own machine knows."""

    async def tell() -> None:
        async with healthy(_SEED) as story:
            other = story.world.session(CLUSTER, machine=OperatorMachine("other"))
            labels = {naming.LABEL_LOCK_RUN: other.run, naming.LABEL_LOCK_HOLDER: "somebody"}
            await simulated.ports(other).cloud.create_placement_group(naming.operator_lock(CLUSTER), labels)
            assert (await story.create()).code is ExitCode.CONVERGED
            assert _lock_of(story) is not None

    run(tell())
