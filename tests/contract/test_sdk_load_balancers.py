"""The official SDK makes load balancers, whose targets follow labels and whose health comes from the machines."""

# mypy: no-strict-optional
# hcloud, the official client, types every attribute of a resource as one that may be None.

from __future__ import annotations

from typing import Any

from hcloud import Client
from hcloud.load_balancer_types import LoadBalancerType
from hcloud.load_balancers import (
    BoundLoadBalancer,
    LoadBalancerAlgorithm,
    LoadBalancerHealthCheck,
    LoadBalancerHealthCheckHttp,
    LoadBalancerService,
    LoadBalancerServiceHttp,
    LoadBalancerTarget,
    LoadBalancerTargetIP,
    LoadBalancerTargetLabelSelector,
)
from hcloud.locations import Location

from .deadlines import eventually
from .orders import make_network, make_server, refusal
from .running_lab import Lab

API_SERVICE = LoadBalancerService(protocol="tcp", listen_port=6443, destination_port=6443)


def masters(private: bool = True) -> LoadBalancerTarget:
    """Name the servers with the label of masters."""
    selector = LoadBalancerTargetLabelSelector("role=master")
    return LoadBalancerTarget(type="label_selector", label_selector=selector, use_private_ip=private)


def order(client: Client, **more: Any) -> BoundLoadBalancer:
    """Make a load balancer and wait for its action."""
    wanted = {"name": "api", "load_balancer_type": LoadBalancerType(name="lb11"), "location": Location(name="nbg1")}
    response = client.load_balancers.create(**{**wanted, **more})
    response.action.wait_until_finished()
    return client.load_balancers.get_by_id(response.load_balancer.id)


def test_targets_follow_labels(lab: Lab, client: Client) -> None:
    network = make_network(client)
    first = make_server(client, "master1", networks=[network], labels={"role": "master"})
    balancer = order(client, network=network, services=[API_SERVICE], targets=[masters()])
    assert balancer.private_net[0].ip == "10.0.0.3"

    def addresses() -> list[str]:
        return [target.address for target in lab.machines.balancers[balancer.id].targets]

    eventually(lambda: addresses() == ["10.0.0.2"])
    spec = lab.machines.balancers[balancer.id]
    assert spec.addresses == (balancer.public_net.ipv4.ip, "10.0.0.3")
    check = spec.services[0].health_check
    assert (check.protocol, check.port, check.interval, check.timeout, check.retries) == ("tcp", 6443, 15, 10, 3)
    second = make_server(client, "master2", networks=[network], labels={"role": "master"})
    eventually(lambda: addresses() == ["10.0.0.2", "10.0.0.4"])
    first.update(labels={})
    eventually(lambda: addresses() == ["10.0.0.4"])
    assert client.servers.get_by_id(second.id).data_model.id == second.id
    second.delete().wait_until_finished()
    eventually(lambda: addresses() == [])


def test_health_of_targets(lab: Lab, client: Client) -> None:
    server = make_server(client, "master1", labels={"role": "master"})
    balancer = order(client, services=[API_SERVICE], targets=[masters(private=False)])

    def health() -> list[str]:
        nested = client.load_balancers.get_by_id(balancer.id).targets[0].targets
        return [status.status for target in nested for status in target.health_status]

    eventually(lambda: health() == ["healthy"])
    lab.machines.running.discard(server.id)
    assert health() == ["unhealthy"]


def test_a_new_load_balancer_has_no_address_yet(client: Client) -> None:
    response = client.load_balancers.create("api", LoadBalancerType(name="lb11"), location=Location(name="nbg1"))
    assert response.load_balancer.public_net.ipv4.ip is None
    response.action.wait_until_finished()
    assert client.load_balancers.get_by_name("api").public_net.ipv4.ip == "198.51.100.10"


def test_services_change(client: Client) -> None:
    balancer = order(client, services=[API_SERVICE])
    check = LoadBalancerHealthCheck(
        protocol="http", port=80, interval=10, timeout=5, retries=2, http=LoadBalancerHealthCheckHttp(path="/ready")
    )
    web = LoadBalancerService(
        protocol="http", listen_port=80, destination_port=8080, health_check=check, http=LoadBalancerServiceHttp()
    )
    balancer.add_service(web).wait_until_finished()
    assert refusal(balancer.add_service, web).code == "source_port_already_used"
    added = client.load_balancers.get_by_id(balancer.id).services[1]
    assert (added.health_check.http.path, added.http.cookie_name) == ("/ready", "HCLBSTICKY")
    balancer.update_service(LoadBalancerService(listen_port=80, destination_port=9090)).wait_until_finished()
    changed = client.load_balancers.get_by_id(balancer.id).services[1]
    assert (changed.destination_port, changed.health_check.interval) == (9090, 10)
    balancer.delete_service(web).wait_until_finished()
    assert [s.listen_port for s in client.load_balancers.get_by_id(balancer.id).services] == [6443]


def test_targets_that_cannot_be(client: Client) -> None:
    network = make_network(client)
    server = make_server(client, "outside")
    balancer = order(client, services=[API_SERVICE])

    def target(private: bool) -> LoadBalancerTarget:
        return LoadBalancerTarget(type="server", server=server, use_private_ip=private)

    assert refusal(balancer.add_target, target(True)).code == "load_balancer_not_attached_to_network"
    balancer.attach_to_network(network).wait_until_finished()
    assert refusal(balancer.attach_to_network, network).code == "load_balancer_already_attached"
    assert refusal(balancer.add_target, target(True)).code == "resolve_cloud_private_targets_error"
    balancer.add_target(target(False)).wait_until_finished()
    assert client.servers.get_by_id(server.id).data_model
    assert refusal(balancer.add_target, target(False)).code == "target_already_defined"
    assert refusal(balancer.disable_public_interface).code == "targets_without_use_private_ip"
    ip = LoadBalancerTarget(type="ip", ip=LoadBalancerTargetIP("203.0.113.1"))
    assert refusal(balancer.add_target, ip).code == "ip_not_owned"
    balancer.remove_target(target(False)).wait_until_finished()
    balancer.disable_public_interface().wait_until_finished()
    assert not client.load_balancers.get_by_id(balancer.id).public_net.enabled
    balancer.enable_public_interface().wait_until_finished()
    balancer.detach_from_network(network).wait_until_finished()
    assert client.load_balancers.get_by_id(balancer.id).private_net == []


def test_other_changes(client: Client) -> None:
    balancer = order(client)
    balancer.change_algorithm(LoadBalancerAlgorithm(type="least_connections")).wait_until_finished()
    balancer.change_type(LoadBalancerType(name="lb21")).wait_until_finished()
    changed = client.load_balancers.get_by_id(balancer.id)
    assert (changed.algorithm.type, changed.load_balancer_type.name) == ("least_connections", "lb21")
    assert balancer.update(labels={"a": "b"}, name="other").labels == {"a": "b"}


def test_delete_answers_an_action_and_frees_the_address(lab: Lab, client: Client) -> None:
    balancer = order(client, services=[API_SERVICE])
    balancer.change_protection(delete=True).wait_until_finished()
    assert refusal(balancer.delete).code == "protected"
    balancer.change_protection(delete=False).wait_until_finished()
    answer = lab.send("DELETE", f"/load_balancers/{balancer.id}")
    assert answer.status_code == 201
    assert answer.json()["action"]["command"] == "delete_load_balancer"
    eventually(lambda: client.load_balancers.get_all() == [])
    assert lab.machines.balancers == {}
    assert order(client).public_net.ipv4.ip == balancer.public_net.ipv4.ip
