"""`replace NAME`: a server is made anew though nothing about it differs, once, and whatever it is like."""

from __future__ import annotations

import asyncio

import pytest

from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.model.consents import Consents, MakeAnew, Replace
from hetzner_k3s.model.errors import ExitCode

from .clusters import MASTER1, MASTER2, WORKER1, a_spec
from .story import Story
from .test_replacing import ids
from .test_rollout import played


def anew(name: str) -> Consents:
    return Consents.of(MakeAnew(name), *([Replace(name)] if "master" in name else []))


@pytest.mark.parametrize("name", [MASTER1, MASTER2, WORKER1])
def test_one_server_is_another_and_all_others_are_the_same(name: str) -> None:
    async def happens(story: Story) -> None:
        before = ids(story)
        done = await story.create(consents=anew(name))
        assert done.code is ExitCode.CONVERGED, done.story()
        changed = {server for server, number in ids(story).items() if before[server] != number}
        assert changed == {name}, done.story()
        assert [target for verb, target in done.told.steps if verb == "CreateServer"] == [name]
        assert not story.broken(name), story.broken(name)

    played(a_spec(3, 2), happens)


@pytest.mark.parametrize("name", [MASTER1, WORKER1])
def test_one_that_is_not_well_is_replaced_too(name: str) -> None:
    async def happens(story: Story) -> None:
        before = ids(story)
        await story.happens(faults.Frozen(name))
        await asyncio.sleep(120)
        done = await story.create(consents=anew(name))
        assert done.code is ExitCode.CONVERGED, done.story()
        assert ids(story)[name] != before[name]
        assert not story.broken(name), story.broken(name)

    played(a_spec(3, 2), happens)


@pytest.mark.parametrize("fault", [faults.DatabaseDeleted(MASTER2), faults.Rebuilt(MASTER2)])
def test_a_master_whose_data_is_gone_is_replaced_in_one_run(fault: faults.Fault) -> None:
    async def happens(story: Story) -> None:
        before = ids(story)
        await story.happens(fault)
        await asyncio.sleep(120)
        done = await story.create(consents=anew(MASTER2))
        assert done.code is ExitCode.CONVERGED, done.story()
        assert ids(story)[MASTER2] != before[MASTER2]
        assert not story.broken(MASTER2), story.broken(MASTER2)

    played(a_spec(3, 1), happens)


def test_the_only_master_stays() -> None:
    async def happens(story: Story) -> None:
        refused = await story.refuses("consent.unfit", consents=Consents.of(MakeAnew(MASTER1)))
        assert "is the only master" in refused.story()

    played(a_spec(1, 1), happens)


def test_none_is_given_up_while_another_one_cannot_be_had() -> None:
    async def happens(story: Story) -> None:
        before = ids(story)
        sold_out = faults.ApiFault("unavailable", server_type="cpx22")
        await story.happens(sold_out)
        refused = await story.refuses("consent.unfit", consents=anew(WORKER1))
        assert f"Another server like {WORKER1} cannot be had" in refused.story()
        assert "Hetzner shows cpx22 as not available" in refused.story()
        assert ids(story) == before
        await story.heals(sold_out)
        done = await story.create(consents=anew(WORKER1))
        assert done.code is ExitCode.CONVERGED, done.story()

    played(a_spec(3, 2), happens)


def test_beside_a_master_that_only_we_cannot_see_none_is_replaced() -> None:
    async def happens(story: Story) -> None:
        await story.happens(faults.SshSilent(MASTER1))
        refused = await story.refuses("consent.unfit", consents=anew(WORKER1))
        assert f"{MASTER1} does not answer, and nothing is replaced beside it" in refused.story()
        done = await story.create(consents=anew(MASTER1))
        assert done.code is ExitCode.CONVERGED, done.story()

    played(a_spec(3, 2), happens)


def test_one_that_has_not_joined_yet_is_not_replaced_again() -> None:
    """The same command after a Ctrl-C deleted the server that it had ordered."""

    async def happens(story: Story) -> None:
        await story.create(kill_at="after POST /servers", consents=anew(WORKER1))
        ordered = ids(story)[WORKER1]
        refused = await story.create(consents=anew(WORKER1))
        assert refused.code is ExitCode.REFUSED, refused.story()
        assert f"{WORKER1} has not joined yet" in refused.story()
        assert (await story.create()).code is ExitCode.CONVERGED
        assert ids(story)[WORKER1] == ordered

    played(a_spec(3, 2), happens)


def test_the_only_master_that_is_off_is_refused_once_and_by_the_command_that_was_typed() -> None:
    async def happens(story: Story) -> None:
        await story.happens(faults.PoweredOff(MASTER1))
        refused = await story.create(consents=anew(MASTER1))
        assert refused.code is ExitCode.REFUSED, refused.story()
        assert set(refused.refused) == {"masters.none-healthy", "consent.unfit"}, refused.story()
        assert list(refused.refused).count("consent.unfit") == 1, refused.story()
        assert f"replace {MASTER1} was given" in refused.story()
        assert f"--replace {MASTER1}" not in refused.story()

    played(a_spec(1, 1), happens)


def test_what_can_be_seen_only_once_a_master_is_back_is_left_to_the_same_command() -> None:
    async def happens(story: Story) -> None:
        before = ids(story)
        await story.happens(faults.PoweredOff(MASTER1))
        first = await story.create(consents=anew(WORKER1))
        assert first.code is ExitCode.PENDING, first.story()
        assert "what was asked for can be seen only now: cordon" in str(first.error)
        assert ids(story) == before
        done = await story.create(consents=anew(WORKER1))
        assert done.code is ExitCode.CONVERGED, done.story()
        assert {name for name, number in ids(story).items() if before[name] != number} == {WORKER1}

    played(a_spec(1, 1), happens)
