"""What the shipped adapters seldom meet: what is there already, taken, in use, refused or not listed."""

from __future__ import annotations

import asyncio
import json
from contextlib import nullcontext

import pytest

from hetzner_k3s.adapters.hetzner import HetznerCloud
from hetzner_k3s.adapters.kube import K3sApi
from hetzner_k3s.cli import simulated
from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.faults import ApiFault
from hetzner_k3s.lab.simulated.world import Session, World
from hetzner_k3s.model.cloud import FirewallRule
from hetzner_k3s.model.errors import CloudConflict, CloudRefused, CloudUnavailable
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.kubernetes.node_labels import NodeChange, NodeKeys
from hetzner_k3s.ports import Cloud

from .clusters import WORKER1
from .story import Story
from .test_hetzner_transport import KEY, LABELS, ordered, run
from .test_kube_requests import played

SELECTOR = "cluster=demo"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHx0lPGkBu0Lk9nTnVsRfDxjKqD2tVbPXcE0e7XoBCGZ other"


async def refused(place: World, path: str, code: str, *, method: str = "POST") -> None:
    """Have Hetzner refuse what is asked of a path."""
    await ApiFault("error", method=method, path=path, code=code).strike(place)


def test_a_key_of_another_under_the_name_is_a_conflict() -> None:
    async def tale(_place: World, _session: Session, cloud: Cloud) -> None:
        key = await cloud.create_ssh_key("demo", KEY)
        assert (await cloud.create_ssh_key("another-name", KEY)).id == key.id
        with pytest.raises(CloudConflict):
            await cloud.create_ssh_key("demo", OTHER_KEY)

    run(tale)


def test_a_firewall_is_made_once_and_applied_however_often() -> None:
    async def tale(place: World, session: Session, cloud: Cloud) -> None:
        rules = (FirewallRule(direction="in", protocol="tcp", port="22", networks=("0.0.0.0/0",)),)
        firewall = await cloud.create_firewall("demo", rules, SELECTOR, LABELS)
        assert (await cloud.create_firewall("demo", rules, SELECTOR, LABELS)).id == firewall.id
        await cloud.apply_firewall(firewall.id, SELECTOR)
        await cloud.apply_firewall(firewall.id, "role=other")
        assert session.hetzner.requests[-1].startswith("GET /actions"), "it is not waited until it is applied"
        await refused(place, r"/firewalls/\d+/actions/apply_to_resources", "invalid_input")
        with pytest.raises(CloudRefused):
            await cloud.apply_firewall(firewall.id, "role=third")

    run(tale)


@pytest.mark.parametrize("selected", [True, False])
def test_a_firewall_goes_with_or_without_its_selector(selected: bool) -> None:
    async def tale(place: World, _session: Session, cloud: Cloud) -> None:
        applied = [{"type": "label_selector", "label_selector": {"selector": SELECTOR}}] if selected else []
        faults.ask(place, "POST", "/firewalls", json.dumps({"name": "f", "rules": [], "apply_to": applied}).encode())
        (number,) = place.project.firewalls
        await cloud.delete("firewall", number)
        assert not place.project.firewalls

    run(tale)


@pytest.mark.parametrize("unused", [True, False])
@pytest.mark.parametrize("forbidden", [True, False])
def test_a_selector_that_is_gone_already_is_no_reason_to_keep_a_firewall(forbidden: bool, unused: bool) -> None:
    """The answer to its removal was lost, and the next one is refused."""

    async def tale(place: World, _session: Session, cloud: Cloud) -> None:
        firewall = await cloud.create_firewall("demo", (), SELECTOR, LABELS)
        removal = r"/firewalls/\d+/actions/remove_from_resources"
        if forbidden:
            await refused(place, removal, "forbidden")
        else:
            await ApiFault("drop", method="POST", path=removal).strike(place)
        with pytest.raises(CloudRefused) if forbidden else nullcontext():
            if unused:
                await cloud.delete_unused_firewall(firewall.id, [SELECTOR])
            else:
                await cloud.delete("firewall", firewall.id)
        assert bool(place.project.firewalls) is forbidden

    run(tale)


