"""The official SDK orders, changes and deletes servers."""

# mypy: no-strict-optional
# hcloud, the official client, types every attribute of a resource as one that may be None.

from __future__ import annotations

import time
from typing import Any

import pytest
from hcloud import Client
from hcloud.firewalls import FirewallRule
from hcloud.images import Image
from hcloud.locations import Location
from hcloud.server_types import ServerType
from hcloud.servers import ServerCreatePublicNetwork

from .orders import make_network, make_server, order_server, refusal
from .running_lab import PUBLIC_KEY, Lab

LABELS = {"cluster": "demo", "role": "master", "hetzner-k3s/phase": "born"}


def test_an_order_is_answered_at_once_and_carried_out_by_actions(lab: Lab, client: Client) -> None:
    key = client.ssh_keys.create("operator", PUBLIC_KEY)
    network = make_network(client)
    group = client.placement_groups.create("masters", "spread").placement_group
    firewall = client.firewalls.create("edge", [FirewallRule("in", "tcp", ["0.0.0.0/0"], port="22")]).firewall

    response = order_server(
        client,
        "demo-master1",
        ssh_keys=[key],
        networks=[network],
        placement_group=group,
        firewalls=[firewall],
        labels=LABELS,
        user_data="#cloud-config\n",
    )

    assert response.server.status == "initializing"
    assert response.server.public_net.ipv4.ip == "198.51.100.10"
    assert response.server.placement_group.id == group.id
    assert response.root_password is None
    assert response.action.command == "create_server"
    assert [a.command for a in response.next_actions] == ["attach_to_network", "apply_firewall", "start_server"]
    for action in (response.action, *response.next_actions):
        action.wait_until_finished()
    server = client.servers.get_by_name("demo-master1")
    assert (server.status, server.labels) == ("running", LABELS)
    assert server.private_net[0].ip == "10.0.0.2"
    assert server.public_net.firewalls[0].status == "applied"
    spec = lab.machines.specs[server.id]
    assert (spec.user_data, spec.ssh_keys, spec.image) == ("#cloud-config\n", (PUBLIC_KEY,), "debian-13")
    assert [nic.ip for nic in spec.private] == ["10.0.0.2"]
    assert lab.machines.rules[server.id][0].port == "22"


def test_without_keys_there_is_a_password_and_without_start_the_server_is_off(client: Client) -> None:
    response = order_server(client, "still", start_after_create=False)
    response.action.wait_until_finished()
    assert response.root_password
    assert response.next_actions == []
    assert client.servers.get_by_name("still").status == "off"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": "Not_A_Host"}, "invalid_input"),
        ({"user_data": "x" * 32_769}, "invalid_input"),
        ({"labels": {"bad key": "x"}}, "invalid_input"),
        ({"labels": {"key": "-"}}, "invalid_input"),
        ({"image": Image(name="debian-1")}, "invalid_input"),
        ({"image": Image(id=114690389)}, "invalid_input"),  # an arm image for an x86 type
        ({"location": Location(name="ash")}, "invalid_input"),  # cpx22 is not sold there
        ({"public_net": ServerCreatePublicNetwork(enable_ipv4=False, enable_ipv6=False)}, "invalid_input"),
    ],
)
def test_a_wrong_order_is_refused_and_leaves_nothing(client: Client, change: dict[str, object], code: str) -> None:
    name = str(change.pop("name", "demo"))
    assert refusal(order_server, client, name, **change).code == code
    assert client.servers.get_all() == []
    assert client.primary_ips.get_all() == []


def test_user_data_may_have_32_kib_and_the_limit_counts_bytes(client: Client) -> None:
    make_server(client, "full", user_data="x" * 32_768)
    assert refusal(order_server, client, "over", user_data="é" * 16_385).code == "invalid_input"


def test_a_name_is_unique_until_its_server_is_gone(client: Client) -> None:
    server = make_server(client, "demo")
    refused = refusal(order_server, client, "demo")
    assert (refused.code, refused.details) == ("uniqueness_error", {"fields": [{"name": "name"}]})
    server.delete().wait_until_finished()
    assert make_server(client, "demo").id > server.id


