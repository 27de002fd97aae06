"""The official SDK: keys, placement groups, the catalogue, actions."""

# mypy: no-strict-optional
# hcloud, the official client, types every attribute of a resource as one that may be None.

from __future__ import annotations

import pytest
from hcloud import Client

from .orders import make_server, order_server, refusal
from .running_lab import PUBLIC_KEY


def test_ssh_keys(client: Client) -> None:
    key = client.ssh_keys.create("operator", PUBLIC_KEY, labels={"a": "b"})
    assert key.fingerprint == "71:85:5d:65:5a:41:fd:58:ec:b3:d4:62:34:b5:cd:68"
    assert client.ssh_keys.get_by_fingerprint(key.fingerprint).id == key.id
    assert refusal(client.ssh_keys.create, "other", PUBLIC_KEY).message == (
        "SSH key with the same fingerprint already exists"
    )
    assert refusal(client.ssh_keys.create, "broken", "ssh-ed25519 AAAA").code == "invalid_input"
    assert key.update(name="renamed", labels={}).name == "renamed"
    assert key.delete()
    assert client.ssh_keys.get_all() == []


def test_placement_group_names_are_unique_and_a_project_has_fifty(client: Client) -> None:
    for number in range(50):
        client.placement_groups.create(f"group{number:02}", "spread")
    assert refusal(client.placement_groups.create, "group00", "spread").code == "uniqueness_error"
    assert refusal(client.placement_groups.create, "one-more", "spread").code == "resource_limit_exceeded"
    group = client.placement_groups.get_by_name("group07")
    assert group.update(labels={"holder": "me"}).labels == {"holder": "me"}
    assert group.delete()
    assert len(client.placement_groups.get_all()) == 49
    assert client.placement_groups.get_all(label_selector="holder") == []


def test_catalogue(client: Client) -> None:
    assert [location.name for location in client.locations.get_all()] == ["fsn1", "nbg1", "hel1", "ash", "hil", "sin"]
    cpx22 = client.server_types.get_by_name("cpx22")
    assert (cpx22.cores, cpx22.memory, cpx22.disk, cpx22.architecture) == (2, 4, 80, "x86")
    assert {price["location"]: price["price_monthly"] for price in cpx22.prices}["nbg1"] == {
        "net": "19.4900000000",
        "gross": "19.4899999999999984",
    }
    names = {(image.name, image.architecture) for image in client.images.get_all()}
    wanted = ("ubuntu-24.04", "ubuntu-22.04", "debian-12", "debian-13")
    assert names >= {(name, architecture) for name in wanted for architecture in ("x86", "arm")}
    assert client.images.get_by_name_and_architecture("debian-13", "arm").architecture == "arm"
    assert [kind.name for kind in client.load_balancer_types.get_all()] == ["lb11", "lb21", "lb31"]
    assert client.isos.get_all() == []


def test_prices_agree_with_server_types(client: Client) -> None:
    pricing = client.request(method="GET", url="/pricing")["pricing"]
    listed = {item["name"]: item["prices"] for item in pricing["server_types"]}
    assert listed == {kind.name: kind.prices for kind in client.server_types.get_all()}


def test_actions_are_polled_in_bulk(client: Client) -> None:
    responses = [order_server(client, f"node{number}") for number in range(3)]
    ids = [response.action.id for response in responses]
    answer = client.request(method="GET", url="/actions", params={"id": ids, "per_page": 50, "sort": ["status", "id"]})
    assert sorted(action["id"] for action in answer["actions"]) == ids
    assert answer["meta"]["pagination"]["total_entries"] == 3
    gone = refusal(client.request, method="GET", url="/actions")
    assert gone.code == "deprecated_api_endpoint"


def test_actions_of_a_resource_and_of_a_kind(client: Client) -> None:
    server = make_server(client, "demo")
    own = client.servers.get_actions(server)
    assert [action.command for action in own] == ["create_server", "start_server"]
    assert own[0].resources[0] == {"id": server.id, "type": "server"}
    assert [action.id for action in client.servers.actions.get_all()] == [action.id for action in own]
    assert client.servers.actions.get_by_id(own[1].id).command == "start_server"
    assert refusal(client.networks.actions.get_by_id, own[1].id).code == "not_found"


@pytest.mark.parametrize("path", ["/datacenters", "/datacenters/3"])
def test_data_centers_are_gone(client: Client, path: str) -> None:
    assert refusal(client.request, method="GET", url=path).code == "deprecated_api_endpoint"
