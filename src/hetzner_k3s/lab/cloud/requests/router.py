"""From method and path to the endpoint that answers."""

from __future__ import annotations

import re
from collections import defaultdict

from hetzner_k3s.lab.cloud.requests.endpoint import Endpoint, Handler
from hetzner_k3s.lab.cloud.requests.errors import ApiError
from hetzner_k3s.lab.cloud.resources import (
    attaching,
    firewalls,
    floating_ips,
    load_balancers,
    networks,
    placement_groups,
    pricing,
    primary_ips,
    servers,
    ssh_keys,
    volumes,
)

ENDPOINTS: tuple[Endpoint, ...] = (
    *pricing.ENDPOINTS,
    *ssh_keys.ENDPOINTS,
    *placement_groups.ENDPOINTS,
    *networks.ENDPOINTS,
    *firewalls.ENDPOINTS,
    *primary_ips.ENDPOINTS,
    *floating_ips.ENDPOINTS,
    *servers.ENDPOINTS,
    *attaching.ENDPOINTS,
    *load_balancers.ENDPOINTS,
    *volumes.ENDPOINTS,
)

_ID = re.compile(r"\d{1,16}\Z", re.ASCII)


class UnknownPathError(ApiError):
    """A path the API does not have; answered before the token is looked at.

    See docs/facts/hetzner-api.md#order-of-checks.
    """

    def __init__(self) -> None:
        super().__init__("not_found", "api route not found")


class Router:
    """Finds endpoints by path."""

    def __init__(self) -> None:
        self._by_path: defaultdict[tuple[str, ...], dict[str, Handler]] = defaultdict(dict)
        for endpoint in ENDPOINTS:
            self._by_path[tuple(endpoint.path.strip("/").split("/"))][endpoint.method] = endpoint.handler

    def resolve(self, path: str) -> tuple[dict[str, Handler], tuple[int, ...]]:
        """Return the handlers of a path by method, and the ids in it.

        Args:
            path: without `/v1`, with a leading slash.

        Raises:
            UnknownPathError: no endpoint has this path.
        """
        parts = path.strip("/").split("/")
        shape = tuple("{id}" if _ID.match(part) else part for part in parts)
        if shape not in self._by_path:
            raise UnknownPathError
        return self._by_path[shape], tuple(int(part) for part in parts if _ID.match(part))
