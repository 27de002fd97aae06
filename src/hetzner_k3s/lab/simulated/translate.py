"""From the emulated cloud's JSON to the product's nouns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from hetzner_k3s.model.cloud import (
    BalancedService,
    BalancerTarget,
    CloudResource,
    Firewall,
    FirewallRule,
    LoadBalancer,
    Network,
    PlacementGroup,
    Server,
    ServerOrder,
    ServerStatus,
    SshKey,
)
from hetzner_k3s.model.hetzner.assortment import Assortment, Offer, ServerType

Json = Mapping[str, Any]

_STATUSES = {status.value: status for status in ServerStatus}


def server(raw: Json) -> Server:
    """Read a server."""
    ipv4 = raw["public_net"]["ipv4"]
    group = raw["placement_group"]
    return Server(
        id=raw["id"],
        name=raw["name"],
        status=_STATUSES.get(raw["status"], ServerStatus.OTHER),
        location=raw["location"]["name"],
        server_type=raw["server_type"]["name"],
        image=tuple(str(raw["image"][key]) for key in ("name", "id") if raw["image"][key]),
        labels=dict(raw["labels"]),
        public_ipv4=ipv4 and ipv4["ip"],
        private_ips={net["network"]: net["ip"] for net in raw["private_net"]},
        placement_group=group and group["id"],
        protected=raw["protection"]["delete"],
        volumes=tuple(raw["volumes"]),
        created=datetime.fromisoformat(raw["created"]).timestamp(),
    )


def network(raw: Json) -> Network:
    """Read a network."""
    subnets = tuple(subnet["ip_range"] for subnet in raw["subnets"])
    return Network(
        id=raw["id"],
        name=raw["name"],
        ip_range=raw["ip_range"],
        subnets=subnets,
        labels=dict(raw["labels"]),
        protected=raw["protection"]["delete"],
    )


def placement_group(raw: Json) -> PlacementGroup:
    """Read a placement group."""
    return PlacementGroup(id=raw["id"], name=raw["name"], labels=dict(raw["labels"]), servers=tuple(raw["servers"]))


def firewall(raw: Json) -> Firewall:
    """Read a firewall."""
    return Firewall(
        id=raw["id"],
        name=raw["name"],
        rules=tuple(_rule(rule) for rule in raw["rules"]),
        selectors=_selectors(raw["applied_to"]),
        labels=dict(raw["labels"]),
        servers=_servers(raw["applied_to"], "applied_to_resources"),
    )


def load_balancer(raw: Json) -> LoadBalancer:
    """Read a load balancer."""
    return LoadBalancer(
        id=raw["id"],
        name=raw["name"],
        public_ipv4=raw["public_net"]["ipv4"]["ip"],
        private_ips={net["network"]: net["ip"] for net in raw["private_net"]},
        services=tuple(map(_service, raw["services"])),
        targets=tuple(map(_target, raw["targets"])),
        labels=dict(raw["labels"]),
        servers=_servers(raw["targets"], "targets"),
        protected=raw["protection"]["delete"],
    )


def _service(raw: Json) -> BalancedService:
    return BalancedService(
        protocol=raw["protocol"],
        listen_port=raw["listen_port"],
        destination_port=raw["destination_port"],
        proxy_protocol=raw["proxyprotocol"],
    )


def _target(raw: Json) -> BalancerTarget:
    names = {"label_selector": "selector", "server": "id", "ip": "ip"}
    name = str(raw[raw["type"]][names[raw["type"]]])
    return BalancerTarget(kind=raw["type"], name=name, private=raw["use_private_ip"])


def balanced(raw: Json) -> frozenset[int]:
    """Read the ids of the servers that the label selectors of a load balancer match."""
    return frozenset(found["server"]["id"] for target in raw["targets"] for found in target.get("targets") or ())


def ssh_key(raw: Json) -> SshKey:
    """Read an SSH key."""
    return SshKey(id=raw["id"], name=raw["name"], fingerprint=raw["fingerprint"])


READERS: Mapping[str, Callable[[Json], CloudResource]] = {
    "server": server,
    "network": network,
    "placement_group": placement_group,
    "firewall": firewall,
    "load_balancer": load_balancer,
    "ssh_key": ssh_key,
}


def read(kind: str, raw: Json) -> CloudResource:
    """Read a resource of a kind (`server`, `network`, …)."""
    return READERS[kind](raw)


def firewall_rule(rule: FirewallRule) -> Json:
    """Write a firewall rule as the API takes it."""
    sides = {"in": ("source_ips", "destination_ips"), "out": ("destination_ips", "source_ips")}
    named, other = sides[rule.direction]
    body = {"direction": rule.direction, "protocol": rule.protocol, "port": rule.port}
    return {**body, named: list(rule.networks), other: [], "description": rule.description or None}


def order(wanted: ServerOrder) -> dict[str, Any]:
    """Write a server's order as the API takes it."""
    body: dict[str, Any] = {
        "name": wanted.name,
        "server_type": wanted.server_type,
        "image": wanted.image,
        "location": wanted.location,
        "labels": dict(wanted.labels),
        "ssh_keys": [wanted.ssh_key],
        "networks": [wanted.network],
        "user_data": wanted.user_data,
        "public_net": {"enable_ipv4": wanted.ipv4, "enable_ipv6": wanted.ipv6},
    }
    return body if wanted.placement_group is None else {**body, "placement_group": wanted.placement_group}


def _selectors(entries: list[Json]) -> tuple[str, ...]:
    return tuple(entry["label_selector"]["selector"] for entry in entries if entry["type"] == "label_selector")


def _rule(raw: Json) -> FirewallRule:
    side = "source_ips" if raw["direction"] == "in" else "destination_ips"
    return FirewallRule(
        direction=raw["direction"],
        protocol=raw["protocol"],
        port=raw["port"],
        networks=tuple(raw[side]),
        description=raw["description"] or "",
    )


def _servers(entries: list[Json], matched: str) -> frozenset[int]:
    """Read the servers of entries, and those that their selectors match."""
    every = [*entries, *(found for entry in entries for found in entry.get(matched) or ())]
    return frozenset(entry["server"]["id"] for entry in every if entry["type"] == "server")


def assortment(types: Sequence[Json], locations: Sequence[Json], images: Mapping[str, Sequence[Json]]) -> Assortment:
    """Read the catalogue."""
    return Assortment(
        server_types=tuple(_server_type(raw) for raw in types),
        locations={raw["name"]: raw["network_zone"] for raw in locations},
        images={name: frozenset(raw["architecture"] for raw in found) for name, found in images.items()},
    )


def _server_type(raw: Json) -> ServerType:
    prices = {price["location"]: float(price["price_monthly"]["net"]) for price in raw["prices"]}
    offers = tuple(
        Offer(
            location=sold["name"],
            monthly=prices.get(sold["name"]),
            available=sold["available"],
            ends=sold["deprecation"] and sold["deprecation"]["unavailable_after"],
        )
        for sold in raw["locations"]
    )
    return ServerType(id=raw["id"], name=raw["name"], architecture=raw["architecture"], offers=offers)
