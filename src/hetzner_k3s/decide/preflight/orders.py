"""Can the orders of the file be filled? Compared with the catalogues and the project, before anything is bought.

Where nothing exists yet, an order that cannot be filled is refused: nothing is lost by correcting the file first.
Beside a cluster that lives it is told only: its repair must not wait for what is wrong in one pool
(docs/architecture.md#law-12). What is out of stock this hour is told in both cases, because it may be there in the
next.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model import lookup
from hetzner_k3s.model.facts import Known, Unknown
from hetzner_k3s.model.hetzner.assortment import Assortment, Offer, ServerType
from hetzner_k3s.model.plan import Refusal
from hetzner_k3s.model.spec import ClusterSpec, MasterSpec, WorkerSpec
from hetzner_k3s.model.text.dates import date_of
from hetzner_k3s.model.text.settings import Diagnostic, KeyPath
from hetzner_k3s.model.text.wording import listed

NETWORK_TAKES: Final = 100
NODES_TRIED: Final = 1000
_WITHOUT: Final = "networking.private_network.enabled"
"""Servers and load balancers that one network takes (docs/facts/hetzner-api.md#networks)."""
PROJECT_TAKES_GROUPS: Final = 50
"""Placement groups of one project; of its other limits the API tells nothing (docs/facts/hetzner-api.md#limits)."""
_NAMED: Final = 3
_RELEASE: Final[KeyPath] = ("k3s_version",)

_Problem = tuple[KeyPath, str, Sequence[str]]
"""A setting, why what it asks for cannot be had, and the servers that are ordered with it."""


@dataclass(frozen=True, slots=True)
class _Order:
    """What is ordered, and which settings of the file say so."""

    instance_type: str
    location: str
    image: str
    type_setting: KeyPath
    location_setting: KeyPath
    image_setting: KeyPath


def orders_can_be_filled(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse to begin a cluster with servers that Hetzner does not sell, or that the project has no room for."""
    if _something_exists(context):
        return ()
    settings = tuple(sorted(_impossible(context), key=lambda setting: setting.position))
    if not settings:
        return ()
    return (
        Refusal(
            code="order.impossible",
            saw=f"What the file asks for cannot be had: {', '.join(dict.fromkeys(s.key for s in settings))}.",
            why="Nothing exists yet, and nothing was bought: the servers that could be had would wait for the others.",
            you_can="Correct instance_type, image, locations, instance_count or k3s_version in the file, then run "
            "`create` again.",
            settings=settings,
        ),
    )


def orders_notes(context: DecisionContext) -> tuple[str, ...]:
    """Note what cannot be bought beside a living cluster, what is out of stock now, and what was not compared."""
    unread = []
    if isinstance(sold := context.state.assortment, Unknown):
        unread.append(f"server types, images and locations were not compared with Hetzner's catalogue: {sold.why}")
    if isinstance(releases := context.state.releases, Unknown):
        unread.append(f"whether there is a k3s {context.spec.k3s_version} was not looked up: {releases.why}")
    lasting = _impossible(context) if _something_exists(context) else {}
    told = (f"{setting} ({listed(names, _NAMED)})" if names else str(setting) for setting, names in lasting.items())
    return (*unread, *told, *_all_out_of_stock(context))


def unfillable(context: DecisionContext, names: Collection[str]) -> Mapping[str, str]:
    """Return of which of these servers Hetzner would not sell another one now, and why, as far as it was asked.

    Whoever gives up a server that works has to know that another one can be had.
    """
    if isinstance(reading := context.state.assortment, Unknown):
        return dict.fromkeys(names, f"what Hetzner sells now could not be read ({reading.why})")
    if reading is None:
        return {}
    found: dict[str, str] = {}
    for order, servers in _orders_of(context.spec, names).items():
        lasting = (why for _, why in _problems(context, reading.value, order))
        if (why := next(lasting, None) or _out_of_stock(context, reading.value, order)) is not None:
            found |= dict.fromkeys(servers, why)
    return found


def _impossible(context: DecisionContext) -> dict[Diagnostic, list[str]]:
    """Return the settings that cannot be had whatever is in stock, each with the servers that wait for it."""
    found: dict[Diagnostic, list[str]] = {}
    for setting, why, names in (*_not_sold(context), *_no_room(context), *_no_such_release(context)):
        found.setdefault(context.spec.places.diagnose(setting, why), []).extend(names)
    return found


def _something_exists(context: DecisionContext) -> bool:
    """Check whether servers of this cluster are there, or may be."""
    known = isinstance(context.state.cloud, Known)
    return (
        not known
        or context.control_plane.record.phase is not None
        or bool(lookup.owned_servers(context.spec.name, context.view))
    )


def _orders(context: DecisionContext) -> dict[_Order, list[str]]:
    """Return the servers that have to be bought, by what is ordered."""
    missing = {server.name for server in context.spec.servers() if context.server(server.name) is None}
    return _orders_of(context.spec, missing)


def _orders_of(spec: ClusterSpec, names: Collection[str]) -> dict[_Order, list[str]]:
    """Return these servers of the file by what is ordered for them."""
    orders: dict[_Order, list[str]] = {}
    for pool, server in _pooled(spec):
        if server.name in names:
            orders.setdefault(_order_of(spec, server, pool), []).append(server.name)
    return orders


def _pooled(spec: ClusterSpec) -> Iterator[tuple[KeyPath, MasterSpec | WorkerSpec]]:
    """Return every server the file wants with the setting of its pool, masters first."""
    yield from ((("masters_pool",), master) for master in spec.masters)
    for index, pool in enumerate(spec.pools):
        yield from ((("worker_node_pools", index), worker) for worker in pool.workers)


def _order_of(spec: ClusterSpec, server: MasterSpec | WorkerSpec, pool: KeyPath) -> _Order:
    return _Order(
        server.instance_type,
        server.location,
        server.image,
        type_setting=(*pool, "instance_type"),
        location_setting=_location_setting(spec, server, pool),
        image_setting=spec.places.first_given((*pool, "image"), ("image",)),
    )


def _location_setting(spec: ClusterSpec, server: MasterSpec | WorkerSpec, pool: KeyPath) -> KeyPath:
    """Return where a server's location stands: the masters' are a list, in which a single one is for all of them."""
    if isinstance(server, WorkerSpec):
        return (*pool, "location")
    locations = (*pool, "locations")
    return spec.places.first_given((*locations, server.index - 1), (*locations, 0), locations)


def _not_sold(context: DecisionContext) -> Iterator[_Problem]:
    if not isinstance(reading := context.state.assortment, Known):
        return
    for order, names in _orders(context).items():
        for setting, why in _problems(context, reading.value, order):
            yield setting, why, names


def _problems(context: DecisionContext, sold: Assortment, order: _Order) -> Iterator[tuple[KeyPath, str]]:
    """Return why Hetzner would not take an order, whatever is in stock, and the setting that says so."""
    zone = None if context.spec.network.existing_network_name else context.spec.network.zone
    kind = sold.server_type(order.instance_type)
    if kind is None:
        like = _like(order.instance_type, [k.name for k in sold.server_types])
        yield order.type_setting, f"there is no server type {order.instance_type}{like}"
    location = order.location
    if location not in sold.locations:
        yield order.location_setting, f"there is no location {location}{_like(location, sold.locations)}"
    elif zone is not None and sold.locations[location] != zone:
        there = sold.locations[location]
        yield order.location_setting, f"{location} is in network zone {there}, the private network in {zone}"
    if kind is not None and location in sold.locations:
        yield from _not_sold_there(kind, order, context.state.observed_at)
    if why := _no_image(sold, order.image, kind):
        yield order.image_setting, why


def _no_image(sold: Assortment, image: str, kind: ServerType | None) -> str | None:
    architectures = sold.images.get(image, frozenset())
    if not architectures:
        return f"there is no image {image}"
    if kind is not None and kind.architecture not in architectures:
        return f"image {image} is for {', '.join(sorted(architectures))}, and {kind.name} is {kind.architecture}"
    return None


def _not_sold_there(kind: ServerType, order: _Order, now: float) -> Iterator[tuple[KeyPath, str]]:
    """Point at the location where the type is sold in others, at the type where it is sold nowhere any more."""
    offer = kind.offer(order.location)
    if offer is not None and not _has_ended(offer, now):
        return
    since = f" since {offer.ends[:10]}" if offer is not None and offer.ends else ""
    elsewhere = ", ".join(o.location for o in kind.offers if not _has_ended(o, now))
    setting = order.location_setting if elsewhere else order.type_setting
    yield setting, f"{kind.name} is not sold in {order.location}{since}; it is in {elsewhere or 'nowhere any more'}"


def _has_ended(offer: Offer, now: float) -> bool:
    """Check whether a sale is over; dates are compared as UTC, to the day, and only what is not in stock is over."""
    today = date_of(now)
    if offer.ends is None or offer.available or today is None:
        return False
    return offer.ends[:10] < today.date().isoformat()


def _all_out_of_stock(context: DecisionContext) -> Iterator[str]:
    if not isinstance(reading := context.state.assortment, Known):
        return
    for order, names in _orders(context).items():
        if (why := _out_of_stock(context, reading.value, order)) is not None:
            yield f"{why} ({listed(names, _NAMED)})"


def _out_of_stock(context: DecisionContext, sold: Assortment, order: _Order) -> str | None:
    kind = sold.server_type(order.instance_type)
    offer = kind.offer(order.location) if kind is not None else None
    if offer is None or offer.available or _has_ended(offer, context.state.observed_at):
        return None
    return f"Hetzner shows {order.instance_type} as not available in {order.location} now"


def _no_room(context: DecisionContext) -> Iterator[_Problem]:
    """Return the documented limits that the orders would exceed."""
    pools: KeyPath = ("worker_node_pools" if context.spec.pools else "masters_pool",)
    if (full := network_is_full(context) or _too_large(context)) is not None:
        yield pools, full, ()
    missing = [g for g in context.spec.placement_groups() if lookup.placement_group(g.name, context.view) is None]
    groups = len(context.view.placement_groups) + len(missing)
    if missing and groups > PROJECT_TAKES_GROUPS:
        limit = f"and it may have {PROJECT_TAKES_GROUPS}"
        yield pools, f"the project would have {groups} placement groups, {limit}", ()


def network_is_full(context: DecisionContext) -> str | None:
    """Return why the network cannot take all that has to be bought."""
    network = lookup.network(context.spec, context.view)
    number = network.id if network is not None else None
    attached = sum(number in s.private_ips for s in context.view.servers)
    attached += sum(number in b.private_ips for b in context.view.load_balancers)
    balancer = context.spec.api_load_balancer and lookup.load_balancer(context.spec, context.view) is None
    wanted = sum(map(len, _orders(context).values()))
    total = attached + wanted + balancer
    if not context.spec.network.private or not wanted or total <= NETWORK_TAKES:
        return None
    limit = f"and one network takes {NETWORK_TAKES}; a new cluster can do without ({_WITHOUT}: false)"
    return f"network {context.spec.network_name} would have {total} servers and load balancers, {limit}"


def _too_large(context: DecisionContext) -> str | None:
    """Return why a cluster without a private network does not grow on: nobody has seen a larger one."""
    nodes, wanted = len(context.spec.servers()), sum(map(len, _orders(context).values()))
    if context.spec.network.private or not wanted or nodes <= NODES_TRIED:
        return None
    return f"the cluster would have {nodes:,} nodes, and more than {NODES_TRIED:,} were never tried"


def _no_such_release(context: DecisionContext) -> Iterator[_Problem]:
    why = not_released(context)
    if why is not None:
        yield _RELEASE, why, ()


def not_released(context: DecisionContext) -> str | None:
    """Return why the file's k3s is none that there is, by k3s' channels; candidates are in none of them."""
    wanted = context.spec.k3s_version
    if not isinstance(reading := context.state.releases, Known) or wanted.candidate is not None or not reading.value:
        return None
    line = f"v{wanted.major}.{wanted.minor}"
    newest = reading.value.get(line)
    if newest is None:
        return f"k3s has no release {wanted}: its newest is {max(reading.value.values())}"
    return f"k3s has no release {wanted}: the newest of {line} is {newest}" if wanted > newest else None


def _like(wanted: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(wanted, list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""
