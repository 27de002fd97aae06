"""What the vendor sells and where: locations, server types, load balancer types, images.

See docs/facts/hetzner-api.md#catalogue.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Protocol, TypeVar

from hetzner_k3s.lab.cloud.requests.errors import ApiError, invalid_input
from hetzner_k3s.lab.cloud.requests.fields import JsonObject


@dataclass(frozen=True, slots=True)
class Location:
    """A place where servers run."""

    id: int
    name: str
    description: str
    country: str
    city: str
    latitude: float
    longitude: float
    network_zone: str

    def view(self) -> JsonObject:
        """Return the JSON object."""
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "country": self.country,
            "city": self.city,
            "latitude": self.latitude,
            "longitude": self.longitude,
            "network_zone": self.network_zone,
        }


@dataclass(frozen=True, slots=True)
class Offer:
    """The sale of a product in one location: net EUR, TiB of traffic, deprecation as (announced, unavailable after)."""

    location: str
    hourly: str
    monthly: str
    traffic_tib: float
    traffic_price: str
    recommended: bool
    deprecation: tuple[str, str] | None

    @property
    def included_traffic(self) -> int:
        """Return the free traffic in bytes."""
        return int(self.traffic_tib * 2**40)

    def price_view(self) -> JsonObject:
        """Return the JSON object of the price."""
        return {
            "location": self.location,
            "price_hourly": price(self.hourly),
            "price_monthly": price(self.monthly),
            "included_traffic": self.included_traffic,
            "price_per_tb_traffic": price(self.traffic_price),
        }


@dataclass(frozen=True, slots=True)
class ServerType:
    """A size of server."""

    id: int
    name: str
    description: str
    architecture: str
    cpu: str
    category: str
    cores: int
    memory: float
    disk: int
    offers: Mapping[str, Offer] = field(hash=False)


@dataclass(frozen=True, slots=True)
class LoadBalancerType:
    """A size of load balancer with its limits."""

    id: int
    name: str
    description: str
    connections: int
    services: int
    targets: int
    certificates: int
    offers: Mapping[str, Offer] = field(hash=False)

    def view(self) -> JsonObject:
        """Return the JSON object."""
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "max_connections": self.connections,
            "max_services": self.services,
            "max_targets": self.targets,
            "max_assigned_certificates": self.certificates,
            "deprecated": None,
            "deprecation": None,
            "prices": [offer.price_view() for offer in self.offers.values()],
        }


@dataclass(frozen=True, slots=True)
class Image:
    """A system image."""

    id: int
    name: str
    description: str
    flavor: str
    version: str
    architecture: str
    created: str

    def view(self) -> JsonObject:
        """Return the JSON object."""
        return {
            "id": self.id,
            "type": "system",
            "status": "available",
            "name": self.name,
            "description": self.description,
            "image_size": None,
            "disk_size": 5,
            "created": self.created,
            "created_from": None,
            "bound_to": None,
            "os_flavor": self.flavor,
            "os_version": self.version,
            "rapid_deploy": True,
            "protection": {"delete": False},
            "deprecated": None,
            "deprecation": None,
            "deleted": None,
            "labels": {},
            "architecture": self.architecture,
        }


class _Named(Protocol):
    @property
    def id(self) -> int: ...
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


def price(net: str) -> JsonObject:
    """Print money: net with 10 digits, gross (VAT 0) as the vendor prints a float, with 16."""
    return {"net": f"{float(net):.10f}", "gross": f"{float(net):.16f}"}


class Catalogue:
    """The whole assortment.

    Args:
        out_of_stock: tells of a type name and a location name whether orders are refused now.
    """

    def __init__(self, out_of_stock: Callable[[str, str], bool] = lambda *_: False) -> None:
        self.locations = tuple(_locations())
        self.server_types = tuple(_server_types())
        self.load_balancer_types = tuple(_load_balancer_types())
        self.images = tuple(_images())
        self._out_of_stock = out_of_stock

    def location(self, ref: str, field_name: str = "location") -> Location:
        """Find a location by id or name."""
        return _find(self.locations, ref, field_name)

    def server_type(self, ref: str) -> ServerType:
        """Find a server type by id or name."""
        return _find(self.server_types, ref, "server_type")

    def load_balancer_type(self, ref: str) -> LoadBalancerType:
        """Find a load balancer type by id or name."""
        return _find(self.load_balancer_types, ref, "load_balancer_type")

    def image(self, ref: str, architecture: str) -> Image:
        """Find an image by id, or by name for an architecture; the architecture must fit.

        See docs/facts/hetzner-api.md#servers.
        """
        if ref.isdigit():
            image = _find(self.images, ref, "image")
            if image.architecture != architecture:
                raise invalid_input("image", "image architecture does not match the server type")
            return image
        return _find(tuple(i for i in self.images if i.architecture == architecture), ref, "image")

    def zones(self) -> set[str]:
        """Return the network zones."""
        return {location.network_zone for location in self.locations}

    def is_available(self, server_type: ServerType, location: str) -> bool:
        """Check whether a type can be ordered in a location now."""
        offer = server_type.offers.get(location)
        return offer is not None and offer.deprecation is None and not self._out_of_stock(server_type.name, location)

    def place(self, server_type: ServerType, wanted: Location | None) -> Location:
        """Choose the location of a new server: the wanted one, else the first that has the type.

        Raises:
            ApiError: 422 when the type is never sold there, 412 `resource_unavailable` when it is not in stock.
        """
        if wanted is not None and wanted.name not in server_type.offers:
            raise invalid_input("server_type", "unsupported location for server type")
        for location in (wanted,) if wanted else self.locations:
            if self.is_available(server_type, location.name):
                return location
        raise ApiError("resource_unavailable", "Server Type unavailable")

    def server_type_view(self, server_type: ServerType) -> JsonObject:
        """Return the JSON object of a server type with its stock."""
        return {
            "id": server_type.id,
            "name": server_type.name,
            "description": server_type.description,
            "cores": server_type.cores,
            "memory": server_type.memory,
            "disk": server_type.disk,
            "deprecated": False,
            "deprecation": None,
            "prices": [offer.price_view() for offer in server_type.offers.values()],
            "storage_type": "local",
            "cpu_type": server_type.cpu,
            "category": server_type.category,
            "architecture": server_type.architecture,
            "locations": [self._stock_view(server_type, offer) for offer in server_type.offers.values()],
        }

    def _stock_view(self, server_type: ServerType, offer: Offer) -> JsonObject:
        announced, unavailable_after = offer.deprecation or (None, None)
        return {
            "id": self.location(offer.location).id,
            "name": offer.location,
            "available": self.is_available(server_type, offer.location),
            "recommended": offer.recommended,
            "deprecation": announced and {"announced": announced, "unavailable_after": unavailable_after},
        }


def _find(items: tuple[N, ...], ref: str, field_name: str) -> N:
    """An id wins over a name that looks like one."""
    by_id = [item for item in items if ref.isdigit() and item.id == int(ref)]
    by_name = [item for item in items if item.name == ref]
    for item in (*by_id, *by_name):
        return item
    raise invalid_input(field_name, f"{field_name.replace('_', ' ')} {ref!r} does not exist")


@cache
def _rows(name: str) -> tuple[Mapping[str, str], ...]:
    text = (files("hetzner_k3s.lab.cloud") / "catalogue_data" / f"{name}.tsv").read_text("utf-8")
    return tuple(csv.DictReader(text.splitlines(), delimiter="\t"))


def _offers(product: str) -> dict[str, Offer]:
    return {
        row["location"]: Offer(
            location=row["location"],
            hourly=row["hourly"],
            monthly=row["monthly"],
            traffic_tib=float(row["traffic_tib"]),
            traffic_price=row["traffic_price"],
            recommended=row["recommended"] == "yes",
            deprecation=None if row["announced"] == "-" else (row["announced"], row["unavailable_after"]),
        )
        for row in _rows("offers")
        if row["product"] == product
    }


def _locations() -> Iterable[Location]:
    for row in _rows("locations"):
        text = {key: row[key] for key in ("name", "description", "country", "city", "network_zone")}
        yield Location(id=int(row["id"]), latitude=float(row["latitude"]), longitude=float(row["longitude"]), **text)


def _server_types() -> Iterable[ServerType]:
    for row in _rows("server_types"):
        text = {key: row[key] for key in ("name", "description", "architecture", "cpu", "category")}
        sizes = {key: int(row[key]) for key in ("id", "cores", "disk")}
        yield ServerType(memory=float(row["memory"]), offers=_offers(row["name"]), **{**text, **sizes})  # type: ignore[arg-type]


def _load_balancer_types() -> Iterable[LoadBalancerType]:
    for row in _rows("load_balancer_types"):
        sizes = {key: int(row[key]) for key in ("id", "connections", "services", "targets", "certificates")}
        yield LoadBalancerType(name=row["name"], description=row["description"], offers=_offers(row["name"]), **sizes)


def _images() -> Iterable[Image]:
    for row in _rows("images"):
        text = {key: row[key] for key in ("name", "description", "flavor", "version", "architecture", "created")}
        yield Image(id=int(row["id"]), **text)
