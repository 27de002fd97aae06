"""Can the orders of the file be filled? Compared with the catalogues and the project, before anything is bought.

Where nothing exists yet, an order that cannot be filled is refused: nothing is lost by correcting the file first.
Beside a cluster that lives it is told only: its repair must not wait for what is wrong in one pool (law 12).
What is out of stock this hour is told in both cases, because it may be there in the next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from hetzner_k3s.decide.basis import Basis
from hetzner_k3s.model import lookup
from hetzner_k3s.model.assortment import Assortment, Offer, ServerType
from hetzner_k3s.model.facts import Known, Unknown
from hetzner_k3s.model.plan import Refusal
from hetzner_k3s.model.spec import ServerSpec

NETWORK_TAKES: Final = 100
"""Servers and load balancers that one network takes (HETZNER_API.md 4.3)."""
PROJECT_TAKES_GROUPS: Final = 50
"""Placement groups of one project (HETZNER_API.md 5); of its other limits the API tells nothing."""
_NAMED: Final = 3

_Order = tuple[str, str, str]


def orders_can_be_filled(basis: Basis) -> tuple[Refusal, ...]:
    """Refuse to begin a cluster with servers that Hetzner does not sell, or that the project has no room for."""
    if _something_exists(basis):
        return ()
    problems = [*_not_sold(basis), *_no_room(basis), *_not_released(basis)]
    if not problems:
        return ()
    return (
        Refusal(
            code="order.impossible",
            saw=f"What the file asks for cannot be had: {'; '.join(problems)}.",
            why="Nothing exists yet, and nothing was bought: the servers that could be had would wait for the others.",
            you_can="Correct instance_type, image, locations, instance_count or k3s_version in the file, then run "
            "`create` again.",
        ),
    )


def orders_told(basis: Basis) -> tuple[str, ...]:
    """Note what cannot be bought beside a living cluster, what is out of stock now, and what was not compared."""
    unread = []
    if isinstance(sold := basis.state.assortment, Unknown):
        unread.append(f"server types, images and locations were not compared with Hetzner's catalogue: {sold.why}")
    if isinstance(releases := basis.state.releases, Unknown):
        unread.append(f"whether there is a k3s {basis.spec.k3s_version} was not looked up: {releases.why}")
    exists = _something_exists(basis)
    lasting = [*_not_sold(basis), *_no_room(basis), *_not_released(basis)] if exists else []
    return (*unread, *lasting, *_out_of_stock(basis))


def _something_exists(basis: Basis) -> bool:
    """Check whether servers of this cluster are there, or may be."""
    known = isinstance(basis.state.cloud, Known)
    return not known or basis.plane.record.phase is not None or bool(lookup.owned_servers(basis.spec.name, basis.view))


def _orders(basis: Basis) -> dict[_Order, list[str]]:
    """Return the servers that have to be bought, by what is ordered."""
    orders: dict[_Order, list[str]] = {}
    for spec in basis.spec.servers():
        if basis.server(spec.name) is None:
            orders.setdefault(_order_of(spec), []).append(spec.name)
    return orders


def _order_of(spec: ServerSpec) -> _Order:
    return spec.instance_type, spec.location, spec.image


def _not_sold(basis: Basis) -> Iterator[str]:
    if not isinstance(reading := basis.state.assortment, Known):
        return
    zone = None if basis.spec.network.existing_network_name else basis.spec.network.zone
    told: dict[str, list[str]] = {}
    for order, names in _orders(basis).items():
        for why in _problems(reading.value, order, zone, basis.state.observed_at):
            told.setdefault(why, []).extend(names)
    yield from (f"{why} ({_listed(names)})" for why, names in told.items())


def _problems(sold: Assortment, order: _Order, zone: str | None, now: float) -> Iterator[str]:
    """Return why Hetzner would not take an order, whatever is in stock."""
    type_name, location, image = order
    kind = sold.server_type(type_name)
    if kind is None:
        yield f"there is no server type {type_name}{_like(type_name, [k.name for k in sold.server_types])}"
    if location not in sold.locations:
        yield f"there is no location {location}{_like(location, sold.locations)}"
    elif zone is not None and sold.locations[location] != zone:
        yield f"{location} is in network zone {sold.locations[location]}, the private network in {zone}"
    if kind is not None and location in sold.locations:
        yield from _not_sold_there(kind, location, now)
    architectures = sold.images.get(image, frozenset())
    if not architectures:
        yield f"there is no image {image}"
    elif kind is not None and kind.architecture not in architectures:
        yield f"image {image} is for {', '.join(sorted(architectures))}, and {kind.name} is {kind.architecture}"


def _not_sold_there(kind: ServerType, location: str, now: float) -> Iterator[str]:
    offer = kind.offer(location)
    if offer is not None and not _has_ended(offer, now):
        return
    since = f" since {offer.ends[:10]}" if offer is not None and offer.ends else ""
    elsewhere = ", ".join(o.location for o in kind.offers if not _has_ended(o, now)) or "nowhere any more"
    yield f"{kind.name} is not sold in {location}{since}; it is in {elsewhere}"


def _has_ended(offer: Offer, now: float) -> bool:
    """Check whether a sale is over; dates are compared as UTC, to the day, and only what is not in stock is over."""
    return (
        offer.ends is not None
        and not offer.available
        and offer.ends[:10] < datetime.fromtimestamp(now, UTC).date().isoformat()
    )


def _out_of_stock(basis: Basis) -> Iterator[str]:
    if not isinstance(reading := basis.state.assortment, Known):
        return
    for (type_name, location, _), names in _orders(basis).items():
        kind = reading.value.server_type(type_name)
        offer = kind.offer(location) if kind is not None else None
        if offer is not None and not offer.available and not _has_ended(offer, basis.state.observed_at):
            yield f"Hetzner shows {type_name} as not available in {location} now ({_listed(names)})"


def _no_room(basis: Basis) -> Iterator[str]:
    """Return the documented limits that the orders would exceed."""
    network = lookup.network(basis.spec, basis.view)
    number = network.id if network is not None else None
    attached = sum(number in s.private_ips for s in basis.view.servers)
    attached += sum(number in b.private_ips for b in basis.view.load_balancers)
    balancer = basis.spec.api_load_balancer and lookup.load_balancer(basis.spec, basis.view) is None
    wanted = sum(map(len, _orders(basis).values()))
    total = attached + wanted + balancer
    if basis.spec.network.private and wanted and total > NETWORK_TAKES:
        yield (
            f"network {basis.spec.network_name} would have {total} servers and load balancers, and one network takes "
            f"{NETWORK_TAKES}"
        )
    missing = [g for g in basis.spec.placement_groups() if lookup.placement_group(g.name, basis.view) is None]
    if missing and len(basis.view.placement_groups) + len(missing) > PROJECT_TAKES_GROUPS:
        yield (
            f"the project would have {len(basis.view.placement_groups) + len(missing)} placement groups, and it may "
            f"have {PROJECT_TAKES_GROUPS}"
        )


def _not_released(basis: Basis) -> Iterator[str]:
    """Compare with k3s' channels; candidates are in none of them."""
    wanted = basis.spec.k3s_version
    if not isinstance(reading := basis.state.releases, Known) or wanted.candidate is not None or not reading.value:
        return
    line = f"v{wanted.major}.{wanted.minor}"
    newest = reading.value.get(line)
    if newest is None:
        yield f"k3s has no release {wanted}: its newest is {max(reading.value.values())}"
    elif wanted > newest:
        yield f"k3s has no release {wanted}: the newest of {line} is {newest}"


def _like(wanted: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(wanted, list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
