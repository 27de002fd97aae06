"""From Hetzner's JSON to our nouns; unknown fields are ignored, fields that may be null or missing are treated so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hetzner_k3s.adapters.hetzner.api import Json
from hetzner_k3s.model.assortment import Assortment, Offer, ServerType
from hetzner_k3s.model.cloud import (
    Firewall,
    FirewallRule,
    LoadBalancer,
    Network,
    PlacementGroup,
    Server,
    ServerStatus,
    SshKey,
)

_STATUSES = {status.value: status for status in ServerStatus}


def server(raw: Json) -> Server:
    """Read a server; its location stood in `datacenter` until that was removed."""
    location = raw.get("location") or (raw.get("datacenter") or {}).get("location") or {}
    return Server(
        id=raw["id"],
        name=raw["name"],
        status=_STATUSES.get(raw["status"], ServerStatus.OTHER),
        location=location.get("name", ""),
        server_type=raw["server_type"]["name"],
        labels=raw["labels"],
        public_ipv4=_public_ipv4(raw),
        private_ips=_private_ips(raw),
        placement_group=(raw.get("placement_group") or {}).get("id"),
        protected=_protected(raw),
        volumes=tuple(raw.get("volumes") or ()),
    )


def network(raw: Json) -> Network:
    """Read a network."""
    subnets = tuple(subnet["ip_range"] for subnet in raw["subnets"])
    return Network(
        id=raw["id"],
        name=raw["name"],
        ip_range=raw["ip_range"],
        subnets=subnets,
        labels=raw["labels"],
        protected=_protected(raw),
    )


def placement_group(raw: Json) -> PlacementGroup:
    """Read a placement group."""
    return PlacementGroup(id=raw["id"], name=raw["name"], labels=raw["labels"], servers=tuple(raw["servers"]))


def firewall(raw: Json) -> Firewall:
    """Read a firewall."""
    return Firewall(
        id=raw["id"],
        name=raw["name"],
        rules=tuple(_rule(rule) for rule in raw["rules"]),
        selectors=_selectors(raw["applied_to"]),
        labels=raw["labels"],
        servers=covered(raw["applied_to"]),
    )


def firewall_rule(rule: FirewallRule) -> Json:
    """Write a firewall rule as Hetzner takes it."""
    inward = rule.direction == "in"
    return {
        "direction": rule.direction,
        "protocol": rule.protocol,
        "port": rule.port,
        "source_ips": list(rule.networks) if inward else [],
        "destination_ips": [] if inward else list(rule.networks),
        "description": rule.description or None,
    }


def load_balancer(raw: Json) -> LoadBalancer:
    """Read a load balancer."""
    return LoadBalancer(
        id=raw["id"],
        name=raw["name"],
        public_ipv4=_public_ipv4(raw),
        private_ips=_private_ips(raw),
        selectors=_selectors(raw["targets"]),
        labels=raw["labels"],
        servers=covered(raw["targets"]),
        protected=_protected(raw),
    )


def balanced(raw: Json) -> frozenset[int]:
    """Read the ids of the servers that the label selectors of a load balancer match."""
    return frozenset(found["server"]["id"] for target in raw["targets"] for found in target.get("targets") or ())


def covered(entries: list[Json]) -> frozenset[int]:
    """Read the ids of the servers in `applied_to` or `targets`, named there or matched by a selector."""
    matched = (one for entry in entries for one in (entry.get("applied_to_resources") or entry.get("targets") or ()))
    return frozenset(entry["server"]["id"] for entry in (*entries, *matched) if entry["type"] == "server")


def ssh_key(raw: Json) -> SshKey:
    """Read an SSH key."""
    return SshKey(id=raw["id"], name=raw["name"], fingerprint=raw["fingerprint"])


def _protected(raw: Json) -> bool:
    return bool((raw.get("protection") or {}).get("delete", False))


def _public_ipv4(raw: Json) -> str | None:
    ipv4 = (raw.get("public_net") or {}).get("ipv4") or {}
    address: str | None = ipv4.get("ip")
    return address


def _private_ips(raw: Json) -> dict[int, str]:
    return {net["network"]: net["ip"] for net in raw.get("private_net", ())}


def _selectors(entries: list[Json]) -> tuple[str, ...]:
    return tuple(entry["label_selector"]["selector"] for entry in entries if entry["type"] == "label_selector")


def _rule(raw: Json) -> FirewallRule:
    return FirewallRule(
        direction=raw["direction"],
        protocol=raw["protocol"],
        port=raw.get("port"),
        networks=tuple(raw["source_ips"] if raw["direction"] == "in" else raw["destination_ips"]),
        description=raw.get("description") or "",
    )


def assortment(types: Sequence[Json], locations: Sequence[Json], images: Mapping[str, Sequence[Json]]) -> Assortment:
    """Read the catalogue; a server type without `locations` (before 2025-09) is sold where it has a price."""
    return Assortment(
        server_types=tuple(map(_server_type, types)),
        locations={location["name"]: location["network_zone"] for location in locations},
        images={name: frozenset(image["architecture"] for image in found) for name, found in images.items()},
    )


def _server_type(raw: Json) -> ServerType:
    offers = tuple(map(_offer, raw.get("locations") or raw["prices"]))
    return ServerType(id=raw["id"], name=raw["name"], architecture=raw["architecture"], offers=offers)


def _offer(raw: Json) -> Offer:
    ends = (raw.get("deprecation") or {}).get("unavailable_after")
    name = raw["location"] if "price_hourly" in raw else raw["name"]
    return Offer(location=name, available=raw.get("available", True), ends=ends)
