"""What stands on the way to Hetzner: pages of gateways, answers cut short, without an end; what a user sees of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from hetzner_k3s.lab.simulated import virtual_time
from hetzner_k3s.lab.simulated.faults import ApiFault, PoweredOff
from hetzner_k3s.lab.simulated.wires.obstacles import Obstacle
from hetzner_k3s.lab.simulated.world import Session, World, world
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.errors import CloudRefused, CloudUnavailable, ExitCode
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.ports import Cloud

from . import tool
from .clusters import MASTER1, WORKER1, a_spec
from .spoiling import bare, cut, flooding, page, trickling, with_fields
from .story import healthy
from .test_hetzner_transport import NAME, ordered
from .test_hetzner_transport import run as told_to
from .tool import Run

SMALL = a_spec(1, 0)


def born(*obstacles: Obstacle, spec: ClusterSpec = SMALL, types: int = 0) -> tuple[Run, Counter[str]]:
    """Run `create` for a new cluster; return how it ended and the servers that there are then, by name.

    Args:
        types: how many more server types Hetzner lists, before those that it has.
    """

    async def tell() -> tuple[Run, Counter[str]]:
        async with world(1) as place:
            place.obstacles += obstacles
            sold = place.cloud.world.catalogue.server_types
            more = (replace(sold[0], id=1000 + number, name=f"old{number}") for number in range(types))
            place.cloud.world.catalogue.server_types = (*more, *sold)
            run = await tool.create(place, spec)
            return run, Counter(server.name for server in place.project.servers.values())

    return virtual_time.run(tell())


def is_born(run: Run) -> None:
    assert run.code is ExitCode.CONVERGED, run.story()


def has_looked_in_vain(run: Run, servers: Counter[str], *words: str) -> None:
    """Demand that nothing was done on a listing that is none, and that the user reads why."""
    assert (run.code, run.refused, run.writes, servers) == (ExitCode.REFUSED, ("listing.incomplete",), [], {}), (
        run.story()
    )
    assert [refusal.saw for refusal in run.told.refusals] == [f"The Hetzner listing is incomplete: {''.join(words)}."]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_page_of_a_gateway_that_passes_is_no_reason_to_stop(status: int) -> None:
    """Seen: "Hetzner refused GET /servers: Too Many Requests (429)" and exit code 5, at the first such page."""
    run, servers = born(Obstacle(page(status), path="/servers", asks=False, times=4))
    is_born(run)
    assert servers == {MASTER1: 1}


def test_a_page_of_a_gateway_that_stays_is_no_empty_project() -> None:
    run, servers = born(Obstacle(page(502), path="/servers", asks=False, times=None))
    has_looked_in_vain(run, servers, "Hetzner failed at GET /servers: Bad Gateway (502)")
    run, servers = born(Obstacle(page(404), path="/servers", asks=False, times=None))
    assert (run.code, run.writes, servers) == (ExitCode.CLOUD_REFUSED, [], {}), run.story()
    assert str(run.error) == "Hetzner refused GET /servers: Not Found (404)"


def test_a_listing_that_is_too_long_is_none() -> None:
    problem = "Hetzner answered GET /servers with what cannot be read: "
    run, servers = born(Obstacle(flooding, path="/servers", times=None))
    has_looked_in_vain(run, servers, problem, "it is longer than 16 MiB")
    pages = with_fields(lambda told: told["meta"]["pagination"].update(last_page=10**6))
    run, servers = born(Obstacle(pages, path="/servers", times=None))
    has_looked_in_vain(run, servers, problem, "it has more than 200 pages")


def test_orders_whose_answers_are_cut_short_are_placed_once() -> None:
    spec = a_spec(3, 1, load_balancer=True)
    run, servers = born(Obstacle(cut, method="POST", path="/v1/[a-z_]+", times=None), spec=spec)
    is_born(run)
    assert servers == dict.fromkeys((server.name for server in spec.servers()), 1)
    orders = Counter(line for line in run.writes if line.startswith("POST /") and line.count("/") == 1)
    assert orders.pop("POST /servers") == len(servers)
    assert orders == {
        "POST /ssh_keys": 1,
        "POST /networks": 1,
        "POST /firewalls": 1,
        "POST /load_balancers": 1,
        "POST /placement_groups": 3,
    }


def test_an_order_whose_answer_has_no_end_is_looked_up_after_two_minutes() -> None:
    run, servers = born(Obstacle(trickling, method="POST", path="/servers"))
    is_born(run)
    assert (servers, run.writes.count("POST /servers")) == ({MASTER1: 1}, 1)
    assert 120 < run.seconds < 240


def test_a_server_type_on_the_second_page_of_the_catalogue_is_known() -> None:
    is_born(born(types=60)[0])


def test_a_catalogue_without_an_end_is_not_compared() -> None:
    on = with_fields(lambda told: told["meta"]["pagination"].update(next_page=2))
    run, _ = born(Obstacle(on, path="/server_types", times=None))
    is_born(run)
    assert run.notes == (
        "server types, images and locations were not compared with Hetzner's catalogue: "
        "Hetzner answered GET /server_types with what cannot be read: it has more than 200 pages",
    )


def test_prices_that_are_none_leave_the_bill_unknown() -> None:
    def unpriced(told: dict[str, Any]) -> None:
        for sold in told["server_types"]:
            for price in sold["prices"]:
                price["price_monthly"]["net"] = "a lot"

    run, _ = born(Obstacle(with_fields(unpriced), path="/server_types", times=None))
    is_born(run)
    assert run.told.forecast is not None
    assert run.told.forecast.purchase.monthly is None


def test_without_dated_answers_the_clusters_clock_is_the_judge() -> None:
    async def tell() -> None:
        async with healthy(1, SMALL) as story:
            story.world.obstacles.append(Obstacle(bare, path="/v1/.*", times=None))
            run = await story.create(skew=400)
            assert (run.code, run.refused, run.writes) == (ExitCode.REFUSED, ("clock.own",), []), run.story()
            assert "the cluster's clock says 20" in run.told.refusals[0].saw

    virtual_time.run(tell())


def test_servers_that_are_listed_without_addresses_are_there_and_unreachable() -> None:
    async def tell() -> None:
        async with healthy(1, SMALL) as story:
            bare_servers = with_fields(lambda told: [server.pop("public_net") for server in told["servers"]])
            story.world.obstacles.append(Obstacle(bare_servers, path="/servers", times=None))
            run = await story.create()
            assert (run.code, run.refused) == (ExitCode.REFUSED, ("masters.none-healthy",)), run.story()
            assert f"{MASTER1}: unreachable (it has no address yet)" in run.told.refusals[0].saw
            assert not [line for line in run.writes if "/servers" in line], run.story()

    virtual_time.run(tell())


def _failed(told: dict[str, Any]) -> None:
    error = {"code": "no_space_left_in_location", "message": "no space"}
    for action in (told["action"], *told.get("next_actions", ())):
        action.update(status="error", error=error)


def test_an_action_that_failed_at_once_is_named_and_begun_again() -> None:
    async def tell() -> None:
        async with healthy(1, a_spec(1, 1)) as story:
            await story.happens(PoweredOff(WORKER1))
            story.world.obstacles.append(Obstacle(with_fields(_failed), method="POST", path="/actions/poweron"))
            run = await story.create()
            told = "FAILED, trying again: Hetzner: start_server failed: no space (no_space_left_in_location)"
            assert any(told in line for line in run.told.lines), run.story()
            await story.is_converged(WORKER1)

    virtual_time.run(tell())


def test_an_order_that_failed_at_once_is_not_waited_for() -> None:
    """Seen: fifteen minutes of waiting for a server whose making had failed with the very answer to its order."""

    async def tale(place: World, _session: Session, cloud: Cloud) -> None:
        place.machines.broken = True
        place.obstacles.append(Obstacle(with_fields(_failed), method="POST", path="/servers"))
        with pytest.raises(CloudUnavailable, match="create_server failed: no space"):
            await cloud.create_server(await ordered(cloud))
        assert place.clock.monotonic() < 10

    told_to(tale)


def test_a_server_that_never_runs_is_waited_for_a_quarter_of_an_hour() -> None:
    async def tale(place: World, _session: Session, cloud: Cloud) -> None:
        off = with_fields(lambda told: [server.update(status="starting") for server in told["servers"]])
        place.obstacles.append(Obstacle(off, path="/servers", method="GET", times=None))
        with pytest.raises(CloudUnavailable, match=f"{NAME} is starting, after 900 s not running"):
            await cloud.create_server(await ordered(cloud))

    told_to(tale)


def test_a_server_that_is_not_listed_and_may_not_be_asked_for_ends_the_wait() -> None:
    async def tale(place: World, _session: Session, cloud: Cloud) -> None:
        order = await ordered(cloud)
        await ApiFault("incomplete_page", method="GET", path="/servers", entries=50, times=None).strike(place)
        await ApiFault("error", method="GET", path=r"/servers/\d+", code="forbidden", times=None).strike(place)
        with pytest.raises(CloudRefused, match="forbidden"):
            await cloud.create_server(order)

    told_to(tale)


def test_a_server_that_is_spoken_to_during_a_look_has_come_then() -> None:
    """The look brings another state of it afterwards, and nobody waits for it any more."""

    async def tale(place: World, _session: Session, cloud: Cloud) -> None:
        order = await ordered(cloud)
        await ApiFault("delay", method="GET", path="/servers", seconds=25, times=None).strike(place)
        made: list[Server] = []
        making = asyncio.ensure_future(cloud.create_server(order, made=made.append))
        await asyncio.sleep(10)
        cloud.arrived(made[0].id, "10.0.0.7")
        assert (await making).private_ips == {order.network: "10.0.0.7"}
        assert place.clock.monotonic() < 15
        cloud.arrived(made[0].id, "10.0.0.8")
        await asyncio.sleep(60)

    told_to(tale)


def test_an_action_that_ends_too_late_is_told_as_unfinished() -> None:
    async def tale(place: World, _session: Session, cloud: Cloud) -> None:
        server = await cloud.create_server(await ordered(cloud))
        await ApiFault("delay", method="GET", path="/actions", seconds=25, times=None).strike(place)
        runs = with_fields(lambda told: [action.update(status="running") for action in told["actions"]])
        place.obstacles.append(Obstacle(runs, path="/actions", times=6))
        with pytest.raises(CloudUnavailable, match=r"did not finish action \[\d+\] in 180 s"):
            await cloud.power_off(server.id)
        await asyncio.sleep(60)

    told_to(tale)
