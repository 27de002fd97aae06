"""The official SDK makes, assigns, protects and deletes floating IPs."""

# mypy: no-strict-optional
# hcloud, the official client, types every attribute of a resource as one that may be None.

from __future__ import annotations

import pytest
from hcloud import Client
from hcloud.floating_ips import BoundFloatingIP
from hcloud.locations import Location

from hetzner_k3s.lab.cloud.limits import Quotas

from .orders import make_server, refusal
from .running_lab import Lab
from .virtual_time import SteppedCloud

NUREMBERG = Location(name="nbg1")


def make_floating_ip(client: Client, name: str, kind: str = "ipv4") -> BoundFloatingIP:
    """Ask for an address at home in Nuremberg."""
    return client.floating_ips.create(kind, name=name, home_location=NUREMBERG).floating_ip


def test_an_address_is_made_and_found_by_name_and_label(client: Client) -> None:
    made = client.floating_ips.create(
        "ipv4", name="mail", home_location=NUREMBERG, description="of the mail server", labels={"of": "mail"}
    ).floating_ip
    assert (made.type, made.server, made.home_location.name) == ("ipv4", None, "nbg1")
    assert client.floating_ips.get_by_name("mail").ip == made.ip
    changed = made.update(name="mx", description="of nobody", labels={"of": "nobody"})
    assert (changed.name, changed.description, changed.labels) == ("mx", "of nobody", {"of": "nobody"})
    assert [found.id for found in client.floating_ips.get_all(label_selector="of=nobody")] == [made.id]
    assert client.floating_ips.get_all(name="mail") == []
    unnamed = client.floating_ips.create("ipv6", home_location=NUREMBERG).floating_ip
    assert unnamed.name == f"floating-ip-{unnamed.id}"
    assert unnamed.dns_ptr == []


def test_an_address_moves_from_server_to_server_by_unassigning_it_first(client: Client) -> None:
    one, two = make_server(client, "one"), make_server(client, "two")
    address = make_floating_ip(client, "mail")
    address.assign(one).wait_until_finished()
    assert client.floating_ips.get_by_id(address.id).server.id == one.id
    assert [found.id for found in client.servers.get_by_id(one.id).public_net.floating_ips] == [address.id]
    assert refusal(address.assign, two).code == "floating_ip_assigned"
    assert refusal(address.delete).code == "must_be_unassigned"
    address.unassign().wait_until_finished()
    assert client.servers.get_by_id(one.id).public_net.floating_ips == []
    assert client.floating_ips.get_by_id(address.id).delete()
    assert client.floating_ips.get_all() == []


def test_an_address_made_for_a_server_is_at_home_there_and_outlives_it(client: Client) -> None:
    server = make_server(client, "demo", location=Location(name="hel1"))
    response = client.floating_ips.create("ipv4", name="mail", server=server)
    response.action.wait_until_finished()
    address = client.floating_ips.get_by_name("mail")
    assert (address.server.id, address.home_location.name) == (server.id, "hel1")
    server.delete().wait_until_finished()
    assert client.floating_ips.get_by_name("mail").server is None


def test_a_protected_address_is_not_deleted(client: Client) -> None:
    address = make_floating_ip(client, "mail")
    address.change_protection(delete=True).wait_until_finished()
    assert refusal(address.delete).code == "protected"
    address.change_protection(delete=False).wait_until_finished()
    assert [action.command for action in address.get_actions_list()[0]] == ["change_protection"] * 2
    assert address.delete()


def test_a_freed_ipv4_address_is_given_out_again(client: Client) -> None:
    first = make_floating_ip(client, "first")
    first.delete()
    assert make_floating_ip(client, "second").ip == first.ip


@pytest.mark.parametrize(
    "order",
    [{}, {"type": "ipv4"}, {"type": "ipv5", "home_location": "nbg1"}, {"type": "ipv4", "server": "x"}],
    ids=["no type", "nowhere", "an unknown type", "no number of a server"],
)
def test_a_wrong_order_is_refused(lab: Lab, client: Client, order: dict[str, str]) -> None:
    assert lab.send("POST", "/floating_ips", json=order).json()["error"]["code"] == "invalid_input"
    assert client.floating_ips.get_all() == []


def test_a_name_is_taken_once(client: Client) -> None:
    make_floating_ip(client, "mail")
    assert refusal(make_floating_ip, client, "mail").code == "uniqueness_error"


def test_reverse_names_are_not_emulated(client: Client) -> None:
    address = make_floating_ip(client, "mail")
    assert refusal(address.change_dns_ptr, address.ip, "mail.example.com").code == "unsupported_error"


def test_a_project_holds_only_so_many() -> None:
    stepped = SteppedCloud("instant", quotas=Quotas(floating_ips=1))
    stepped.ask("POST", "/floating_ips", type="ipv4", home_location="nbg1")
    refused = stepped.ask("POST", "/floating_ips", type="ipv4", home_location="nbg1")["error"]
    assert (refused["code"], refused["details"]) == (
        "resource_limit_exceeded",
        {"limits": [{"name": "floating_ip_limit"}]},
    )
