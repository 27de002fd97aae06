"""What Hetzner sells and where, as far as the orders of a file are concerned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The sale of a server type in a location.

    `available` is the stock of this moment, `ends` an ISO date or None; `monthly` is the net price of a month in the
    project's currency, None where it was not told.
    """

    location: str
    available: bool = True
    ends: str | None = None
    monthly: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerType:
    """A size of server, its disk in GB, and where it is sold."""

    id: int
    name: str
    architecture: str
    disk: int = 0
    offers: tuple[Offer, ...] = ()

    def offer(self, location: str) -> Offer | None:
        """Return the sale in a location, None where the type is not sold there."""
        return next((offer for offer in self.offers if offer.location == location), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assortment:
    """One reading of the catalogue: `locations` maps names to network zones.

    `images` maps each image of the file, a name or an id, to the architectures that it is there for.
    """

    server_types: tuple[ServerType, ...] = ()
    locations: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def server_type(self, name: str) -> ServerType | None:
        """Find a server type by its name or id, both of which an order may give."""
        return next((kind for kind in self.server_types if name in (kind.name, str(kind.id))), None)