def test_what_stays_in_use_is_not_deleted_and_what_is_forbidden_is_not_asked_again() -> None:
    async def tale(place: World, session: Session, cloud: Cloud) -> None:
        group = await cloud.create_placement_group("demo-pg", LABELS)
        in_use = ApiFault("error", method="DELETE", code="resource_in_use", times=None)
        await in_use.strike(place)
        with pytest.raises(CloudConflict):
            await cloud.delete("placement_group", group.id)
        await in_use.heal(place)
        await refused(place, r"/placement_groups/\d+", "forbidden", method="DELETE")
        with pytest.raises(CloudRefused):
            await cloud.delete("placement_group", group.id)
        await refused(place, r"/placement_groups/\d+", "forbidden", method="PUT")
        with pytest.raises(CloudRefused):
            await cloud.replace_labels("placement_group", group.id, {})
        await refused(place, r"/placement_groups/\d+", "forbidden", method="GET")
        with pytest.raises(CloudRefused):
            await cloud.placement_group(group.id)
        await cloud.delete("placement_group", group.id)
        assert await cloud.placement_group(group.id) is None
        await cloud.delete("placement_group", group.id)
        assert await cloud.replace_labels("placement_group", group.id, {}) is False
        assert session.hetzner.requests.count("DELETE /placement_groups/{id}") == 8 + 1 + 1 + 1

    run(tale)


def test_a_load_balancer_is_made_once_and_a_target_that_is_there_is_added_no_more() -> None:
    async def tale(place: World, _session: Session, cloud: Cloud) -> None:
        network = (await ordered(cloud)).network
        made = await cloud.create_load_balancer("demo-api", "fsn1", network, SELECTOR, LABELS)
        assert (await cloud.create_load_balancer("demo-api", "fsn1", network, SELECTOR, LABELS)).id == made.id
        for code, kept in (("target_already_defined", True), ("forbidden", False)):
            place.project.load_balancers[made.id].targets.clear()
            await refused(place, r"/load_balancers/\d+/actions/add_target", code)
            if kept:
                await cloud.correct_load_balancer(made.id, network, SELECTOR)
            else:
                with pytest.raises(CloudRefused):
                    await cloud.correct_load_balancer(made.id, network, SELECTOR)

    run(tale)


def test_an_action_that_hetzner_lists_no_more_is_not_waited_for_without_end() -> None:
    async def tale(place: World, _session: Session, cloud: Cloud) -> None:
        await ApiFault("incomplete_page", method="GET", path="/actions", times=None, entries=50).strike(place)
        server = await cloud.create_server(await ordered(cloud))
        await cloud.delete_server(server.id)

    run(tale)


def test_whoever_waits_for_an_action_is_told_that_it_may_not_be_asked_for() -> None:
    async def tale(place: World, _session: Session, cloud: Cloud) -> None:
        network = (await ordered(cloud)).network
        await refused(place, "/actions", "forbidden", method="GET")
        with pytest.raises(CloudRefused):
            await cloud.create_load_balancer("demo-api", "fsn1", network, SELECTOR, LABELS)

    run(tale)


@pytest.mark.parametrize(
    ("comes", "told"), [("late", None), ("never", "got no public address in 180 s"), ("gone", "got no public address")]
)
def test_the_address_of_a_load_balancer_is_waited_for_and_not_without_end(comes: str, told: str | None) -> None:
    async def tale(place: World, _session: Session, cloud: Cloud) -> None:
        network = (await ordered(cloud)).network
        made = await cloud.create_load_balancer("demo-api", "fsn1", network, SELECTOR, LABELS)
        balancer = place.project.load_balancers[made.id]
        address, balancer.ipv4 = balancer.ipv4, None
        adopting = asyncio.ensure_future(cloud.create_load_balancer("demo-api", "fsn1", network, SELECTOR, LABELS))
        await asyncio.sleep(5)
        assert not adopting.done()
        if comes == "gone":
            place.project.load_balancers.clear()
        elif comes == "late":
            balancer.ipv4 = address
        if told is None:
            assert (await adopting).public_ipv4 == address
        else:
            with pytest.raises(CloudUnavailable, match=told):
                await adopting

    run(tale)


def test_a_connection_is_closed_whether_it_was_used_or_not() -> None:
    async def tale(place: World, session: Session, cloud: Cloud) -> None:
        await ApiFault("drop", method="GET").strike(place)
        assert (await cloud.survey()).servers == ()
        for one in (cloud, simulated.ports(session).cloud):
            assert isinstance(one, HetznerCloud)
            await one.close()

    run(tale)


def test_a_node_that_goes_at_once_has_no_finalizers_to_lose_and_another_one_is_left_alone() -> None:
    async def tell(_story: Story, kube: K3sApi, master: HostTarget, _session: Session) -> None:
        node = (await kube.view(master)).node(WORKER1)
        assert node is not None
        await kube.label_node(master, WORKER1, "of-another", NodeChange(labels={"a": "b"}, taints={}, ours=NodeKeys()))
        again = (await kube.view(master)).node(WORKER1)
        assert again == node
        await kube.drop_node(master, WORKER1, node.uid)
        assert (await kube.view(master)).node(WORKER1) is None

    played(tell)
