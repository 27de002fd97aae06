"""The official SDK makes firewalls, and the rules reach the machines."""

# mypy: no-strict-optional
# hcloud, the official client, types every attribute of a resource as one that may be None.

from __future__ import annotations

from typing import Any

import pytest
from hcloud import Client
from hcloud.actions import BoundAction
from hcloud.firewalls import BoundFirewall, FirewallResource, FirewallResourceLabelSelector, FirewallRule
from hcloud.servers import ServerCreatePublicNetwork

from .deadlines import eventually
from .orders import make_network, make_server, refusal
from .running_lab import Lab

ANYWHERE = ["0.0.0.0/0", "::/0"]
SSH = FirewallRule("in", "tcp", ANYWHERE, port="22", description="SSH")
API = FirewallRule("in", "tcp", ["10.0.0.0/16"], port="6443")


def by_label(text: str) -> FirewallResource:
    """Name the servers with matching labels."""
    return FirewallResource("label_selector", label_selector=FirewallResourceLabelSelector(text))


def finish(actions: list[BoundAction]) -> list[str]:
    """Wait for actions and give their commands."""
    for action in actions:
        action.wait_until_finished()
    return [action.command for action in actions]


def make(client: Client, **more: Any) -> BoundFirewall:
    """Make a firewall and wait for its actions."""
    response = client.firewalls.create("edge", **{"rules": [SSH], **more})
    finish(response.actions)
    return client.firewalls.get_by_id(response.firewall.id)


def ports(lab: Lab, server_id: int) -> list[str | None]:
    """Give the ports that the machine's rules name."""
    return [rule.port for rule in lab.machines.rules[server_id] or ()]


def test_a_selector_follows_labels(lab: Lab, client: Client) -> None:
    firewall = make(client, resources=[by_label("cluster=demo")])
    server = make_server(client, "late", labels={"cluster": "demo"})
    other = make_server(client, "other")
    eventually(lambda: client.servers.get_by_id(server.id).public_net.firewalls[0].status == "applied")
    assert ports(lab, server.id) == ["22"]
    assert lab.machines.rules.get(other.id) is None
    match = client.firewalls.get_by_id(firewall.id).applied_to[0]
    assert [item.server.id for item in match.applied_to_resources] == [server.id]
    server.update(labels={})
    eventually(lambda: lab.machines.rules[server.id] is None)
    assert client.servers.get_by_id(server.id).public_net.firewalls == []


def test_rules_are_replaced_on_the_machines(lab: Lab, client: Client) -> None:
    server = make_server(client, "demo")
    firewall = make(client, resources=[FirewallResource("server", server=server)])
    assert finish(firewall.set_rules([SSH, API])) == ["set_firewall_rules", "apply_firewall"]
    assert ports(lab, server.id) == ["22", "6443"]
    finish(firewall.set_rules([]))
    assert lab.machines.rules[server.id] == ()


def test_apply_and_remove(lab: Lab, client: Client) -> None:
    server = make_server(client, "demo", labels={"cluster": "demo"})
    firewall = make(client)
    direct = FirewallResource("server", server=server)
    assert finish(firewall.apply_to_resources([direct])) == ["apply_firewall"]
    assert refusal(firewall.apply_to_resources, [direct]).code == "firewall_already_applied"
    assert refusal(firewall.delete).code == "resource_in_use"
    finish(firewall.remove_from_resources([direct]))
    assert lab.machines.rules[server.id] is None
    finish(firewall.apply_to_resources([by_label("cluster=demo")]))
    assert refusal(firewall.remove_from_resources, [direct]).code == "firewall_managed_by_label_selector"
    finish(firewall.remove_from_resources([by_label("cluster=demo")]))
    eventually(lambda: not any(action.status == "running" for action in firewall.get_actions()))
    assert firewall.delete()


def test_a_deleted_server_leaves_its_firewall(client: Client) -> None:
    server = make_server(client, "demo")
    firewall = make(client, resources=[FirewallResource("server", server=server)])
    server.delete().wait_until_finished()
    assert client.firewalls.get_by_id(firewall.id).applied_to == []
    assert firewall.delete()


def test_a_private_server_takes_no_firewall(client: Client) -> None:
    public = ServerCreatePublicNetwork(enable_ipv4=False, enable_ipv6=False)
    server = make_server(client, "inner", networks=[make_network(client)], public_net=public)
    assert server.public_net.ipv4 is None
    firewall = make(client)
    refused = refusal(firewall.apply_to_resources, [FirewallResource("server", server=server)])
    assert refused.code == "private_net_only_server"


@pytest.mark.parametrize(
    "rule",
    [
        FirewallRule("in", "tcp", ANYWHERE),
        FirewallRule("in", "tcp", ANYWHERE, port="0"),
        FirewallRule("in", "tcp", ANYWHERE, port="70000"),
        FirewallRule("in", "tcp", ANYWHERE, port="9-1"),
        FirewallRule("in", "icmp", ANYWHERE, port="1"),
        FirewallRule("in", "tcp", ["10.0.0.1/16"], port="1"),
        FirewallRule("in", "tcp", [], port="1"),
        FirewallRule("out", "tcp", ANYWHERE, port="1"),
    ],
)
def test_wrong_rules(client: Client, rule: FirewallRule) -> None:
    refused = refusal(client.firewalls.create, "edge", [rule])
    assert refused.code == "invalid_input"
    assert refused.details["fields"][0]["name"].startswith("rules.0.")
    assert client.firewalls.get_all() == []


def test_limits(client: Client) -> None:
    assert refusal(client.firewalls.create, "edge", [SSH] * 51).code == "invalid_input"
    server = make_server(client, "demo")
    for number in range(5):
        made = client.firewalls.create(f"edge{number}", [SSH], resources=[FirewallResource("server", server=server)])
        finish(made.actions)
    sixth = client.firewalls.create("edge5", [SSH]).firewall
    refused = refusal(sixth.apply_to_resources, [FirewallResource("server", server=server)])
    assert refused.code == "resource_limit_exceeded"
