"""The adapter gives a load balancer what somebody took off it, over HTTP, and nothing that is there already."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hetzner_k3s.adapters.hetzner import HetznerCloud
from hetzner_k3s.model.cloud import BalancerTarget, LoadBalancer
from hetzner_k3s.model.errors import CloudConflict, CloudError
from hetzner_k3s.model.hetzner.load_balancing import API_SERVICE

from .deadlines import eventually
from .running_lab import Lab
from .test_hetzner_adapter import cloud_of, fault, order_of, requests_of, run

SELECTOR = "cluster=demo,role=master,hetzner-k3s/state=member"
OF_2X = "cluster=demo,role=master"
TARGET = BalancerTarget(kind="label_selector", name=SELECTOR, private=True)


def selected(selector: str) -> dict[str, Any]:
    return {"type": "label_selector", "label_selector": {"selector": selector}}


async def made(cloud: HetznerCloud) -> tuple[LoadBalancer, int]:
    network = (await order_of(cloud)).network
    assert network is not None
    return await cloud.create_load_balancer("demo-api", "fsn1", network, SELECTOR, {"cluster": "demo"}), network


async def by_hand(lab: Lab, balancer: LoadBalancer, command: str, body: dict[str, Any]) -> None:
    """Do something at Hetzner beside the tool, and wait until it is done."""

    def ask() -> None:
        answer = lab.send("POST", f"/load_balancers/{balancer.id}/actions/{command}", json=body)
        assert answer.status_code == 201, answer.text
        path = f"/actions/{answer.json()['action']['id']}"
        eventually(lambda: lab.send("GET", path).json()["action"]["status"] == "success")

    await asyncio.to_thread(ask)


def commands(lab: Lab) -> list[str]:
    return [path.rpartition("/")[2] for path in requests_of(lab, "POST", "/load_balancers/")]


async def corrected(lab: Lab, damage: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """Do damage, correct it twice, and return what the corrections asked for."""
    cloud = cloud_of(lab)
    balancer, network = await made(cloud)
    for command, body in damage:
        await by_hand(lab, balancer, command, {**body, **({"network": network} if "network" in command else {})})
    before = len(commands(lab))
    after = await cloud.correct_load_balancer(balancer.id, network, SELECTOR)
    asked = commands(lab)[before:]
    assert API_SERVICE in after.services
    assert network in after.private_ips
    assert await cloud.correct_load_balancer(balancer.id, network, SELECTOR) == after
    assert commands(lab)[before:] == asked, "the second correction asked for something"
    return asked


OFF = [("remove_target", selected(SELECTOR))]
CHECKED = ["update_service"]
DAMAGE: dict[str, tuple[list[tuple[str, dict[str, Any]]], list[str]]] = {
    "nothing": ([], []),
    "no target": (OFF, ["add_target"]),
    "no service": ([("delete_service", {"listen_port": 6443})], ["add_service"]),
    "no network": ([("detach_from_network", {})], ["attach_to_network"]),
    "all of it": (
        [*OFF, ("delete_service", {"listen_port": 6443}), ("detach_from_network", {})],
        ["attach_to_network", "add_target", "add_service"],
    ),
    "PROXY protocol": ([("update_service", {"listen_port": 6443, "proxyprotocol": True})], ["update_service"]),
    "the check of 2.x": ([("update_service", {"listen_port": 6443, "health_check": {"protocol": "tcp"}})], CHECKED),
    "a check of somebody's": (
        [("update_service", {"listen_port": 6443, "health_check": {"http": {"domain": "api", "response": "ok"}}})],
        CHECKED,
    ),
    "public addresses": ([*OFF, ("add_target", selected(SELECTOR))], ["remove_target", "add_target"]),
    "the selector of 2.x": ([*OFF, ("add_target", {**selected(OF_2X), "use_private_ip": True})], []),
    "another service too": (
        [("add_service", {"protocol": "tcp", "listen_port": 80, "destination_port": 30080})],
        [],
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_load_balancer_gets_back_what_it_lacks(lab: Lab, damage: str) -> None:
    done, asked = DAMAGE[damage]
    assert run(corrected(lab, done)) == asked


async def insisted(cloud: HetznerCloud, balancer: LoadBalancer, network: int) -> LoadBalancer:
    """Correct it again as long as it is locked by an action of which no answer told."""
    for _ in range(50):
        try:
            return await cloud.correct_load_balancer(balancer.id, network, SELECTOR)
        except CloudConflict as locked:
            assert "locked" in str(locked)  # noqa: PT017 - any other refusal ends the test
        await asyncio.sleep(0.05)
    raise TimeoutError


def test_an_action_whose_answer_is_lost_is_done_once(lab: Lab) -> None:
    """Of each action the answer is lost once; the repetition is told that it is there already."""

    async def story() -> None:
        cloud = cloud_of(lab)
        balancer, network = await made(cloud)
        for command, body in DAMAGE["all of it"][0]:
            await by_hand(lab, balancer, command, {**body, "network": network} if "network" in command else body)
        for command in ("attach_to_network", "add_target", "add_service"):
            fault(lab, effect="drop", method="POST", path=f"/load_balancers/{balancer.id}/actions/{command}")
        after = await insisted(cloud, balancer, network)
        assert (after.services, after.targets) == ((API_SERVICE,), (TARGET,))
        assert network in after.private_ips

    run(story())


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("add_target", "target_already_defined"),
        ("add_service", "source_port_already_used"),
    ],
)
def test_what_is_there_already_is_success(lab: Lab, command: str, code: str) -> None:
    """Another run was quicker; what comes after it is done all the same."""

    async def story() -> None:
        cloud = cloud_of(lab)
        balancer, network = await made(cloud)
        for undo, body in DAMAGE["all of it"][0]:
            await by_hand(lab, balancer, undo, {**body, "network": network} if "network" in undo else body)
        fault(lab, effect="error", method="POST", path=f"/load_balancers/{balancer.id}/actions/{command}", code=code)
        after = await cloud.correct_load_balancer(balancer.id, network, SELECTOR)
        assert after.services == (() if command == "add_service" else (API_SERVICE,))
        assert after.targets == (() if command == "add_target" else (TARGET,))

    run(story())


def test_one_that_is_gone_is_refused(lab: Lab) -> None:
    with pytest.raises(CloudError, match="not_found"):
        run(cloud_of(lab).correct_load_balancer(4711, 1, SELECTOR))


def test_a_refused_correction_is_no_success(lab: Lab) -> None:
    async def story() -> None:
        cloud = cloud_of(lab)
        balancer, network = await made(cloud)
        await by_hand(lab, balancer, "remove_target", selected(SELECTOR))
        path = f"/load_balancers/{balancer.id}/actions/add_target"
        fault(lab, effect="error", method="POST", path=path, code="resource_limit_exceeded", always=True)
        with pytest.raises(CloudError, match="resource_limit_exceeded"):
            await cloud.correct_load_balancer(balancer.id, network, SELECTOR)

    run(story())
