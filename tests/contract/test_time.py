"""Modelled time, step by step: what is seen between an order and its end, and what happens when it fails."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hetzner_k3s.lab.cloud.effects.machines import MachineSpec
from hetzner_k3s.lab.cloud.effects.no_machines import NoMachines
from hetzner_k3s.lab.cloud.latency import Latency, Spread
from hetzner_k3s.lab.cloud.limits import Quotas

from .running_lab import SeededRng
from .virtual_time import SteppedCloud


def statuses(stepped: SteppedCloud, number: int) -> list[str]:
    """Give the different statuses a server shows until the cloud rests."""
    seen = [stepped.server(number)["status"]]
    for _ in stepped.moments():
        status = stepped.server(number).get("status", "gone")
        if status != seen[-1]:
            seen.append(status)
    return seen


def test_the_path_of_a_new_server() -> None:
    stepped = SteppedCloud()
    number = stepped.order()["server"]["id"]
    assert statuses(stepped, number) == ["initializing", "starting", "running"]
    assert 3 < stepped.clock.seconds < 300
    still = SteppedCloud()
    assert statuses(still, still.order(start_after_create=False)["server"]["id"]) == ["initializing", "off"]


def test_nothing_takes_time_in_the_instant_profile() -> None:
    stepped = SteppedCloud("instant")
    stepped.order()
    stepped.settle()
    assert stepped.clock.seconds == 0


@pytest.mark.parametrize(
    ("action", "path"),
    [
        ("poweroff", ["running", "stopping", "off"]),
        ("shutdown", ["running", "stopping", "off"]),
        ("reset", ["running"]),
    ],
)
def test_the_path_of_an_action(action: str, path: list[str]) -> None:
    stepped = SteppedCloud()
    number = stepped.order()["server"]["id"]
    stepped.settle()
    stepped.ask("POST", f"/servers/{number}/actions/{action}")
    assert statuses(stepped, number) == path


def test_the_same_seed_repeats_and_another_does_not() -> None:
    def story(seed: int) -> list[Any]:
        stepped = SteppedCloud(seed=seed)
        orders = [stepped.order(f"node{number}") for number in range(5)]
        stepped.settle()
        return [orders, stepped.clock.seconds]

    assert story(1) == story(1)
    assert story(1)[1] != story(2)[1]


def test_a_busy_server_is_locked() -> None:
    stepped = SteppedCloud()
    number = stepped.order()["server"]["id"]
    assert stepped.server(number)["locked"] is False
    assert stepped.ask("POST", f"/servers/{number}/actions/poweroff")["error"]["code"] == "locked"
    stepped.settle()
    stepped.ask("POST", f"/servers/{number}/actions/reboot")
    assert stepped.server(number)["locked"] is True
    assert stepped.ask("POST", f"/servers/{number}/actions/poweroff")["error"]["code"] == "locked"
    assert stepped.ask("PUT", f"/servers/{number}", labels={"a": "b"})["server"]["labels"] == {"a": "b"}
    stepped.settle()
    assert stepped.server(number)["locked"] is False


def test_switching_on_a_server_that_is_being_made_waits_for_it() -> None:
    stepped = SteppedCloud()
    order = stepped.order()
    number = order["server"]["id"]
    starting = order["next_actions"][-1]
    assert starting["command"] == "start_server"
    for _ in stepped.moments():
        if stepped.server(number)["status"] == "running":
            break
        assert stepped.ask("POST", f"/servers/{number}/actions/poweron")["action"]["id"] == starting["id"]
    stepped.settle()
    again = stepped.ask("POST", f"/servers/{number}/actions/poweron")["action"]
    assert again["id"] != starting["id"]


def test_a_server_that_is_not_to_start_is_not_switched_on_while_it_is_made() -> None:
    stepped = SteppedCloud()
    number = stepped.order(start_after_create=False)["server"]["id"]
    assert stepped.ask("POST", f"/servers/{number}/actions/poweron")["error"]["code"] == "locked"
    stepped.settle()
    assert stepped.server(number)["status"] == "off"
    stepped.ask("POST", f"/servers/{number}/actions/poweron")
    stepped.settle()
    assert stepped.server(number)["status"] == "running"


def test_deletion_ends_what_is_under_way() -> None:
    stepped = SteppedCloud()
    order = stepped.order()
    number = order["server"]["id"]
    next(stepped.moments())
    deletion = stepped.ask("DELETE", f"/servers/{number}")["action"]
    assert stepped.ask("DELETE", f"/servers/{number}")["error"]["code"] == "locked"
    for action in (order["action"], *order["next_actions"]):
        ended = stepped.ask("GET", f"/actions/{action['id']}")["action"]
        assert (ended["status"], ended["error"]["code"]) == ("error", "server_does_not_exist_anymore")
    assert statuses(stepped, number) == ["deleting", "gone"]
    assert stepped.ask("GET", f"/actions/{deletion['id']}")["action"]["status"] == "success"
    assert stepped.machines.specs == {}


def make_network(stepped: SteppedCloud) -> int:
    """Make a network with one subnet as large as itself, and give its id."""
    subnet = {"type": "cloud", "ip_range": "10.0.0.0/16", "network_zone": "eu-central"}
    number = stepped.ask("POST", "/networks", name="n", ip_range="10.0.0.0/16", subnets=[subnet])["network"]["id"]
    return int(number)


def test_the_private_address_is_seen_when_its_action_is_over() -> None:
    stepped = SteppedCloud()
    order = stepped.order(networks=[make_network(stepped)])
    assert order["server"]["private_net"] == []
    attaching = order["next_actions"][0]
    assert attaching["command"] == "attach_to_network"
    for _ in stepped.moments():
        over = stepped.ask("GET", f"/actions/{attaching['id']}")["action"]["status"] == "success"
        assert bool(stepped.server(order["server"]["id"])["private_net"]) is over
    assert over


def test_attachments_to_one_network_wait_for_each_other() -> None:
    stepped = SteppedCloud()
    network = make_network(stepped)
    servers = [stepped.order(f"node{number}")["server"]["id"] for number in range(6)]
    stepped.settle()
    asked = [stepped.ask("POST", f"/servers/{n}/actions/attach_to_network", network=network) for n in servers]
    stepped.settle()
    ended = [stepped.ask("GET", f"/actions/{answer['action']['id']}")["action"]["finished"] for answer in asked]
    assert ended == sorted(set(ended))
    places = [stepped.server(number)["private_net"][0]["ip"] for number in servers]
    assert places == [f"10.0.0.{host}" for host in range(2, 8)]


def test_a_network_changes_once_at_a_time() -> None:
    stepped = SteppedCloud()
    number = stepped.ask("POST", "/networks", name="n", ip_range="10.0.0.0/16")["network"]["id"]
    wanted = {"type": "cloud", "network_zone": "eu-central"}
    assert stepped.ask("POST", f"/networks/{number}/actions/add_subnet", **wanted)["action"]["status"] == "running"
    assert stepped.ask("POST", f"/networks/{number}/actions/add_subnet", **wanted)["error"]["code"] == "conflict"
    stepped.settle()
    assert "action" in stepped.ask("POST", f"/networks/{number}/actions/add_subnet", **wanted)


def test_a_firewall_is_pending_before_it_is_applied() -> None:
    stepped = SteppedCloud()
    number = stepped.order(labels={"cluster": "demo"})["server"]["id"]
    stepped.settle()
    rule = {"direction": "in", "protocol": "tcp", "port": "22", "source_ips": ["0.0.0.0/0"]}
    target = {"type": "label_selector", "label_selector": {"selector": "cluster=demo"}}
    stepped.ask("POST", "/firewalls", name="edge", rules=[rule], apply_to=[target])
    seen: list[str] = []
    for _ in stepped.moments():
        seen += [entry["status"] for entry in stepped.server(number)["public_net"]["firewalls"]]
    assert seen[0] == "pending"
    assert seen[-1] == "applied"


class BrokenMachines(NoMachines):
    """Machines one of whose works fails."""

    def __init__(self, broken: str) -> None:
        super().__init__()
        self.broken = broken

    async def create(self, spec: MachineSpec) -> None:
        self._work("create")
        await super().create(spec)

    async def power_on(self, server_id: int) -> None:
        self._work("power_on")
        await super().power_on(server_id)

    async def delete(self, server_id: int) -> None:
        self._work("delete")
        await super().delete(server_id)

    def _work(self, name: str) -> None:
        if name == self.broken:
            raise OSError("no space left on device")


def test_a_machine_that_cannot_be_made_fails_all_actions() -> None:
    stepped = SteppedCloud("instant", machines=BrokenMachines("create"))
    order = stepped.order()
    stepped.settle()
    ended = [stepped.ask("GET", f"/actions/{a['id']}")["action"] for a in (order["action"], *order["next_actions"])]
    assert [action["status"] for action in ended] == ["error", "error"]
    assert "no space left on device" in ended[0]["error"]["message"]
    assert stepped.server(order["server"]["id"])["status"] == "unknown"


def test_a_machine_that_does_not_start_is_off() -> None:
    stepped = SteppedCloud("instant", machines=BrokenMachines("power_on"))
    order = stepped.order()
    stepped.settle()
    assert stepped.server(order["server"]["id"])["status"] == "off"
    assert stepped.ask("GET", f"/actions/{order['action']['id']}")["action"]["status"] == "success"
    assert stepped.ask("GET", f"/actions/{order['next_actions'][0]['id']}")["action"]["status"] == "error"


def test_a_deletion_that_fails_can_be_asked_for_again() -> None:
    machines = BrokenMachines("delete")
    stepped = SteppedCloud("instant", machines=machines)
    number = stepped.order()["server"]["id"]
    stepped.settle()
    stepped.ask("DELETE", f"/servers/{number}")
    stepped.settle()
    assert stepped.server(number)["status"] == "running"
    machines.broken = ""
    stepped.ask("DELETE", f"/servers/{number}")
    stepped.settle()
    assert stepped.server(number) == {}


def test_five_hundred_servers_take_no_real_time() -> None:
    stepped = SteppedCloud()
    for number in range(500):
        stepped.order(f"node{number}")
    stepped.settle()
    answer = stepped.ask("GET", "/servers")
    assert answer["meta"]["pagination"]["total_entries"] == 500
    assert {server["status"] for server in answer["servers"]} == {"running"}


def test_modelled_durations_have_their_median_and_tail() -> None:
    spread = Spread(15, 75)
    assert spread.at(0.5) == pytest.approx(15)
    assert spread.at(0.95) == pytest.approx(75)
    latency = Latency("typical", SeededRng(3))
    drawn = sorted(latency.seconds("create_server") for _ in range(400))
    assert 10 < drawn[200] < 20
    assert Latency("instant", SeededRng(3)).seconds("create_server") == 0


def test_quotas_are_refused_before_anything_is_taken() -> None:
    stepped = SteppedCloud("instant", quotas=Quotas(servers=2, primary_ips=3))
    stepped.order("one")
    refused = stepped.order("two")["error"]
    assert (refused["code"], refused["details"]) == (
        "resource_limit_exceeded",
        {"limits": [{"name": "primary_ip_limit"}]},
    )
    public = {"enable_ipv4": True, "enable_ipv6": False}
    assert stepped.order("two", public_net=public)["server"]["public_net"]["ipv4"]["ip"] == "198.51.100.11"
    assert stepped.order("three")["error"]["message"] == "server limit exceeded"


def test_a_load_balancer_is_deleted_while_a_target_is_being_removed() -> None:
    stepped = SteppedCloud()
    target = {"type": "label_selector", "label_selector": {"selector": "a=b"}}
    balancer = {"name": "lb", "load_balancer_type": "lb11", "location": "nbg1", "targets": [target]}
    lb = stepped.ask("POST", "/load_balancers", **balancer)["load_balancer"]["id"]
    stepped.settle()
    removal = stepped.ask("POST", f"/load_balancers/{lb}/actions/remove_target", **target)["action"]
    assert removal["status"] == "running"
    deletion = stepped.ask("DELETE", f"/load_balancers/{lb}")["action"]
    ended = stepped.ask("GET", f"/actions/{removal['id']}")["action"]
    assert (ended["status"], ended["error"]["code"]) == ("error", "load_balancer_does_not_exist_anymore")
    assert stepped.ask("DELETE", f"/load_balancers/{lb}")["error"]["code"] == "conflict"
    stepped.settle()
    assert stepped.ask("GET", f"/actions/{deletion['id']}")["action"]["status"] == "success"
    assert stepped.ask("GET", f"/load_balancers/{lb}")["error"]["code"] == "not_found"
    assert stepped.machines.balancers == {}


def test_a_load_balancer_is_deleted_while_it_is_made() -> None:
    stepped = SteppedCloud()
    balancer = {"name": "lb", "load_balancer_type": "lb11", "location": "nbg1"}
    lb = stepped.ask("POST", "/load_balancers", **balancer)["load_balancer"]["id"]
    next(stepped.moments())
    assert stepped.ask("DELETE", f"/load_balancers/{lb}")["action"]["status"] == "running"
    stepped.settle()
    assert stepped.ask("GET", f"/load_balancers/{lb}")["error"]["code"] == "not_found"
    assert stepped.machines.balancers == {}


class SlowFarewell(NoMachines):
    """Machines whose load balancers take their time to go; `going` tells that one has begun to."""

    def __init__(self) -> None:
        super().__init__()
        self.going, self.go_on = asyncio.Event(), asyncio.Event()

    async def unbalance(self, balancer_id: int) -> None:
        self.going.set()
        await self.go_on.wait()
        await super().unbalance(balancer_id)


def test_a_load_balancer_that_goes_does_not_come_back_when_its_targets_change() -> None:
    machines = SlowFarewell()
    stepped = SteppedCloud("instant", machines=machines)
    number = stepped.order("s1", labels={"a": "b"})["server"]["id"]
    target = {"type": "label_selector", "label_selector": {"selector": "a=b"}}
    balancer = {"name": "lb", "load_balancer_type": "lb11", "location": "nbg1", "targets": [target]}
    lb = stepped.ask("POST", "/load_balancers", **balancer)["load_balancer"]["id"]
    stepped.settle()
    assert lb in machines.balancers

    async def delete_both() -> None:
        driver = asyncio.create_task(stepped.cloud.run())
        stepped.ask("DELETE", f"/load_balancers/{lb}")
        await machines.going.wait()
        stepped.ask("DELETE", f"/servers/{number}")
        while stepped.server(number):  # noqa: ASYNC110 - the cloud tells nobody
            await asyncio.sleep(0)
        machines.go_on.set()
        while stepped.ask("GET", f"/load_balancers/{lb}").get("load_balancer"):  # noqa: ASYNC110
            await asyncio.sleep(0)
        for _ in range(100):  # let whatever waited behind the farewell have its turn
            await asyncio.sleep(0)
        driver.cancel()

    asyncio.run(delete_both())
    assert machines.balancers == {}