def test_images_are_found_by_name_for_the_types_architecture(client: Client) -> None:
    response = client.servers.create("arm", ServerType(name="cax11"), Image(name="ubuntu-24.04"))
    assert response.server.image.architecture == "arm"
    assert response.server.location.name == "fsn1"


def test_a_type_that_is_not_sold_any_more_is_unavailable(client: Client) -> None:
    location = Location(name="nbg1")
    refused = refusal(
        client.servers.create, "old", ServerType(name="cpx11"), Image(name="debian-12"), location=location
    )
    assert refused.code == "resource_unavailable"


def test_an_address_returns_lowest_first_and_an_id_never(client: Client) -> None:
    one, two, three = (make_server(client, name) for name in ("one", "two", "three"))
    assert [s.public_net.ipv4.ip for s in (one, two, three)] == ["198.51.100.10", "198.51.100.11", "198.51.100.12"]
    for server in (three, one):
        server.delete().wait_until_finished()
    four = make_server(client, "four")
    assert four.public_net.ipv4.ip == "198.51.100.10"
    assert four.id not in {one.id, two.id, three.id}
    assert 10_000_000 <= four.id < 2**31


def test_listing_by_name_selector_and_status(client: Client) -> None:
    make_server(client, "master", labels=LABELS)
    make_server(client, "worker", labels={"cluster": "demo", "role": "worker"}, start_after_create=False)

    def names(**query: Any) -> list[str | None]:
        return [server.name for server in client.servers.get_all(**query)]

    assert names() == ["master", "worker"]
    assert names(name="worker") == ["worker"]
    assert names(label_selector="cluster=demo,role in (master,etcd)") == ["master"]
    assert names(label_selector="hetzner-k3s/phase=born") == ["master"]
    assert names(label_selector="!hetzner-k3s/phase") == ["worker"]
    assert names(status=["off"]) == ["worker"]
    assert refusal(client.servers.get_list, label_selector="((").code == "invalid_input"


def test_put_replaces_all_labels(client: Client) -> None:
    server = make_server(client, "demo", labels={"a": "1", "b": "2"})
    assert server.update(labels={"b": "3"}).labels == {"b": "3"}
    assert server.update(name="other").labels == {"b": "3"}
    assert client.servers.get_by_name("demo") is None


def test_power(lab: Lab, client: Client) -> None:
    server = make_server(client, "demo")

    def status_after(action: object) -> str | None:
        action.wait_until_finished()  # type: ignore[attr-defined]
        return client.servers.get_by_id(server.id).status

    assert status_after(server.power_off()) == "off"
    assert status_after(server.power_off()) == "off"
    assert status_after(server.power_on()) == "running"
    assert status_after(server.reboot()) == "running"
    assert status_after(server.reset()) == "running"
    assert status_after(server.shutdown()) == "off"
    assert [a.command for a in server.get_actions()] == [
        "create_server", "start_server", "stop_server", "stop_server", "start_server",
        "reboot_server", "reset_server", "shutdown_server",
    ]  # fmt: skip


def test_another_type_takes_a_stopped_server_of_its_architecture_and_a_disk_not_smaller(client: Client) -> None:
    server = make_server(client, "demo")
    small, big = ServerType(name=server.server_type.name), ServerType(name="cpx32")
    assert refusal(server.change_type, server_type=big, upgrade_disk=False).code == "server_not_stopped"
    server.power_off().wait_until_finished()
    assert refusal(server.change_type, server_type=ServerType(name="cax31"), upgrade_disk=False).code == (
        "invalid_server_type"
    )
    server.change_type(server_type=big, upgrade_disk=False).wait_until_finished()
    again = client.servers.get_by_id(server.id)
    assert (again.server_type.name, again.status) == ("cpx32", "off")
    assert again.primary_disk_size == server.primary_disk_size
    server.change_type(server_type=small, upgrade_disk=False).wait_until_finished()
    server.change_type(server_type=big, upgrade_disk=True).wait_until_finished()
    assert client.servers.get_by_id(server.id).primary_disk_size > server.primary_disk_size
    assert refusal(server.change_type, server_type=small, upgrade_disk=False).code == "invalid_server_type"


