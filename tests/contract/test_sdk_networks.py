"""The official SDK makes and changes networks."""

# mypy: no-strict-optional
# hcloud, the official client, types every attribute of a resource as one that may be None.

from __future__ import annotations

import pytest
from hcloud import Client
from hcloud.locations import Location
from hcloud.networks import NetworkRoute, NetworkSubnet

from .orders import make_network, make_server, order_server, refusal
from .running_lab import Lab


def test_addresses_come_in_order_and_the_first_is_the_gateway(client: Client) -> None:
    network = make_network(client)
    assert network.subnets[0].gateway == "10.0.0.1"
    servers = [make_server(client, f"node{number}", networks=[network]) for number in (1, 2)]
    assert [server.private_net[0].ip for server in servers] == ["10.0.0.2", "10.0.0.3"]
    assert [server.id for server in client.networks.get_by_id(network.id).servers] == [s.id for s in servers]
    servers[0].delete().wait_until_finished()
    assert make_server(client, "node3", networks=[network]).private_net[0].ip == "10.0.0.2"


def test_a_subnet_beside_the_networks_start_begins_at_its_first_address(client: Client) -> None:
    subnets = [NetworkSubnet("10.0.1.0/24", type="cloud", network_zone="eu-central")]
    network = client.networks.create("cluster", "10.0.0.0/16", subnets)
    assert make_server(client, "node", networks=[network]).private_net[0].ip == "10.0.1.1"


def test_servers_are_attached_and_detached_later(lab: Lab, client: Client) -> None:
    network = make_network(client)
    server = make_server(client, "node")
    server.attach_to_network(network, ip="10.0.0.50", alias_ips=["10.0.0.51"]).wait_until_finished()
    place = client.servers.get_by_id(server.id).private_net[0]
    assert (place.ip, place.alias_ips) == ("10.0.0.50", ["10.0.0.51"])
    assert place.mac_address.startswith("86:00:")
    nic = lab.machines.nics[server.id][network.id]
    assert (nic.ip, nic.mac, nic.gateway, nic.network_name) == ("10.0.0.50", place.mac_address, "10.0.0.1", "cluster")
    assert refusal(server.attach_to_network, network).code == "server_already_attached"
    other = make_server(client, "other")
    assert refusal(other.attach_to_network, network, ip="10.0.0.51").code == "ip_not_available"
    assert refusal(other.attach_to_network, network, ip="10.0.0.1").code == "ip_not_available"
    server.change_alias_ips(network, ["10.0.0.60"]).wait_until_finished()
    assert client.servers.get_by_id(server.id).private_net[0].alias_ips == ["10.0.0.60"]
    server.detach_from_network(network).wait_until_finished()
    assert client.servers.get_by_id(server.id).private_net == []
    assert lab.machines.nics[server.id] == {}


def test_a_zone_without_a_subnet_and_overlapping_networks_are_refused(client: Client) -> None:
    network = make_network(client)
    american = make_server(client, "far", location=Location(name="fsn1"))
    twin = make_network(client, "twin")
    american.attach_to_network(network).wait_until_finished()
    assert refusal(american.attach_to_network, twin).code == "networks_overlap"
    empty = client.networks.create("empty", "10.9.0.0/16")
    assert refusal(order_server, client, "nowhere", networks=[empty]).code == "no_subnet_available"


def test_subnets_and_routes_change(client: Client) -> None:
    network = client.networks.create("cluster", "10.0.0.0/16")
    network.add_subnet(NetworkSubnet(type="cloud", network_zone="eu-central", ip_range=None)).wait_until_finished()
    subnet = client.networks.get_by_id(network.id).subnets[0]
    assert subnet.ip_range == "10.0.0.0/24"
    route = NetworkRoute(destination="10.100.1.0/24", gateway="10.0.0.2")
    network.add_route(route).wait_until_finished()
    assert client.networks.get_by_id(network.id).routes[0].gateway == "10.0.0.2"
    network.delete_route(route).wait_until_finished()
    server = make_server(client, "node", networks=[network])
    assert refusal(network.delete_subnet, subnet).code == "service_error"
    server.delete().wait_until_finished()
    network.delete_subnet(subnet).wait_until_finished()
    network.change_ip_range("10.0.0.0/15").wait_until_finished()
    grown = client.networks.get_by_id(network.id)
    assert (grown.subnets, grown.routes, grown.ip_range) == ([], [], "10.0.0.0/15")
    assert refusal(network.change_ip_range, "10.0.0.0/16").code == "invalid_input"


@pytest.mark.parametrize("ip_range", ["8.8.0.0/16", "10.0.0.0/25", "10.0.0.1/16", "nonsense"])
def test_wrong_ranges(client: Client, ip_range: str) -> None:
    assert refusal(client.networks.create, "cluster", ip_range).code == "invalid_input"


def test_a_wrong_subnet_leaves_no_network(client: Client) -> None:
    outside = NetworkSubnet("192.168.0.0/24", type="cloud", network_zone="eu-central")
    assert refusal(client.networks.create, "cluster", "10.0.0.0/16", [outside]).code == "invalid_input"
    assert client.networks.get_all() == []


def test_deleting_a_network_detaches_everything(lab: Lab, client: Client) -> None:
    network = make_network(client)
    server = make_server(client, "node", networks=[network])
    network.change_protection(delete=True).wait_until_finished()
    assert refusal(network.delete).code == "protected"
    network.change_protection(delete=False).wait_until_finished()
    assert network.delete()
    assert client.servers.get_by_id(server.id).private_net == []
    assert refusal(client.networks.get_by_id, network.id).code == "not_found"


def test_names_are_unique(client: Client) -> None:
    make_network(client)
    assert refusal(make_network, client).code == "uniqueness_error"
    other = make_network(client, "other")
    assert refusal(other.update, name="cluster").code == "uniqueness_error"
    assert other.update(labels={"a": "b"}).labels == {"a": "b"}
