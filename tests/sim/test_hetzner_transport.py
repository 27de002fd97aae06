"""The shipped Hetzner adapter over the simulation's wire: lost and late answers, killed runs, faults."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from hetzner_k3s.adapters.hetzner import HetznerCloud
from hetzner_k3s.cli import simulated
from hetzner_k3s.lab.simulated import faults, virtual_time
from hetzner_k3s.lab.simulated.faults import ApiFault
from hetzner_k3s.lab.simulated.moments import Killed
from hetzner_k3s.lab.simulated.world import OTHER_TOKEN, Session, World, world
from hetzner_k3s.model.cloud import FirewallRule, Server, ServerOrder
from hetzner_k3s.model.errors import CloudConflict, CloudError, CloudUnavailable, Fate
from hetzner_k3s.model.kube import TokenGrant
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.ports import Cloud

NAME, LABELS = "demo-master1", {"cluster": "demo"}
SSH_RULE = FirewallRule(direction="in", protocol="tcp", port="22", networks=("0.0.0.0/0",))
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0lPGkBu0Lk9nTnVsRfDxjKqD2tVbPXcE0e7XoBCGZz someone"
Tale = Callable[[World, Session, Cloud], Awaitable[None]]


def run(tale: Tale, latency: str = "instant", **of: Any) -> None:
    """Tell a tale in a world with one session."""

    async def tell() -> None:
        async with world(1, latency) as place:
            session = place.session("demo", **of)
            await tale(place, session, simulated.ports(session).cloud)

    virtual_time.run(tell())


async def ordered(cloud: Cloud, name: str = NAME) -> ServerOrder:
    key = await cloud.create_ssh_key("demo", KEY)
    network = await cloud.create_network("demo", "10.0.0.0/16", "eu-central", LABELS)
    return ServerOrder(
        name=name,
        server_type="cpx22",
        image="debian-13",
        location="fsn1",
        labels=LABELS,
        ssh_key=key.id,
        network=network.id,
        placement_group=None,
        user_data="#cloud-config\n{}\n",
        ipv4=True,
        ipv6=True,
    )


@pytest.mark.parametrize("lost", [ApiFault("drop", method="POST"), ApiFault("delay", method="POST", seconds=45)])
def test_a_lost_answer_costs_its_timeout_and_leads_to_adoption(lost: ApiFault) -> None:
    async def tale(place: World, session: Session, cloud: Cloud) -> None:
        await lost.strike(place)
        group = await cloud.create_placement_group("demo-pg", LABELS)
        assert [*place.project.placement_groups] == [group.id]
        assert 30 <= place.clock.monotonic() < 40
        assert session.writes == ["POST /placement_groups"]
        assert session.hetzner.requests == ["POST /placement_groups", "GET /placement_groups"]

    run(tale)


def test_a_wire_leads_to_the_simulated_api_alone() -> None:
    """A session that was opened with the address of the real one would buy, were its wire ever left out."""

    async def tale(place: World, session: Session, _cloud: Cloud) -> None:
        real = HetznerCloud(Secret(session.token), clock=place.clock, rng=session.rng, transport=session.hetzner)
        with pytest.raises(CloudUnavailable, match="leads to the simulated API alone"):
            await real.survey()
        assert session.hetzner.requests == []

    run(tale)


@pytest.mark.parametrize("skew", [0.0, 300.0, -86_400.0])
def test_the_date_of_the_answers_tells_how_far_the_clock_is_off(skew: float) -> None:
    async def tale(_place: World, _session: Session, cloud: Cloud) -> None:
        assert (await cloud.survey()).ahead == pytest.approx(-skew, abs=1.0)

    run(tale, skew=skew)


@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
def test_a_run_dies_before_or_after_what_it_writes(when: str, made: int) -> None:
    async def tale(place: World, session: Session, cloud: Cloud) -> None:
        for _ in range(2):  # a dead run does nothing more
            with pytest.raises(Killed):
                await cloud.create_placement_group("demo-pg", LABELS)
        assert len(place.project.placement_groups) == made
        assert session.writes == ["POST /placement_groups"]

    run(tale, kill_at=f"{when} POST /placement_groups")


def test_a_server_that_is_deleted_while_it_is_made_is_no_wait_for_ever() -> None:
    async def tale(place: World, _session: Session, cloud: Cloud) -> None:
        making = asyncio.ensure_future(cloud.create_server(await ordered(cloud)))
        await faults.until(lambda: place.server(NAME) is not None, "the order")
        server = place.server(NAME)
        assert server is not None
        await faults.insist(place, "DELETE", f"/servers/{server.id}", lambda: place.server(NAME) is None)
        with pytest.raises(CloudUnavailable, match="was deleted while it was being made"):
            await making

    run(tale)


def test_a_machine_that_fails_is_told_long_before_the_wait_ends() -> None:
    async def tale(place: World, _session: Session, cloud: Cloud) -> None:
        place.machines.broken = True
        with pytest.raises(CloudUnavailable, match="create_server failed"):
            await cloud.create_server(await ordered(cloud))
        assert place.clock.monotonic() < 120

    run(tale)


@pytest.mark.parametrize(("times", "comes"), [(12, True), (None, False)])
def test_listings_that_fail_while_a_server_is_awaited(times: int | None, comes: bool) -> None:
    """Two that fail are borne, each asked for six times; what refuses for ever ends the wait."""

    async def tale(place: World, _session: Session, cloud: Cloud) -> None:
        order = await ordered(cloud)
        await ApiFault("error", method="GET", path="/servers", code="timeout", times=times).strike(place)
        server = await asyncio.gather(cloud.create_server(order), return_exceptions=True)
        assert isinstance(server[0], Server if comes else CloudUnavailable)

    run(tale)


def test_a_server_that_the_listing_leaves_out_is_asked_for_by_its_id() -> None:
    async def tale(place: World, session: Session, cloud: Cloud) -> None:
        order = await ordered(cloud)
        await ApiFault("incomplete_page", method="GET", path="/servers", entries=50, times=None).strike(place)
        assert (await cloud.create_server(order)).public_ipv4
        assert "GET /servers/{id}" in session.hetzner.requests

    run(tale)


def test_actions_and_listings_that_cannot_be_read_are_no_success() -> None:
    async def tale(place: World, _session: Session, cloud: Cloud) -> None:
        server = await cloud.create_server(await ordered(cloud))
        faults.ask(place, "POST", f"/servers/{server.id}/actions/poweroff")
        await asyncio.sleep(30)
        hidden = ApiFault("incomplete_page", method="GET", path="/actions", entries=50, times=None)
        await hidden.strike(place)
        with pytest.raises(CloudUnavailable, match="does not know action"):
            await cloud.power_on(server.id)
        await hidden.heal(place)
        await ApiFault("error", method="GET", path="/servers", code="service_error", times=None).strike(place)
        with pytest.raises(CloudUnavailable, match="service_error") as failed:
            await cloud.delete("server", server.id)
        assert failed.value.code == "service_error"

    run(tale)


def test_a_short_action_is_noticed_soon_also_after_a_long_one() -> None:
    """The pauses between two looks grow with each action; the next action begins with a short one again."""

    async def tale(place: World, _session: Session, cloud: Cloud) -> None:
        server = await cloud.create_server(await ordered(cloud))
        firewall = await cloud.create_firewall("demo", [], "cluster=other", LABELS)
        await cloud.power_off(server.id)
        began = place.clock.monotonic()
        await cloud.change_type(server.id, "cpx32")
        assert place.clock.monotonic() - began > 20
        began = place.clock.monotonic()
        await cloud.set_firewall_rules(firewall.id, [SSH_RULE])
        assert place.clock.monotonic() - began < 3

    run(tale, latency="typical")


def test_a_taken_name_is_adopted_only_with_the_labels_asked_for() -> None:
    async def tale(_place: World, session: Session, cloud: Cloud) -> None:
        order = await ordered(cloud)
        server = await cloud.create_server(order)
        assert (await cloud.create_server(order)).id == server.id
        with pytest.raises(CloudConflict, match="does not carry the labels"):
            await cloud.create_server(replace(order, labels={"cluster": "other"}))
        assert (await cloud.create_ssh_key("another name", KEY)).id == order.ssh_key
        assert session.writes.count("POST /servers") == 3

    run(tale)


def test_three_lost_answers_end_the_asking() -> None:
    async def tale(place: World, session: Session, cloud: Cloud) -> None:
        await ApiFault("error", method="POST", path="/networks", code="server_error", times=None).strike(place)
        with pytest.raises(CloudUnavailable) as failed:
            await cloud.create_network("demo", "10.0.0.0/16", "eu-central", LABELS)
        assert failed.value.fate is Fate.MAY_HAVE_HAPPENED
        assert session.writes == ["POST /networks"] * 3

    run(tale)


def test_what_is_in_use_or_protected_is_not_deleted() -> None:
    async def tale(place: World, _session: Session, cloud: Cloud) -> None:
        server = await cloud.create_server(await ordered(cloud))
        firewall = await cloud.create_firewall("demo", [], "cluster=demo", LABELS)
        await asyncio.sleep(30)
        with pytest.raises(CloudConflict, match="on servers that are not deleted with it"):
            await cloud.delete("firewall", firewall.id)
        faults.ask(place, "POST", f"/servers/{server.id}/actions/change_protection", b'{"delete":true,"rebuild":true}')
        await asyncio.sleep(30)
        with pytest.raises(CloudError, match="protected"):
            await cloud.delete("server", server.id)
        await cloud.delete("server", server.id + 1)  # what is absent is deleted

    run(tale)


def test_an_image_that_is_a_number_is_asked_for_by_it() -> None:
    async def tale(_place: World, _session: Session, cloud: Cloud) -> None:
        images = (await cloud.assortment(frozenset({"67794396", "1"}))).images
        assert images == {"67794396": frozenset({"x86"}), "1": frozenset()}

    run(tale)


@pytest.mark.parametrize("code", ["server_error", "forbidden"])
def test_a_server_that_cannot_be_asked_for_is_not_absent(code: str) -> None:
    async def tale(place: World, _session: Session, cloud: Cloud) -> None:
        assert not await cloud.server_exists(7)
        await ApiFault("error", code=code, times=None).strike(place)
        with pytest.raises(CloudError, match=code):
            await cloud.server_exists(7)
        with pytest.raises(CloudError, match=code):
            await cloud.delete("server", 7)
        with pytest.raises(CloudError, match=code):
            await cloud.grant_of(Secret(OTHER_TOKEN), 7)

    run(tale)


def test_what_another_token_opens() -> None:
    async def tale(_place: World, session: Session, cloud: Cloud) -> None:
        firewall = await cloud.create_firewall("demo", (), "cluster=demo", LABELS)
        tokens = (session.token, OTHER_TOKEN, "unknown", "a line\nbreak")
        assert [await cloud.grant_of(Secret(token), firewall.id) for token in tokens] == [
            TokenGrant.CLUSTERS_PROJECT,
            TokenGrant.OTHER_PROJECT,
            TokenGrant.NOTHING,
            TokenGrant.NOTHING,
        ]

    run(tale)
