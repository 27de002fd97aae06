"""What the settings of `networking` (and the registries) ask of one another.

See docs/facts/compatibility.md#networking.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from itertools import product
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from hetzner_k3s.config.checks.findings import Check, Finding
from hetzner_k3s.config.schema.file import Configuration
from hetzner_k3s.config.schema.networking import FirewallRule
from hetzner_k3s.model.hetzner.access import MAX_NETWORKS_A_RULE, NODES_LET_IN
from hetzner_k3s.model.text.settings import KeyPath

PORTS_OF_K3S: Final = frozenset({2379, 2380, 2381, 6443, 6444, 10248, 10249, 10250, 10256, 10257, 10258, 10259})
MAX_FIREWALL_RULES: Final = 50
MAX_SERVERS_A_NETWORK: Final = 100
"""No more nodes than these ever join (`decide.orders` refuses to buy them), whatever the pools say."""
MAX_NETWORKS_A_SERVER: Final = 500
"""Of all rules together (docs/facts/hetzner-api.md#firewalls)."""
_OF_OWN_RULES: Final = 9
"""ICMP and NodePorts from anywhere, in both families, and the private network, or the tunnels and the load balancer."""
MAX_DESCRIPTION: Final = 255
OWN_FIREWALL_RULES: Final = 10
"""What 2.6 keeps free for its own rules."""

_DNS_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
_PRIVATE_RANGES: Final = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
_Networks = list[ipaddress.IPv4Network | ipaddress.IPv6Network]


def _encryption(configuration: Configuration) -> Iterator[Finding]:
    networking = configuration.networking
    if not networking.private_network.enabled and not networking.cni.encryption:
        yield Finding(
            ("networking", "cni", "encryption"),
            "must be true without a private network: pods' traffic would cross the internet in the clear",
            depends=(("networking", "private_network"),),
        )


def _without_a_private_network(configuration: Configuration) -> Iterator[Finding]:
    """What a cluster whose nodes meet in the internet cannot have; see `decide.desired.internet`."""
    networking, nodes = configuration.networking, _nodes(configuration)
    if networking.private_network.enabled:
        return
    depends: tuple[KeyPath, ...] = (("networking", "private_network"),)
    if networking.ssh.use_private_ip:
        yield Finding(("networking", "ssh", "use_private_ip"), "there is no private address", depends=depends)
    yield from _outward_rules(configuration)
    if nodes <= NODES_LET_IN:
        return
    depends = (*depends, ("masters_pool",), ("worker_node_pools",))
    if not _hold_all_of_ipv4(networking.allowed_networks.api):
        yield Finding(
            ("networking", "allowed_networks", "api"),
            f"must hold 0.0.0.0/0: {nodes} nodes reach the API through the internet, and a firewall lets at most "
            f"{NODES_LET_IN} of them in by their addresses",
            depends=depends,
        )
    yield Finding(
        ("networking", "private_network", "enabled"),
        f"with more than {NODES_LET_IN} nodes the firewall lets masters alone reach the kubelets: what asks a kubelet "
        "from a worker, as metrics-server does, gets no answer",
        "warning",
        depends=(("masters_pool",), ("worker_node_pools",)),
    )


def _outward_rules(configuration: Configuration) -> Iterator[Finding]:
    """One `out` rule closes every other way out, on public interfaces: there the nodes reach one another."""
    rules = configuration.networking.allowed_networks.custom_firewall_rules
    outward = [(index, rule) for index, rule in enumerate(rules) if rule.direction == "out"]
    let_out = {r.protocol for _, r in outward if r.port == "any" and _hold_all_of_ipv4(r.networks)}
    if outward and not {"tcp", "udp"} <= let_out:
        yield Finding(
            ("networking", "allowed_networks", "custom_firewall_rules", outward[0][0], "direction"),
            "a rule of direction out closes every other way out, and without a private network the nodes reach one "
            "another there: let tcp and udp out to 0.0.0.0/0 on any port, too, or have no such rule",
            depends=(("networking", "private_network"),),
        )


def _all_networks(configuration: Configuration) -> Iterator[Finding]:
    """All rules of a server's firewall hold so many networks at most, ours among them."""
    networking, allowed = configuration.networking, configuration.networking.allowed_networks
    nodes = _nodes(configuration)
    let_in = nodes if nodes <= NODES_LET_IN else configuration.masters_pool.instance_count
    between = _OF_OWN_RULES if networking.private_network.enabled else _OF_OWN_RULES + let_in
    custom = sum(len(rule.networks) for rule in allowed.custom_firewall_rules)
    total = between + len(allowed.ssh) + len(allowed.api) + custom
    if total > MAX_NETWORKS_A_SERVER:
        yield Finding(
            ("networking", "allowed_networks"),
            f"all firewall rules together hold {total} networks, {between} of them the cluster's own; Hetzner takes "
            f"{MAX_NETWORKS_A_SERVER}",
            depends=(("networking", "private_network"), ("masters_pool",), ("worker_node_pools",)),
        )


def _nodes(configuration: Configuration) -> int:
    return configuration.masters_pool.instance_count + sum(p.instance_count for p in configuration.worker_node_pools)


def _ssh_port(configuration: Configuration) -> Iterator[Finding]:
    port = configuration.networking.ssh.port
    if not 1 <= port <= 65535:
        yield Finding(("networking", "ssh", "port"), "must be between 1 and 65535")
    elif port in PORTS_OF_K3S:
        yield Finding(("networking", "ssh", "port"), f"{port} is a port of k3s itself: sshd and k3s cannot share it")


def _allowed_networks(configuration: Configuration) -> Iterator[Finding]:
    allowed = configuration.networking.allowed_networks
    for name, networks in (("ssh", allowed.ssh), ("api", allowed.api)):
        if not networks:
            yield Finding(
                ("networking", "allowed_networks", name), "needs at least one network: you would be locked out"
            )
        elif len(networks) > MAX_NETWORKS_A_RULE:
            yield Finding(
                ("networking", "allowed_networks", name),
                f"at most {MAX_NETWORKS_A_RULE} networks fit into a firewall rule, got {len(networks)}",
            )


def _custom_rules(configuration: Configuration) -> Iterator[Finding]:
    rules = configuration.networking.allowed_networks.custom_firewall_rules
    key: KeyPath = ("networking", "allowed_networks", "custom_firewall_rules")
    if len(rules) + OWN_FIREWALL_RULES > MAX_FIREWALL_RULES:
        yield Finding(key, f"at most {MAX_FIREWALL_RULES - OWN_FIREWALL_RULES} rules fit, got {len(rules)}")
    for index, rule in enumerate(rules):
        yield from _custom_rule((*key, index), rule)


def _custom_rule(key: KeyPath, rule: FirewallRule) -> Iterator[Finding]:
    own, other = ("source_ips", "destination_ips") if rule.direction == "in" else ("destination_ips", "source_ips")
    if len(rule.description or "") > MAX_DESCRIPTION:
        yield Finding((*key, "description"), f"has at most {MAX_DESCRIPTION} characters at Hetzner")
    if not 1 <= len(rule.networks) <= MAX_NETWORKS_A_RULE:
        yield Finding(
            (*key, own), f"direction {rule.direction} needs 1 to 100 networks, got {len(rule.networks)}", of_key=True
        )
    if getattr(rule, other):
        yield Finding((*key, other), f"has no effect with direction {rule.direction}", "warning", of_key=True)
    if rule.protocol not in ("tcp", "udp") and rule.port != "any":
        yield Finding((*key, "port"), f"has no effect with protocol {rule.protocol}", "warning", of_key=True)


def _pods_and_services(configuration: Configuration) -> Iterator[Finding]:
    networking = configuration.networking
    pods, services = _networks(networking.cluster_cidr), _networks(networking.service_cidr)
    if _overlap(pods, services):
        yield Finding(
            ("networking", "service_cidr"),
            f"overlaps cluster_cidr {networking.cluster_cidr}",
            depends=(("networking", "cluster_cidr"),),
        )
    for name, networks in (("cluster_cidr", pods), ("service_cidr", services)):
        if networking.private_network.enabled and _overlap(networks, _networks(networking.private_network.subnet)):
            # A warning: a subnet such as 10.0.0.0/8 may be the user's whole network of which little is in use.
            yield Finding(
                ("networking", name),
                f"overlaps private_network.subnet {networking.private_network.subnet}",
                "warning",
                depends=(("networking", "private_network"),),
            )


def _cluster_dns(configuration: Configuration) -> Iterator[Finding]:
    services = _networks(configuration.networking.service_cidr)
    for text in configuration.networking.cluster_dns.split(","):
        if any(ipaddress.ip_address(text) == network.network_address + 1 for network in services):
            yield Finding(
                ("networking", "cluster_dns"),
                f"{text} is the first address of service_cidr, which Kubernetes gives to its own API",
                depends=(("networking", "service_cidr"),),
            )
        if not any(ipaddress.ip_address(text) in network for network in services):
            yield Finding(
                ("networking", "cluster_dns"),
                f"{text} is not in service_cidr {configuration.networking.service_cidr}",
                depends=(("networking", "service_cidr"),),
            )


def _families(configuration: Configuration) -> Iterator[Finding]:
    """k3s exits where pods and services are not of the same families, or two ranges are of one family."""
    networking = configuration.networking
    families = {}
    for name in ("cluster_cidr", "service_cidr"):
        families[name] = [network.version for network in _networks(getattr(networking, name))]
        if len(families[name]) > len(set(families[name])):
            yield Finding(("networking", name), "takes one network, or one of IPv4 and one of IPv6")
    if sorted(families["cluster_cidr"]) != sorted(families["service_cidr"]):
        yield Finding(
            ("networking", "service_cidr"),
            f"must have the same families as cluster_cidr {networking.cluster_cidr}: IPv4, IPv6, or both",
            depends=(("networking", "cluster_cidr"),),
        )


def _room_for_pods(configuration: Configuration) -> Iterator[Finding]:
    """Each node gets a /24 of the pods' IPv4 addresses; a node too many gets none, and runs no pod."""
    named = (argument.removeprefix("--") for argument in configuration.kube_controller_manager_args)
    if any(argument.startswith("node-cidr-mask-size") for argument in named):
        return
    nodes = _nodes(configuration)
    if configuration.networking.private_network.enabled:
        nodes = min(nodes, MAX_SERVERS_A_NETWORK)
    for network in _networks(configuration.networking.cluster_cidr):
        if network.version == 4 and not 8 <= network.prefixlen <= 24:
            yield Finding(("networking", "cluster_cidr"), f"{network} must be between /8 and /24: a node takes a /24")
        elif network.version == 4 and nodes > 2 ** (24 - network.prefixlen):
            yield Finding(
                ("networking", "cluster_cidr"),
                f"{network} has room for {2 ** (24 - network.prefixlen)} nodes, a /24 for each; there are {nodes}",
                depends=(("masters_pool",), ("worker_node_pools",)),
            )


def _private_subnet(configuration: Configuration) -> Iterator[Finding]:
    """What Hetzner asks of a network that is made; one that exists was accepted already.

    See docs/facts/hetzner-api.md#networks.
    """
    private = configuration.networking.private_network
    if not private.enabled or private.existing_network_name:
        return
    network = ipaddress.ip_network(private.subnet)
    key: KeyPath = ("networking", "private_network", "subnet")
    if network.version != 4 or not any(network.subnet_of(own) for own in _PRIVATE_RANGES):
        yield Finding(key, f"{network} is not private: Hetzner takes part of {', '.join(map(str, _PRIVATE_RANGES))}")
    elif network.prefixlen > 24:
        yield Finding(key, f"{network} is too small: Hetzner makes networks of /24 and larger")


def _networks(text: str) -> _Networks:
    return [ipaddress.ip_network(part) for part in text.split(",")]


def _hold_all_of_ipv4(texts: list[str]) -> bool:
    return any(str(network) == "0.0.0.0/0" for text in texts for network in _networks(text))


def _overlap(some: _Networks, others: _Networks) -> bool:
    return any(a.overlaps(b) for a, b in product(some, others))


def _host_names(configuration: Configuration) -> Iterator[Finding]:
    if (name := configuration.api_server_hostname) and not _DNS_NAME.fullmatch(name):
        yield Finding(("api_server_hostname",), "is no host name")
    if (domain := configuration.networking.cluster_domain) and not _DNS_NAME.fullmatch(domain):
        yield Finding(("networking", "cluster_domain"), "is no domain name")


def _registries(configuration: Configuration) -> Iterator[Finding]:
    text = configuration.addons.embedded_registry_mirror.registries.reveal()
    key: KeyPath = ("addons", "embedded_registry_mirror", "private_registry_config")
    try:
        value = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError, OverflowError, TypeError):
        yield Finding(key, "is not valid YAML")  # without the parser's words: it quotes, and there may be a password
    else:
        if value is not None and not isinstance(value, dict):
            yield Finding(key, "is no registries.yaml: expected `mirrors:` or `configs:`")


NETWORKING_RULES: Final[tuple[Check, ...]] = (
    _encryption,
    _without_a_private_network,
    _ssh_port,
    _allowed_networks,
    _custom_rules,
    _all_networks,
    _private_subnet,
    _pods_and_services,
    _families,
    _room_for_pods,
    _cluster_dns,
    _host_names,
    _registries,
)
