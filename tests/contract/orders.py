"""What tests order through the official client."""

# mypy: no-strict-optional
# hcloud, the official client, types every attribute of a resource as one that may be None.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hcloud import APIException, Client
from hcloud.images import Image
from hcloud.locations import Location
from hcloud.networks import BoundNetwork, NetworkSubnet
from hcloud.server_types import ServerType
from hcloud.servers import BoundServer, CreateServerResponse


def order_server(client: Client, name: str, **more: Any) -> CreateServerResponse:
    """Ask for a server in Nuremberg."""
    location = more.pop("location", Location(name="nbg1"))
    image = more.pop("image", Image(name="debian-13"))
    return client.servers.create(name, ServerType(name="cpx22"), image, location=location, **more)


def make_server(client: Client, name: str, **more: Any) -> BoundServer:
    """Ask for a server and wait until all its actions are over."""
    response = order_server(client, name, **more)
    for action in (response.action, *response.next_actions):
        action.wait_until_finished()
    return client.servers.get_by_id(response.server.id)


def make_network(client: Client, name: str = "cluster") -> BoundNetwork:
    """Make a network with one subnet as large as itself."""
    subnet = NetworkSubnet("10.0.0.0/16", type="cloud", network_zone="eu-central")
    return client.networks.create(name, "10.0.0.0/16", [subnet])


def refusal(call: Callable[..., object], *arguments: Any, **more: Any) -> APIException:
    """Give the refusal a call ends in."""
    with pytest.raises(APIException) as caught:
        call(*arguments, **more)
    return caught.value
