"""The read-only endpoints of the catalogue, prices and the project-wide actions.

See docs/facts/hetzner-api.md#catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hetzner_k3s.lab.cloud.requests.endpoint import Answer, Endpoint, Request, action_page, one_action, page_of
from hetzner_k3s.lab.cloud.requests.errors import ApiError, not_found
from hetzner_k3s.lab.cloud.requests.fields import JsonObject
from hetzner_k3s.lab.cloud.requests.paging import SortKeys, sort
from hetzner_k3s.lab.cloud.resources.catalogue import Catalogue, Image, price

_Items = Callable[[Catalogue], Sequence[Any]]
_View = Callable[[Catalogue, Any], JsonObject]
_Filters = Mapping[str, Callable[[Any], str]]
_ORDER: SortKeys[Any] = {"id": lambda item: item.id, "name": lambda item: item.name, "created": lambda item: item.id}


def _read_only(singular: str, plural: str, items: _Items, view: _View, filters: _Filters) -> tuple[Endpoint, ...]:
    """Give list and read endpoints of a part of the catalogue."""

    def listing(request: Request) -> Answer:
        catalogue, query = request.project.world.catalogue, request.query
        wanted = {name: query.all(name) for name in filters}
        found = [
            item
            for item in items(catalogue)
            if all(not values or filters[name](item) in values for name, values in wanted.items())
        ]
        return page_of(plural, sort(found, query, _ORDER), query, lambda item: view(catalogue, item))

    def reading(request: Request) -> Answer:
        catalogue = request.project.world.catalogue
        for item in items(catalogue):
            if item.id == request.ids[0]:
                return Answer(200, {singular: view(catalogue, item)})
        raise not_found(singular.replace("_", " "), request.ids[0])

    return Endpoint("GET", f"/{plural}", listing), Endpoint("GET", f"/{plural}/{{id}}", reading)


def _pricing(request: Request) -> Answer:
    catalogue = request.project.world.catalogue
    free, unknown = price("0"), price("0")
    return Answer(
        200,
        {
            "pricing": {
                "currency": "EUR",
                "vat_rate": "0.000000",
                "primary_ips": [
                    {"type": "ipv4", "prices": _address_prices(catalogue, price("0.0008"), price("0.5"))},
                    {"type": "ipv6", "prices": _address_prices(catalogue, free, free)},
                ],
                "floating_ip": {"price_monthly": unknown},
                "floating_ips": [],
                "image": {"price_per_gb_month": price("0.0143")},
                "volume": {"price_per_gb_month": price("0.0572")},
                "server_backup": {"percentage": "20.0000000000"},
                "server_types": [_priced(item) for item in catalogue.server_types],
                "load_balancer_types": [_priced(item) for item in catalogue.load_balancer_types],
            }
        },
    )


def _address_prices(catalogue: Catalogue, hourly: JsonObject, monthly: JsonObject) -> list[JsonObject]:
    return [
        {"location": location.name, "price_hourly": hourly, "price_monthly": monthly}
        for location in catalogue.locations
    ]


def _priced(product: Any) -> JsonObject:
    prices = [offer.price_view() for offer in product.offers.values()]
    return {"id": product.id, "name": product.name, "prices": prices}


def _actions(request: Request) -> Answer:
    if not request.query.all("id"):
        details = {"announcement": "https://docs.hetzner.cloud/changelog"}
        raise ApiError("deprecated_api_endpoint", "listing arbitrary actions is no longer possible", details)
    return action_page(tuple(request.project.actions.all()), request.query)


def _action(request: Request) -> Answer:
    return one_action(200, request.project.actions.get(request.ids[0]))


def _gone(_: Request) -> Answer:
    details = {"announcement": "https://docs.hetzner.cloud/changelog"}
    raise ApiError("deprecated_api_endpoint", "data centers were removed", details)


_NAME: _Filters = {"name": lambda item: item.name}
_IMAGE_FILTERS: _Filters = {
    **_NAME,
    "architecture": lambda item: item.architecture,
    "type": lambda _: "system",
    "status": lambda _: "available",
    "bound_to": lambda _: "",
    "label_selector": lambda _: "",
}

ENDPOINTS = (
    *_read_only("location", "locations", lambda c: c.locations, lambda _, item: item.view(), _NAME),
    *_read_only("server_type", "server_types", lambda c: c.server_types, Catalogue.server_type_view, _NAME),
    *_read_only(
        "load_balancer_type", "load_balancer_types", lambda c: c.load_balancer_types, lambda _, i: i.view(), _NAME
    ),
    *_read_only("image", "images", lambda c: c.images, lambda _, item: Image.view(item), _IMAGE_FILTERS),
    *_read_only("iso", "isos", lambda _: (), lambda *_: {}, _NAME),
    Endpoint("GET", "/pricing", _pricing),
    Endpoint("GET", "/actions", _actions),
    Endpoint("GET", "/actions/{id}", _action),
    Endpoint("GET", "/datacenters", _gone),
    Endpoint("GET", "/datacenters/{id}", _gone),
)
