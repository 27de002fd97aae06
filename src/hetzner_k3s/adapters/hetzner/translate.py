"""From Hetzner's JSON to our nouns; unknown fields are ignored, fields that may be null or missing are treated so."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hetzner_k3s.adapters.hetzner.api import Json
from hetzner_k3s.model.cloud import (
    BalancedService,
    BalancerTarget,
    Firewall,
    FirewallRule,
    HealthCheck,
    LoadBalancer,
    Network,
    PlacementGroup,
    Server,
    ServerOrder,
    ServerStatus,
    SshKey,
)
from hetzner_k3s.model.hetzner.assortment import Assortment, Offer, ServerType
from hetzner_k3s.model.text.dates import moment_of
from hetzner_k3s.model.text.documents import Document

_STATUSES = {status.value: status for status in ServerStatus}


def server(raw: Document) -> Server:
    """Read a server; its location stood in `datacenter` until that was removed."""
    location = raw if "location" in raw else raw.child_or_empty("datacenter")
    return Server(
        id=raw.whole("id"),
        name=raw.text("name"),
        status=_STATUSES.get(raw.text("status"), ServerStatus.OTHER),
        location=location.child_or_empty("location").text_or("name"),
        server_type=raw.child("server_type").text("name"),
        disk=raw.whole_or("primary_disk_size"),
        image=_image(raw.child_or_empty("image")),
        labels=raw.text_map("labels"),
        public_ipv4=_public_ipv4(raw),
        public=_public(raw),
        private_ips=_private_ips(raw),
        placement_group=_group(raw),
        protected=protected(raw),
        created=moment_of(raw.text_or("created")),  # None where it is none: only a claim is held against it
    )


def _image(raw: Document) -> tuple[str, ...]:
    """Read by what an order may name an image: a snapshot has no name."""
    name, number = raw.optional_text("name"), raw.whole_or("id")
    return (*((name,) if name else ()), *((str(number),) if number else ()))


def server_order(order: ServerOrder) -> dict[str, Any]:
    """Write an order as Hetzner takes it."""
    body: dict[str, Any] = {
        "name": order.name,
        "server_type": order.server_type,
        "image": int(order.image) if order.image.isdecimal() else order.image,
        "location": order.location,
        "labels": dict(order.labels),
        "ssh_keys": [order.ssh_key],
        "networks": [] if order.network is None else [order.network],
        "user_data": order.user_data,
        "public_net": {"enable_ipv4": order.ipv4, "enable_ipv6": order.ipv6},
        "start_after_create": True,
    }
    return body if order.placement_group is None else {**body, "placement_group": order.placement_group}


def network(raw: Document) -> Network:
    """Read a network."""
    subnets = tuple(subnet.text("ip_range") for subnet in raw.children("subnets"))
    return Network(
        id=raw.whole("id"),
        name=raw.text("name"),
        ip_range=raw.text("ip_range"),
        subnets=subnets,
        labels=raw.text_map("labels"),
        protected=protected(raw),
    )


def placement_group(raw: Document) -> PlacementGroup:
    """Read a placement group."""
    return PlacementGroup(
        id=raw.whole("id"), name=raw.text("name"), labels=raw.text_map("labels"), servers=raw.wholes("servers")
    )


def firewall(raw: Document) -> Firewall:
    """Read a firewall."""
    return Firewall(
        id=raw.whole("id"),
        name=raw.text("name"),
        rules=tuple(_rule(rule) for rule in raw.children("rules")),
        selectors=_selectors(raw.children("applied_to")),
        labels=raw.text_map("labels"),
        servers=covered(raw.children("applied_to")),
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


def load_balancer(raw: Document) -> LoadBalancer:
    """Read a load balancer."""
    return LoadBalancer(
        id=raw.whole("id"),
        name=raw.text("name"),
        public_ipv4=_public_ipv4(raw),
        private_ips=_private_ips(raw),
        services=tuple(map(_service, raw.children("services"))),
        targets=tuple(map(_target, raw.children("targets"))),
        labels=raw.text_map("labels"),
        servers=covered(raw.children("targets")),
        protected=protected(raw),
    )


def _service(raw: Document) -> BalancedService:
    return BalancedService(
        protocol=raw.text("protocol"),
        listen_port=raw.whole("listen_port"),
        destination_port=raw.whole("destination_port"),
        proxy_protocol=raw.flag("proxyprotocol"),
        check=_check(raw.child("health_check")) if "health_check" in raw else None,
    )


def _check(raw: Document) -> HealthCheck:
    http = raw.child_or_empty("http")
    return HealthCheck(
        protocol=raw.text("protocol"),
        port=raw.whole("port"),
        path=http.text_or("path"),
        tls=http.flag_or("tls"),
        statuses=http.texts("status_codes"),
        response=http.text_or("response"),
    )


def _target(raw: Document) -> BalancerTarget:
    kind = raw.text("type")
    return BalancerTarget(kind=kind, name=_target_name(kind, raw), private=raw.flag_or("use_private_ip"))


def _target_name(kind: str, raw: Document) -> str:
    match kind:
        case "label_selector":
            return raw.child(kind).text("selector")
        case "server":
            return str(raw.child(kind).whole("id"))
        case "ip":
            return raw.child(kind).text("ip")
        case _:
            return ""


def balanced(raw: Document) -> frozenset[int]:
    """Read the ids of the servers that the label selectors of a load balancer match."""
    found = (one for target in raw.children("targets") for one in target.children_or_none("targets"))
    return frozenset(one.child("server").whole("id") for one in found)


def covered(entries: Iterable[Document]) -> frozenset[int]:
    """Read the ids of the servers in `applied_to` or `targets`, named there or matched by a selector."""
    named = tuple(entries)
    matched = (one for entry in named for one in _matched(entry))
    return frozenset(one.child("server").whole("id") for one in (*named, *matched) if one.text("type") == "server")


def _matched(entry: Document) -> tuple[Document, ...]:
    return entry.children_or_none("applied_to_resources") or entry.children_or_none("targets")


def ssh_key(raw: Document) -> SshKey:
    """Read an SSH key."""
    return SshKey(id=raw.whole("id"), name=raw.text("name"), fingerprint=raw.text("fingerprint"))


def _group(raw: Document) -> int | None:
    return raw.child("placement_group").whole("id") if "placement_group" in raw else None


def protected(raw: Document) -> bool:
    """Check whether a resource of any kind is protected against deletion."""
    return raw.child_or_empty("protection").flag_or("delete")


def _public_ipv4(raw: Document) -> str | None:
    return raw.child_or_empty("public_net").child_or_empty("ipv4").optional_text("ip")


def _public(raw: Document) -> frozenset[str] | None:
    if "public_net" not in raw:
        return None
    addresses = raw.child("public_net")
    return frozenset(family for family in ("ipv4", "ipv6") if family in addresses)


def _private_ips(raw: Document) -> dict[int, str]:
    return {net.whole("network"): net.text("ip") for net in raw.children_or_none("private_net")}


def _selectors(entries: Iterable[Document]) -> tuple[str, ...]:
    selecting = (entry for entry in entries if entry.text("type") == "label_selector")
    return tuple(entry.child("label_selector").text("selector") for entry in selecting)


def _rule(raw: Document) -> FirewallRule:
    direction = raw.text("direction")
    return FirewallRule(
        direction=direction,
        protocol=raw.text("protocol"),
        port=raw.optional_text("port"),
        networks=raw.texts("source_ips" if direction == "in" else "destination_ips"),
        description=raw.text_or("description"),
    )


def assortment(
    types: Sequence[Document], locations: Sequence[Document], images: Mapping[str, Sequence[Document]]
) -> Assortment:
    """Read the catalogue; a server type without `locations` (before 2025-09) is sold where it has a price."""
    return Assortment(
        server_types=tuple(map(_server_type, types)),
        locations={location.text("name"): location.text("network_zone") for location in locations},
        images={name: frozenset(image.text("architecture") for image in found) for name, found in images.items()},
    )


def _server_type(raw: Document) -> ServerType:
    prices = {price.text("location"): _monthly(price) for price in raw.children_or_none("prices")}
    offers = tuple(_offer(sold, prices) for sold in raw.children_or_none("locations") or raw.children("prices"))
    return ServerType(
        id=raw.whole("id"),
        name=raw.text("name"),
        architecture=raw.text("architecture"),
        disk=raw.whole_or("disk") or 0,
        offers=offers,
    )


def _monthly(price: Document) -> float | None:
    """Read a price, None where it is no number: only the bill of a plan hangs on it."""
    try:
        value = float(price.child_or_empty("price_monthly").text_or("net"))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _offer(raw: Document, prices: Mapping[str, float | None]) -> Offer:
    location = raw.text("location" if "price_hourly" in raw else "name")
    return Offer(
        location=location,
        monthly=prices.get(location),
        available=raw.flag_or("available", True),
        ends=raw.child_or_empty("deprecation").optional_text("unavailable_after"),
    )