def test_a_guest_that_powers_itself_off_is_seen_off(lab: Lab, client: Client) -> None:
    server = make_server(client, "demo")
    lab.machines.running.discard(server.id)
    assert client.servers.get_by_id(server.id).status == "off"
    server.power_on().wait_until_finished()
    assert lab.machines.is_running(server.id)


def test_rebuild_keeps_identity_and_takes_new_user_data(lab: Lab, client: Client) -> None:
    server = make_server(client, "demo", user_data="old")
    server.rebuild(Image(name="ubuntu-24.04"), user_data="new").action.wait_until_finished()
    again = client.servers.get_by_id(server.id)
    assert (again.status, again.image.name) == ("running", "ubuntu-24.04")
    assert again.public_net.ipv4.ip == server.public_net.ipv4.ip
    assert lab.machines.specs[server.id].user_data == "new"


def test_placement_groups_hold_ten_and_take_only_stopped_servers(client: Client) -> None:
    group = client.placement_groups.create("spread", "spread").placement_group
    for number in range(10):
        order_server(client, f"member{number}", placement_group=group)
    assert (
        refusal(order_server, client, "eleventh", placement_group=group).code == "placement_group_member_limit_reached"
    )
    assert refusal(group.delete).code == "resource_in_use"
    other = client.placement_groups.create("other", "spread").placement_group
    server = make_server(client, "single")
    assert refusal(server.add_to_placement_group, other).code == "server_not_stopped"
    server.power_off().wait_until_finished()
    server.add_to_placement_group(other).wait_until_finished()
    assert client.placement_groups.get_by_id(other.id).servers == [server.id]
    assert refusal(server.add_to_placement_group, other).code == "already_in_placement_group"
    server.remove_from_placement_group().wait_until_finished()
    assert client.placement_groups.get_by_id(other.id).servers == []


def test_delete_answers_an_action_and_then_the_server_is_gone(lab: Lab, client: Client) -> None:
    network = make_network(client)
    server = make_server(client, "demo", networks=[network])
    action = server.delete()
    assert action.command == "delete_server"
    action.wait_until_finished()
    assert refusal(client.servers.get_by_id, server.id).code == "not_found"
    assert client.networks.get_by_id(network.id).servers == []
    assert client.primary_ips.get_all() == []
    assert lab.machines.specs == {}
    assert client.actions.get_by_id(action.id).status == "success"


def test_protection(client: Client) -> None:
    server = make_server(client, "demo")
    server.change_protection(delete=True, rebuild=True).wait_until_finished()
    assert refusal(server.delete).code == "protected"
    assert refusal(server.rebuild, Image(name="debian-12")).code == "protected"


def test_what_is_not_emulated_says_so(client: Client) -> None:
    server = make_server(client, "demo")
    assert refusal(server.enable_rescue).code == "unsupported_error"


def test_a_server_takes_an_existing_primary_ip_and_leaves_it(client: Client) -> None:
    made = client.primary_ips.create(type="ipv4", name="kept", location=Location(name="nbg1"))
    public = ServerCreatePublicNetwork(ipv4=made.primary_ip)
    server = make_server(client, "demo", public_net=public)
    assert server.public_net.ipv4.ip == made.primary_ip.ip
    assert refusal(made.primary_ip.delete).code == "must_be_unassigned"
    assert refusal(order_server, client, "second", public_net=public).code == "primary_ip_assigned"
    server.delete().wait_until_finished()
    kept = client.primary_ips.get_by_name("kept")
    assert kept.assignee_id is None
    assert kept.delete()


def test_waiting_costs_no_more_than_a_moment(client: Client) -> None:
    started = time.monotonic()
    make_server(client, "demo")
    assert time.monotonic() - started < 5
